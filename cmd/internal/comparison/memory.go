package comparison

import (
	"context"
	"sync"

	"github.com/rtfm-si/gavel/internal/job"
)

// ledger counts what was paid. It implements job.Runtime for work that nobody
// kills and nobody resumes.
type ledger struct {
	mu   sync.Mutex
	bill Bill
}

// Bill is what a way of asking cost.
type Bill struct {
	Calls, InputTokens, OutputTokens int
	Cost                             job.MicroUSD
}

// granted is a permit that does not expire.
type granted struct{}

// Check implements job.Permit.
func (granted) Check() error { return nil }

// Event implements job.Runtime.
func (l *ledger) Event(ctx context.Context, _ job.Event) error { return context.Cause(ctx) }

// Reserve implements job.Runtime.
func (l *ledger) Reserve(ctx context.Context, _ job.Call) (job.Permit, error) {
	return granted{}, context.Cause(ctx)
}

// Settle implements job.Runtime.
func (l *ledger) Settle(_ context.Context, u job.Usage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bill.Calls++
	l.bill.InputTokens += u.InputTokens
	l.bill.OutputTokens += u.OutputTokens
	l.bill.Cost += u.Cost
	return nil
}

// Checkpoint implements job.Runtime.
func (l *ledger) Checkpoint(ctx context.Context, _ job.Checkpoint) error { return context.Cause(ctx) }

// Progress implements job.Runtime.
func (l *ledger) Progress() {}
