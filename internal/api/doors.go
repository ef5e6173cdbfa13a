package api

import (
	"context"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// Errors that every door below may return, besides its own: an error wrapping
// [job.ErrUnavailable] when Redis refused the call (nothing happened), and one
// wrapping [job.ErrOutcomeUnknown] when its reply was lost (the same request
// may be sent again and gets the same answer).

// Jobs is where jobs are accepted and read.
type Jobs interface {
	// Submit accepts a job, once per (owner, submitter, idempotency key). The
	// submission has been checked, but for its ID, which is empty: Submit draws
	// it. It returns *job.Conflict, *job.Frozen, *job.Blocked or
	// *job.CapReached when refused.
	Submit(ctx context.Context, s job.Submission) (job.Admission, error)
	// Job returns job.ErrUnknown for an id that does not exist or carries a
	// partition that the fleet does not have.
	Job(ctx context.Context, id job.ID) (job.Job, error)
	// Answer brings a job that asked its owner back to the road, once per mark,
	// audits it, and returns its state after it; job.ErrUnknown, or
	// *job.NotWaiting when the job asks nothing. Who may was checked before.
	Answer(ctx context.Context, a job.Answering) (job.State, error)
	// List returns one page, newest first. The cursor is one it gave before.
	List(ctx context.Context, q job.Query) (job.Page, error)
}

// Checkpoints are the states that a job can be resumed from.
type Checkpoints interface {
	// Checkpoints returns those that are kept, by number, without their data;
	// none is an empty slice. Damaged ones are among them.
	Checkpoints(ctx context.Context, id job.ID) ([]job.Kept, error)
	// Checkpoint returns one with its data, job.ErrUnknown for a number that is
	// not kept, or *job.DamagedCheckpoint.
	Checkpoint(ctx context.Context, id job.ID, seq uint64) (job.Kept, error)
}

// Transcripts are the calls of jobs that asked to have them kept.
type Transcripts interface {
	// Transcript returns up to limit calls behind a position (empty: from the
	// start), oldest first; none is an empty slice.
	Transcript(ctx context.Context, id job.ID, after string, limit int) ([]job.Transcribed, error)
}

// Raises is where parked jobs are brought back by hand.
type Raises interface {
	// Raise brings a parked job back, with a raised budget (0 keeps it), and
	// returns where it is then. Its script writes the audit entry. It returns
	// job.ErrUnknown, *job.NotParked, or *job.BudgetUsedUp for a budget that is
	// spent already.
	Raise(ctx context.Context, id job.ID, budget job.MicroUSD, who []byte) (job.State, error)
}

// Events is where a job's events are read.
type Events interface {
	// Read returns up to limit events after the position (empty: from the
	// start), of every audience, waiting up to wait for the first one, or not at
	// all for 0; none is an empty slice and nil, and may come sooner. It returns
	// soon after ctx is done.
	Read(ctx context.Context, id job.ID, after string, wait time.Duration, limit int) ([]job.StreamEvent, error)
}

// Orders is where kills are ordered and their receipts read.
//
// The order given carries its Scope (the permit's), Actor, Reason, Incident,
// Freeze and RequestedAt. The key is the caller's idempotency key, empty if none
// was given: the same actor's same key MUST give the same order.
type Orders interface {
	// Kill records an order over the permit's one job and returns its receipt as
	// far as it is known then; for a job that an earlier order covers, the
	// receipt of that one. The script audits what it allows and what it denies:
	// when Kill returns job.ErrUnknown, for a job that does not exist or that is
	// not the permit's MustOwn's, the entry is written. The door has looked at
	// the id's partition before.
	Kill(ctx context.Context, p access.Permit, o job.Order, key string) (job.Receipt, error)
	// Preview counts what an order over the permit's scope, that of KillAll,
	// would reach now. It changes nothing.
	Preview(ctx context.Context, p access.Permit) (job.Preview, error)
	// KillAll records an order over the permit's scope, an owner, the fleet or
	// what a selector asks for. Check says by what the caller showed to know
	// what they do, Expected how many jobs a preview had counted.
	KillAll(ctx context.Context, p access.Permit, o job.Order, key string) (job.Receipt, error)
	// Receipt returns what an order has done so far, or job.ErrUnknown. Job is
	// set for the order of a single job.
	Receipt(ctx context.Context, order job.ID) (job.Receipt, error)
	// Orders lists the last orders, newest first, with stage and tally; Open,
	// Job and Timeline may be left out.
	Orders(ctx context.Context, limit int) (orders []job.Receipt, missing []int, err error)
}

// Blocks are the standing orders. Its scripts write their audit entries
// themselves, what they refuse included.
type Blocks interface {
	// Block makes one; the same actor's same key MUST give the same. Missing
	// names the partitions in which it does not stand yet. It returns
	// job.ErrTooManyBlocks when there are too many.
	Block(ctx context.Context, p access.Permit, b job.Block, key string) (job.Block, error)
	// Lift ends one if the gate's heads, joined by commas, are still those seen,
	// and returns *job.StaleGate otherwise; job.ErrUnknown for what is no
	// standing order. Lifting a lifted one changes nothing.
	Lift(ctx context.Context, p access.Permit, id job.ID, seen, reason, key string) (job.Block, error)
	// Blocks lists those that stand somewhere, oldest first, and the gate's heads.
	Blocks(ctx context.Context) ([]job.Block, []string, error)
}

// Gate is the fleet's gate. Its scripts write their audit entries themselves.
type Gate interface {
	State(ctx context.Context) (job.Gate, error)
	// Freeze closes it; closing a closed gate changes nothing.
	Freeze(ctx context.Context, p access.Permit, reason, incident, key string) (job.Gate, error)
	// Thaw opens it if its heads, joined by commas, are still those seen, and
	// returns *job.StaleGate otherwise. Opening an open gate changes nothing.
	Thaw(ctx context.Context, p access.Permit, t job.Thawing, key string) (job.Gate, error)
	// Adopt says that the gates of now are the truth, after data were lost.
	Adopt(ctx context.Context, p access.Permit, reason, key string) (job.Gate, error)
	// Losses are the gates that do not know what this process has seen of them.
	Losses() []job.Loss
}

// Drills is where kill drills are written down.
type Drills interface {
	// Drill writes one down; its script writes the audit entry. The same actor's
	// same key MUST be the same entry.
	Drill(ctx context.Context, p access.Permit, d job.Drill, key string) error
}

// Fleet is the view of the whole.
type Fleet interface {
	View(ctx context.Context) (job.Fleet, error)
}

// Books are where spend is told and limits are set.
type Books interface {
	// Spend tells what is being spent: of one owner, or of everybody.
	Spend(ctx context.Context, q job.SpendQuery) (job.Spend, error)
	// Budgets tells the limits of the fleet, then of every owner who has some of
	// their own; Budget those of one owner, or of the fleet for an empty one.
	Budgets(ctx context.Context) ([]job.Budget, error)
	Budget(ctx context.Context, owner string) (job.Budget, error)
	// SetBudget sets the limits of an owner, or of the fleet for an empty one, and
	// tells what holds then; no limits are the defaults again. Its script writes
	// the audit entry.
	SetBudget(ctx context.Context, p access.Permit, owner string, l job.Limits, reason string) (job.Budget, error)
}

// Audit is the log of control acts.
type Audit interface {
	// Deny writes down an act that was refused at the door, before any script:
	// Act, Rule and Who are set, and Fields has scope, subject (which job or
	// owner, as far as the caller's words are fit to be stored), reason and
	// incident.
	Deny(ctx context.Context, e job.AuditEntry) error
	// List returns entries, newest first, and the cursor of the next page, empty
	// at the end; the cursor is one it gave.
	List(ctx context.Context, q job.AuditQuery, cursor string, limit int) ([]job.AuditEntry, string, error)
	// Page returns up to limit entries of a partition behind the one with that id
	// (empty: from the start), oldest first and whole, with how far they are
	// sealed. The partition is one of the fleet's, the id has been checked.
	Page(ctx context.Context, partition int, after string, limit int) (job.AuditPage, error)
}

// Keys are the API keys that are made through the API.
type Keys interface {
	// Create makes a key and returns its secret. It returns an error wrapping
	// access.ErrBadKey, access.ErrKeyMade, or access.ErrTooManyKeys; its script
	// writes the audit entry.
	Create(ctx context.Context, p access.Permit, like access.Key, at time.Time, key string) (access.IssuedKey, string, error)
	// Keys lists them, oldest first.
	Keys(ctx context.Context) ([]access.IssuedKey, error)
	// Revoke ends one, or returns job.ErrUnknown; both are audited.
	Revoke(ctx context.Context, p access.Permit, id, reason, key string) error
}
