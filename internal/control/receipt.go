package control

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// maxOpen is how many still-held jobs a receipt names.
const maxOpen = 100

// Receipt returns what an order has done so far, or [job.ErrUnknown].
func (c *Redis) Receipt(ctx context.Context, order job.ID) (job.Receipt, error) {
	return c.receiptOf(ctx, order, "")
}

// receiptOf is a receipt in which one job, if named, is told with its timeline.
func (c *Redis) receiptOf(ctx context.Context, order, about job.ID) (job.Receipt, error) {
	r, err := c.summary(ctx, order)
	if err != nil {
		return r, err
	}
	if r.Order.Scope.Kind == job.ScopeJob {
		about = r.Order.Scope.Job
	}
	if about != "" {
		if err := c.tell(ctx, &r, about); err != nil {
			return r, err
		}
	}
	if r.Order.Scope.Kind == job.ScopeJob && r.Verdict != job.Waiting && r.Tally.Waiting > 0 {
		now, err := c.summary(ctx, order) // it ended between the two reads
		if err != nil {
			return r, err
		}
		r.Stage, r.Tally = now.Stage, now.Tally
	}
	if r.Tally.Waiting > 0 {
		r.Open, err = c.open(ctx, r.Order)
	}
	for _, o := range r.Open {
		if o.Verdict == job.Deaf {
			r.Tally.Deaf++
		}
		if o.Verdict == job.Deaf && o.Job == about && r.Verdict == job.Waiting {
			r.Verdict = job.Deaf
		}
	}
	return r, err
}

// summary is the stage and the tally over every partition of the scope.
func (c *Redis) summary(ctx context.Context, order job.ID) (job.Receipt, error) {
	if _, err := c.partitions.SlotOf(order); err != nil {
		return job.Receipt{}, job.ErrUnknown
	}
	home, err := c.orderIn(ctx, order.Partition(), order)
	if err != nil {
		return job.Receipt{}, err
	}
	if len(home.order) == 0 || home.order["scope"] == scopeBlock {
		return job.Receipt{}, job.ErrUnknown
	}
	r := job.Receipt{Order: orderFrom(order, home.order), Stage: job.Accepted}
	r.Order.Horizon = map[int]uint64{}
	if r.Order.Scope.Kind == job.ScopeSelector {
		r.Scan = &job.Scan{}
	}
	parts := []int{order.Partition()}
	if r.Order.Scope.Kind != job.ScopeJob {
		parts = c.reach(r.Order.Scope)
	}
	for _, p := range parts {
		in, err := c.orderIn(ctx, p, order)
		if err != nil || len(in.order) == 0 {
			r.Missing = append(r.Missing, p)
			continue
		}
		r.Tally = r.Tally.Add(tallyFrom(in.tally))
		if h, err := strconv.ParseUint(in.order["h"], 10, 64); err == nil {
			r.Order.Horizon[p] = h
		}
		if r.Scan != nil {
			r.Scan.Looked += rediskit.Number(in.order["looked"])
			if in.order["scan"] != "end" {
				r.Scan.Open = append(r.Scan.Open, p)
			}
		}
	}
	switch {
	case len(r.Missing) > 0:
		r.Stage = job.Recording
	case r.Tally.Waiting == 0 && (r.Scan == nil || len(r.Scan.Open) == 0):
		r.Stage = job.Quiesced
	}
	return r, nil
}

// tell adds one job with its verdict and timeline.
func (c *Redis) tell(ctx context.Context, r *job.Receipt, id job.ID) error {
	j, err := c.jobIn(ctx, id)
	if errors.Is(err, job.ErrUnknown) { // its retention ended; the order's own record is left
		return nil
	}
	if err != nil {
		return err
	}
	r.Job = &j
	r.Timeline = job.Timeline{
		Requested: r.Order.RequestedAt, Recorded: r.Order.RecordedAt,
		Delivered: j.DeliveredAt, Cancelled: j.CancelledAt, Returned: j.ReturnedAt,
	}
	switch {
	case j.State == job.Killed && j.Order == r.Order.ID:
		r.Verdict = j.Verdict
		r.Tally.SpentAfter = max(r.Tally.SpentAfter, 0)
	case j.State.Over():
		r.Verdict = job.AlreadyOver
	case j.State != job.Running: // behind the order nothing starts: it is dead, and its record will say so
		r.Verdict = job.NotRunning
	default:
		r.Verdict = job.Waiting
	}
	return nil
}

// open names the jobs that somebody still holds.
func (c *Redis) open(ctx context.Context, o job.Order) ([]job.Open, error) {
	parts := []int{o.ID.Partition()}
	if o.Scope.Kind != job.ScopeJob {
		parts = c.reach(o.Scope)
	}
	var out []job.Open
	for _, p := range parts {
		deaf, err := c.deafIn(ctx, p)
		if err != nil {
			return nil, err
		}
		held, err := c.leasedIn(ctx, p, 10*maxOpen)
		if err != nil {
			return nil, err
		}
		for _, l := range held {
			if len(out) == maxOpen {
				return out, nil
			}
			if l.order == string(o.ID) || l.order == "" && o.Covers(p, l.id, l.owner, l.seq) {
				verdict := job.Waiting
				if deaf[l.id] == l.worker {
					verdict = job.Deaf
				}
				out = append(out, job.Open{
					Job: l.id, Owner: l.owner, Worker: l.worker, Verdict: verdict,
					LeaseEnds: time.Now().Add(c.take - c.presence.silent(p, l.worker, time.Now())),
				})
			}
		}
	}
	return out, nil
}

func orderFrom(id job.ID, f map[string]string) job.Order {
	return job.Order{
		ID:    id,
		Scope: job.Scope{Kind: job.ScopeKind(f["scope"]), Job: job.ID(f["job"]), Owner: scopeOwner(f), Selector: selectorFrom(f["selector"])},
		Actor: f["actor"], Reason: f["reason"], Incident: f["incident"], Freeze: f["freeze"] == "1",
		Check: f["check"], Expected: rediskit.Number(f["expected"]),
		RequestedAt: rediskit.Time(f["requested"]), RecordedAt: rediskit.Time(f["at"]),
	}
}

// scopeOwner is the owner an order's scope names: the record of a single-job
// order keeps the job's owner too, which is no part of its scope.
func scopeOwner(f map[string]string) string {
	if f["scope"] == string(job.ScopeOwner) {
		return f["owner"]
	}
	return ""
}

func tallyFrom(f map[string]string) job.Tally {
	n := func(k string) int64 { v, _ := strconv.ParseInt(f[k], 10, 64); return v }
	return job.Tally{
		Targeted: n("targeted"), Stopped: n("stopped"), NotRunning: n("not_running"), AlreadyOver: n("already_over"),
		Fenced: n("fenced"), Waiting: n("waiting"), CoveredBefore: n("covered_before"), Unbooked: n("unbooked"),
		SpentAfter: job.MicroUSD(n("spent_after")),
	}
}
