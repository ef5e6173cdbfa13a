package job

import (
	"errors"
	"fmt"
	"time"
)

// Verdict is what became of one job under an order.
type Verdict string

// The verdicts. Waiting and Deaf are open; the others are final.
const (
	// Stopped: its worker confirmed, by the write that ended the job.
	Stopped Verdict = "stopped"
	// NotRunning: it was queued, delayed, held or parked and never started again.
	NotRunning Verdict = "not_running"
	// AlreadyOver: it had ended before the order (single and selector orders).
	AlreadyOver Verdict = "already_over"
	// Fenced: its worker was unreachable and its lease was watched to stand
	// still for T.
	Fenced Verdict = "fenced"
	// Waiting: a worker still holds authority over it.
	Waiting Verdict = "waiting"
	// Deaf: waiting, and its worker reports that the work ignores its context.
	Deaf Verdict = "deaf"
)

// ScopeKind is how far an order reaches.
type ScopeKind string

// The scopes.
const (
	ScopeJob   ScopeKind = "job"
	ScopeOwner ScopeKind = "owner"
	ScopeFleet ScopeKind = "fleet"
	// ScopeSelector is met by a walk, not in one instant.
	ScopeSelector ScopeKind = "selector"
)

// Scope is what an order covers.
type Scope struct {
	Kind  ScopeKind
	Job   ID     // for ScopeJob
	Owner string // for ScopeOwner
	// Selector is for ScopeSelector, nil otherwise; nobody changes it.
	Selector *Selector
}

// ErrBadScope is wrapped by [Scope.Check].
var ErrBadScope = errors.New("bad scope")

// Check refuses a scope that names nothing or too much: a fleet scope with an
// owner is a mistake, not a wish.
func (s Scope) Check() error {
	if (s.Selector != nil) != (s.Kind == ScopeSelector) {
		return fmt.Errorf("%w: a selector goes with the scope selector, and only with it", ErrBadScope)
	}
	switch s.Kind {
	case ScopeSelector:
		if s.Owner != "" || s.Job != "" {
			return fmt.Errorf("%w: a selector scope names an owner in its selector, and no job", ErrBadScope)
		}
		return s.Selector.Check()
	case ScopeJob:
		if s.Job == "" || s.Owner != "" {
			return fmt.Errorf("%w: a job scope names one job and nothing else", ErrBadScope)
		}
	case ScopeOwner:
		if s.Owner == "" || s.Job != "" {
			return fmt.Errorf("%w: an owner scope names one owner and nothing else", ErrBadScope)
		}
	case ScopeFleet:
		if s.Owner != "" || s.Job != "" {
			return fmt.Errorf("%w: a fleet scope names neither owner nor job", ErrBadScope)
		}
	default:
		return fmt.Errorf("%w: %q; want job, owner, fleet or selector", ErrBadScope, s.Kind)
	}
	return nil
}

// Order is a durable decision to kill.
type Order struct {
	ID       ID
	Scope    Scope
	Actor    string
	Reason   string
	Incident string
	// Freeze: the gate was closed in the same step (fleet orders).
	Freeze bool
	// ByAdmin: it was issued by an operator, an admin or the fleet itself, and not
	// by the owner or submitter of its one job.
	ByAdmin bool
	// AllowResume: the owner may go on from a checkpoint of what it killed though
	// it came from above.
	AllowResume bool
	// Check is by what the caller showed to know what they do: "preview",
	// "confirm", "break-glass" or "breaker"; empty for a single job. Expected is how many
	// jobs the preview counted. Both are for the audit.
	Check    string
	Expected int64
	// Trace is the span that ordered it, as a W3C traceparent; empty for none.
	Trace string
	// RequestedAt is when the dispatcher read the request, on its own clock;
	// RecordedAt is Redis's time in the script that made the order durable.
	RequestedAt, RecordedAt time.Time
	// Horizon per partition: every covered job has Seq ≤ it. Nil for ScopeJob; a
	// selector order reaches no further, and of these only what its walk met.
	Horizon map[int]uint64
}

// OrderMark is what a job's record keeps of the order over it.
type OrderMark struct {
	Actor, Reason string
	At            time.Time
}

// Covers reports whether the order reaches a job of that owner and seq, in the
// partition p.
func (o Order) Covers(p int, id ID, owner string, seq uint64) bool {
	switch o.Scope.Kind {
	case ScopeJob:
		return o.Scope.Job == id
	case ScopeOwner:
		return o.Scope.Owner == owner && seq <= o.Horizon[p]
	case ScopeFleet:
		return seq <= o.Horizon[p]
	default:
		return false
	}
}
