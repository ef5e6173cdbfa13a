package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// A caller who waits is answered by looking, first often, then less so.
const (
	firstLook = 25 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

type receipted struct {
	Status int
	Body   receiptView
}

// receiptOf is the answer with a receipt: 200 only if it has all stopped.
func receiptOf(r job.Receipt) *receipted {
	out := &receipted{Status: http.StatusAccepted, Body: viewReceipt(r)}
	if quiesced(r) {
		out.Status = http.StatusOK
	}
	return out
}

// quiesced: nobody holds authority over anything the receipt is about: the one
// job whose verdict it has, or all that the order covers.
func quiesced(r job.Receipt) bool {
	if r.Verdict != "" {
		return r.Verdict != job.Waiting && r.Verdict != job.Deaf
	}
	return r.Stage == job.Quiesced
}

// ofJob answers the kill of one job. A job that a wider order covers already is
// answered with that order, but to somebody who may not read everything only as
// far as it is about this job.
func (d *Door) ofJob(ctx context.Context, p access.Permit, r job.Receipt, seconds int64) *receipted {
	if r.Order.Scope.Kind == job.ScopeJob {
		return receiptOf(await(ctx, r, seconds, d.cfg.Orders.Receipt))
	}
	r = await(ctx, r, seconds, d.under(p.Scope().Job, r))
	if _, err := access.Authorize(p.Actor(), access.Read, access.WholeFleet()); err != nil {
		r = narrow(r, p.Scope().Job)
	}
	return receiptOf(r)
}

// narrow leaves of a wide order's receipt what is about one job.
func narrow(r job.Receipt, id job.ID) job.Receipt {
	var open []job.Open
	for _, o := range r.Open {
		if o.Job == id {
			open = append(open, o)
		}
	}
	r.Open, r.Missing, r.Unread, r.Tally = open, nil, nil, job.Tally{Targeted: 1}
	switch r.Verdict {
	case job.Stopped:
		r.Tally.Stopped = 1
	case job.NotRunning:
		r.Tally.NotRunning = 1
	case job.AlreadyOver:
		r.Tally.AlreadyOver = 1
	case job.Fenced:
		r.Tally.Fenced = 1
	default:
		r.Tally.Waiting = 1
	}
	return r
}

// under looks at one job under a wider order: that order's own receipt does not
// say when this job is over.
func (d *Door) under(id job.ID, r job.Receipt) func(context.Context, job.ID) (job.Receipt, error) {
	return func(ctx context.Context, order job.ID) (job.Receipt, error) {
		j, err := d.cfg.Jobs.Job(ctx, id)
		if err != nil || !j.State.Over() {
			return r, err
		}
		now := r
		now.Job, now.Verdict = &j, j.Verdict
		if j.Order != order || now.Verdict == "" {
			now.Verdict = job.AlreadyOver
		}
		now.Timeline.Delivered, now.Timeline.Cancelled, now.Timeline.Returned = j.DeliveredAt, j.CancelledAt, j.ReturnedAt
		now.Open = slices.DeleteFunc(slices.Clone(r.Open), func(o job.Open) bool { return o.Job == id })
		return now, nil
	}
}

// await looks at an order until it is quiesced, for at most some seconds. What
// it cannot look up any more it gives back as far as it was, and so it does when
// the time is over in the middle of a look: that one misses partitions.
func await(ctx context.Context, r job.Receipt, seconds int64, look func(context.Context, job.ID) (job.Receipt, error)) job.Receipt {
	if seconds == 0 {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
	defer cancel()
	pause := firstLook
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for !quiesced(r) {
		select {
		case <-ctx.Done():
			return r
		case <-timer.C:
		}
		if next, err := look(ctx, r.Order.ID); err == nil && ctx.Err() == nil {
			r = next
		}
		pause = min(2*pause, lastLook)
		timer.Reset(pause)
	}
	return r
}
