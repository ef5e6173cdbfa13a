package control

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
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
	f, err := c.find(ctx, order, about)
	if err != nil {
		return job.Receipt{}, err
	}
	r, err := c.summed(order, f)
	if err != nil {
		return r, err
	}
	if one := r.Order.Scope.Job; r.Order.Scope.Kind == job.ScopeJob && one != about {
		about, f.about = one, nil
	}
	if about != "" {
		if err := c.tell(ctx, &r, about, f.about); err != nil {
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
		err = c.open(ctx, &r)
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

// orderRecord is an order and its tally as one partition has them.
type orderRecord struct {
	order, tally map[string]string
	held         bool // the replicas have it so
}

// orderIn reads an order in one partition; both maps are empty when it has not
// been recorded there.
func (c *Redis) orderIn(ctx context.Context, p int, id job.ID) (orderRecord, error) {
	o, _, err := c.orderWith(ctx, p, id, "")
	return o, err
}

// orderWith reads a job's record too, on the same way.
func (c *Redis) orderWith(ctx context.Context, p int, id, about job.ID) (o orderRecord, record map[string]string, err error) {
	slot := c.partitions.Slot(p)
	keys := []string{slot.Of("order", string(id)), slot.Of("tally", string(id))}
	if about != "" {
		keys = append(keys, slot.Of("job", string(about)))
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	read, held, err := c.run.Held(cctx, keys...)
	if err != nil {
		return orderRecord{}, nil, err
	}
	if about != "" {
		record = read[2]
	}
	return orderRecord{order: read[0], tally: read[1], held: held}, record, nil
}

// found is an order as the partitions of its scope have it.
type found struct {
	// order is its record in the first partition that has it.
	order map[string]string
	parts []int
	in    map[int]orderRecord
	// missing answered that they have not taken it, unread did not answer.
	missing, unread []int
	about           map[string]string // the record of a job that was read with it
}

// find reads an order in every partition of its scope. Its home usually has it;
// while its home is away any partition that took it says what it is. The record of
// a job of its home, if one is named, comes on the same way.
func (c *Redis) find(ctx context.Context, id, about job.ID) (found, error) {
	if _, err := c.partitions.SlotOf(id); err != nil {
		return found{}, job.ErrUnknown
	}
	home := id.Partition()
	if about.Partition() != home {
		about = ""
	}
	at, record, err := c.orderWith(ctx, home, id, about)
	f := found{parts: []int{home}, in: map[int]orderRecord{}, order: at.order, about: record}
	f.take(home, at, err)
	switch {
	case len(at.order) == 0:
		f.parts = c.partitions.All()
	case at.order["scope"] != string(job.ScopeJob):
		f.parts = c.reach(job.Scope{Kind: job.ScopeKind(at.order["scope"]), Owner: at.order["owner"]})
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range f.parts {
		if p == home {
			continue
		}
		wg.Go(func() {
			in, err := c.orderIn(ctx, p, id)
			mu.Lock()
			defer mu.Unlock()
			f.take(p, in, err)
		})
	}
	wg.Wait()
	slices.Sort(f.missing)
	slices.Sort(f.unread)
	if len(f.order) > 0 {
		return f, nil
	}
	if err != nil { // nobody who answers knows it, and its home does not answer
		return f, err
	}
	return f, job.ErrUnknown
}

func (f *found) take(p int, in orderRecord, err error) {
	switch {
	case err != nil:
		f.unread = append(f.unread, p)
	case len(in.order) == 0:
		f.missing = append(f.missing, p)
	default:
		f.in[p] = in
		if len(f.order) == 0 {
			f.order = in.order
		}
	}
}

// summary is the stage and the tally over every partition of the scope. What a
// partition did not say is not in the sums: it is named, and the order is not
// said to be any further than recording.
func (c *Redis) summary(ctx context.Context, order job.ID) (job.Receipt, error) {
	f, err := c.find(ctx, order, "")
	if err != nil {
		return job.Receipt{}, err
	}
	return c.summed(order, f)
}

func (c *Redis) summed(order job.ID, f found) (job.Receipt, error) {
	if f.order["scope"] == scopeBlock {
		return job.Receipt{}, job.ErrUnknown
	}
	r := job.Receipt{Order: orderFrom(order, f.order), Stage: job.Accepted, Unread: f.unread}
	r.Missing = slices.Sorted(slices.Values(slices.Concat(f.missing, f.unread)))
	r.Order.Horizon = map[int]uint64{}
	if r.Order.Scope.Kind == job.ScopeSelector {
		r.Scan = &job.Scan{}
	}
	held := true
	for _, p := range f.parts {
		in, ok := f.in[p]
		if !ok {
			continue
		}
		held = held && in.held
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
	case !held && c.run.Durability.Replicas > 0: // what a failover may take back is not said
	case r.Tally.Waiting == 0 && (r.Scan == nil || len(r.Scan.Open) == 0):
		r.Stage = job.Quiesced
	case held:
		r.Stage = job.Replicated
	}
	return r, nil
}

// tell adds one job with its verdict and timeline, of its record if that was read.
func (c *Redis) tell(ctx context.Context, r *job.Receipt, id job.ID, record map[string]string) error {
	j, err := job.FromFields(record)
	if record == nil {
		j, err = c.jobIn(ctx, id)
	}
	if errors.Is(err, job.ErrUnknown) { // its retention ended; the order's own record is left
		return nil
	}
	if err != nil {
		return err
	}
	if r.Order.Scope.Kind != job.ScopeJob && !j.State.Over() {
		j = j.Behind(r.Order.ID, job.OrderMark{Actor: r.Order.Actor, Reason: r.Order.Reason, At: r.Order.RecordedAt})
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

// open names the jobs that somebody still holds, in the partitions that have the
// order. One that does not answer any more makes it recording again.
func (c *Redis) open(ctx context.Context, r *job.Receipt) error {
	if r.Order.Scope.Kind == job.ScopeJob {
		return c.openOne(ctx, r)
	}
	parts := c.reach(r.Order.Scope)
	for _, p := range parts {
		if slices.Contains(r.Missing, p) {
			continue
		}
		err := c.openIn(ctx, r, p)
		if err != nil && len(parts) == 1 {
			return err
		}
		if err != nil {
			r.Stage, r.Missing, r.Unread = job.Recording, append(r.Missing, p), append(r.Unread, p)
		}
	}
	slices.Sort(r.Missing)
	slices.Sort(r.Unread)
	return nil
}

func (c *Redis) openIn(ctx context.Context, r *job.Receipt, p int) error {
	deaf, err := c.deafIn(ctx, p)
	if err != nil {
		return err
	}
	const page = 2 * maxOpen
	for from := 0; ; from += page {
		held, err := c.leasedIn(ctx, p, from, page)
		if err != nil {
			return err
		}
		for _, l := range held {
			if int64(len(r.Open)) == min(maxOpen, r.Tally.Waiting) {
				return nil
			}
			if l.order == string(r.Order.ID) || l.order == "" && r.Order.Covers(p, l.id, l.owner, l.seq) {
				r.Open = append(r.Open, c.held(p, l, deaf[l.id] == l.worker))
			}
		}
		if len(held) < page {
			return nil
		}
	}
}

// openOne names the one job of an order without a look at any other.
func (c *Redis) openOne(ctx context.Context, r *job.Receipt) error {
	if r.Job == nil || r.Verdict != job.Waiting {
		return nil
	}
	p, j := r.Job.ID.Partition(), r.Job
	said, err := c.workerIn(ctx, p, j.Claim.Worker)
	if err != nil {
		return err
	}
	var w row
	_ = json.Unmarshal(said, &w) // an unreadable row reports nothing
	r.Open = []job.Open{c.held(p, leased{id: j.ID, owner: j.Owner, worker: j.Claim.Worker}, slices.Contains(w.DeafJobs, j.ID))}
	return nil
}

// held is a job under an order that somebody still holds.
func (c *Redis) held(p int, l leased, deaf bool) job.Open {
	o := job.Open{
		Job: l.id, Owner: l.owner, Worker: l.worker, Verdict: job.Waiting,
		LeaseEnds: time.Now().Add(c.take - c.presence.silent(p, l.worker, time.Now())),
	}
	if deaf {
		o.Verdict = job.Deaf
	}
	return o
}

func orderFrom(id job.ID, f map[string]string) job.Order {
	return job.Order{
		ID:    id,
		Scope: job.Scope{Kind: job.ScopeKind(f["scope"]), Job: job.ID(f["job"]), Owner: scopeOwner(f), Selector: selectorFrom(f["selector"])},
		Actor: f["actor"], Reason: f["reason"], Incident: f["incident"], Freeze: f["freeze"] == "1",
		ByAdmin: byAdmin(f), Check: f["check"], Expected: rediskit.Number(f["expected"]), AllowResume: f["allow_resume"] == "1", Trace: f["trace"],
		RequestedAt: rediskit.Time(f["requested"]), RecordedAt: rediskit.Time(f["at"]),
	}
}

// byAdmin is whether an order came from above its job. One whose author cannot
// be read did.
func byAdmin(f map[string]string) bool {
	var who struct {
		Roles []access.Role `json:"roles"`
	}
	if f["scope"] != string(job.ScopeJob) || json.Unmarshal([]byte(f["who"]), &who) != nil || len(who.Roles) == 0 {
		return true
	}
	return slices.Contains(who.Roles, access.Admin) || slices.Contains(who.Roles, access.Operator)
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

// leased is what a receipt needs of a running job.
type leased struct {
	id                   job.ID
	owner, worker, order string
	seq                  uint64
}
