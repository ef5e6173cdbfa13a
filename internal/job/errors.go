package job

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnknown is returned for a job or order that does not exist, or whose id
// has the wrong shape or partition. The door answers it with the same bytes as
// for one that belongs to somebody else.
var ErrUnknown = errors.New("no such job")

// ErrUnavailable is wrapped when Redis did not take a call. Nothing is known to
// have happened; the same call may be sent again and gives the same answer.
var ErrUnavailable = errors.New("redis did not take the call")

// ErrOutcomeUnknown is wrapped beside [ErrUnavailable] when a write was sent and
// its reply was lost: it may have happened, now or later. Sending the same
// write again with the same key gives the same answer, and is the way to know.
var ErrOutcomeUnknown = errors.New("the reply was lost; the outcome is unknown")

// ErrFenced is returned by every write of a claim that is no longer valid. The
// caller stops: it holds nothing any more.
var ErrFenced = errors.New("the claim is no longer valid")

// Conflict is returned by a submit whose idempotency key was used before with
// another body.
type Conflict struct{ Existing ID }

func (c *Conflict) Error() string {
	return fmt.Sprintf("the idempotency key was used with another body, for job %s; use a new key for a new job", c.Existing)
}

// Frozen is returned by a submit while the gate is closed.
type Frozen struct{ Reason, Incident, Actor string }

func (f *Frozen) Error() string {
	return fmt.Sprintf("the fleet is frozen by %s: %s", f.Actor, f.Reason)
}

// Blocked is returned by a submit that a standing order refuses.
type Blocked struct {
	Order  ID
	Reason string
}

func (b *Blocked) Error() string {
	return fmt.Sprintf("a standing order (%s) refuses this job: %s", b.Order, b.Reason)
}

// CapReached is returned by a submit when the window of the owner, or of the
// fleet, is used up.
type CapReached struct {
	// Of is "owner" or "fleet".
	Of                   string
	Cap, Spent, Reserved MicroUSD
	Ends                 time.Time
}

func (c *CapReached) Error() string {
	return fmt.Sprintf("%s spent and %s reserved of the %s's %s; the window ends at %s",
		c.Spent, c.Reserved, c.Of, c.Cap, c.Ends.Format(time.RFC3339))
}

// AuthorityLost is returned for what would let something start while a gate
// does not know what this process has seen of it: Redis lost data. An admin has
// to look, and to adopt the gate.
type AuthorityLost struct{ Losses []Loss }

func (a *AuthorityLost) Error() string {
	return fmt.Sprintf("redis lost data in %d partitions: the gate does not know what this process has seen of it; look at what was lost, then adopt it (gavel fleet adopt)", len(a.Losses))
}

// NotParked is returned by a resume of a job that is not parked.
type NotParked struct{ State State }

func (n *NotParked) Error() string {
	return fmt.Sprintf("the job is %s, not parked; there is nothing to resume", n.State)
}

// BudgetUsedUp is returned by a resume whose budget would allow no call.
type BudgetUsedUp struct{ Spent, Budget MicroUSD }

func (b *BudgetUsedUp) Error() string {
	return fmt.Sprintf("%s of %s is spent; resume it with a higher budget", b.Spent, b.Budget)
}

// StaleGate is returned by a thaw or a lift whose caller saw an older gate.
type StaleGate struct{ Now string }

func (s *StaleGate) Error() string {
	return "the gate changed since you looked (it is now " + s.Now + "); look again, then thaw or lift"
}

// RetryAfter is how long a caller should wait after an answer that may change.
const RetryAfter = 2 * time.Second
