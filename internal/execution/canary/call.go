package canary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// model is the name a canary's calls are booked under.
const model = "canary"

const (
	// maxPermits bounds how often one call reserves again because the machine
	// took longer than a permit is good for.
	maxPermits = 8
	// settleFor is how long settling may take after the job was stopped.
	settleFor = 3 * time.Second
)

// call makes one paid call.
func (r *run) call(ctx context.Context, id string) error {
	if err := r.witness.connect(ctx); err != nil {
		return broken(ctx, "call", id, err)
	}
	c := job.Call{ID: id, Model: model, Max: r.in.Cost}
	for range maxPermits {
		permit, err := r.rt.Reserve(ctx, c)
		if err != nil {
			return broken(ctx, "reserve", id, err)
		}
		sent, err := r.witness.post(ctx, r.work.ID, id, permit.Check)
		if !sent && errors.Is(err, job.ErrPermitExpired) {
			continue
		}
		if sent {
			r.state.Calls++
		}
		return r.settle(ctx, id, sent, err)
	}
	err := r.settle(ctx, id, false, nil)
	return errors.Join(fmt.Errorf("call %s: %w: %d permits in a row were too old", id, job.ErrRetryable, maxPermits), err)
}

// settle books what a call cost: nothing when it was not sent or was refused, an
// estimate when nobody answered.
func (r *run) settle(ctx context.Context, id string, sent bool, err error) error {
	u := job.Usage{CallID: id, Model: model}
	var refusal *statusError
	if sent && !errors.As(err, &refusal) {
		u.Cost, u.Estimated = r.in.Cost, err != nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleFor)
	defer cancel()
	booked := r.rt.Settle(last, u)
	if booked != nil {
		booked = broken(ctx, "settle", id, booked)
	}
	if err != nil {
		err = broken(ctx, "call", id, err)
	}
	return errors.Join(err, booked)
}
