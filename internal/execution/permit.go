package execution

import (
	"context"
	"time"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

// permit is the right to make one paid call. It is as old as the SEND of the
// reservation that gave it, on whichever clock says the most.
type permit struct {
	live func() error // why the job must stop, nil while it need not; trust included
	sent clock.Instant
	age  time.Duration
}

// Check is the last statement before a paid call. A timer cannot do this: after
// a pause it fires too late.
func (p permit) Check() error {
	if err := p.live(); err != nil {
		return err
	}
	if clock.Since(p.sent) > p.age {
		return job.ErrPermitExpired
	}
	return nil
}

// stopped returns the cause a context was cancelled with, or nil.
func stopped(ctx context.Context) func() error {
	return func() error { return context.Cause(ctx) }
}
