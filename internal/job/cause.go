package job

import (
	"context"
	"errors"
	"fmt"
)

// StopKind is why a job's context was cancelled.
type StopKind string

// The closed set of causes. Each has its own consequence in the runner.
const (
	// StopKilled: an order stands. The only outcome left is killed.
	StopKilled StopKind = "killed"
	// StopDraining: the worker leaves. The job goes back on the road.
	StopDraining StopKind = "draining"
	// StopLeaseLost: the worker may no longer trust its lease. It writes nothing
	// and pays for nothing from here on.
	StopLeaseLost StopKind = "lease lost"
	// StopBudget: the job's money is used up. It parks.
	StopBudget StopKind = "budget"
	// StopDeadline: the attempt took longer than its timeout.
	StopDeadline StopKind = "deadline"
	// StopNoProgress: the work was silent for longer than the watchdog allows.
	StopNoProgress StopKind = "no progress"
)

// Stop is the cause a job's context is cancelled with. Find it with [StopOf].
type Stop struct {
	Kind StopKind
	// Order, Actor and Reason are set for StopKilled.
	Order         ID
	Actor, Reason string
	// Trace is the span that ordered it, empty when that is not known.
	Trace string
	// Scope is that of the order, empty when the kill was learned from a renewal.
	Scope ScopeKind
	// Detail explains the other kinds.
	Detail string
}

// Error names the cause for logs and for the error a work function returns.
func (s *Stop) Error() string {
	switch {
	case s.Kind == StopKilled:
		return fmt.Sprintf("killed by %s: %s", s.Actor, s.Reason)
	case s.Detail != "":
		return string(s.Kind) + ": " + s.Detail
	default:
		return string(s.Kind)
	}
}

// Is makes errors.Is match two stops of the same kind, so that
// errors.Is(err, &Stop{Kind: StopKilled}) asks "was it killed?".
func (s *Stop) Is(target error) bool {
	t, ok := target.(*Stop)
	return ok && t.Kind == s.Kind
}

// StopOf returns the cause ctx was cancelled with, or nil when ctx is alive or
// was cancelled by something that is not a Stop.
func StopOf(ctx context.Context) *Stop {
	var s *Stop
	if errors.As(context.Cause(ctx), &s) {
		return s
	}
	return nil
}
