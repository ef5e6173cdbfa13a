package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Executor runs a job's work. The built-in deliberation and the child-process
// executor are its two implementations.
//
// Execute MUST return soon after ctx is cancelled, and MUST pay for nothing
// after that. It returns:
//
//   - a result and nil: the job succeeded;
//   - an error that wraps [ErrRetryable]: the attempt failed, another may not;
//   - an error that wraps a [*Park]: put the job aside;
//   - an error that wraps a [*Stop], or ctx's own error: it was stopped; the
//     runner acts on the context's cause, not on the error;
//   - any other error: the job failed for good.
//
// Execute may be called again for the same job, here or on another worker,
// with the last accepted checkpoint: execution is at-least-once, commit is
// at-most-once.
type Executor interface {
	Execute(ctx context.Context, work Work, rt Runtime) (Result, error)
}

// Work is one attempt at one job, as an executor sees it. It knows nothing of
// leases, orders or Redis.
type Work struct {
	ID       ID
	Owner    string
	Kind     string
	Labels   map[string]string
	Input    json.RawMessage
	Attempt  int // 1 for the first counted attempt
	Budget   MicroUSD
	Spent    MicroUSD
	Deadline time.Time // zero: none
	// Checkpoint is the last accepted one, nil on a fresh start.
	Checkpoint *Checkpoint
	// Answers are what the owner answered since the job parked for input.
	Answers json.RawMessage
}

// Result is what a job that succeeded has to show: one JSON object.
type Result json.RawMessage

// Runtime is what an executor may ask of the worker that runs it. Every method
// fails with the context's cause once the claim is fenced or killed.
type Runtime interface {
	// Event appends to the job's event stream. Ordered; at-least-once.
	Event(ctx context.Context, e Event) error
	// Reserve asks for money and permission for ONE paid call, before it. The
	// returned permit MUST be checked with [Permit.Check] as the last statement
	// before the request is sent; when it fails, reserve again.
	// It returns an error wrapping [*Park] when the budget does not allow it.
	Reserve(ctx context.Context, c Call) (Permit, error)
	// Settle books what a call really cost, once per call id; an aborted call is
	// settled with Estimated set. It works after ctx is cancelled.
	Settle(ctx context.Context, u Usage) error
	// Checkpoint returns only after the state is durable under this claim.
	Checkpoint(ctx context.Context, c Checkpoint) error
	// Progress tells the watchdog that the work is alive. It never blocks.
	Progress()
}

// Permit is the right to make one paid call, good for a quarter of a second.
type Permit interface {
	// Check returns nil if the call may be sent now, and otherwise why not: the
	// permit is too old (errors.Is(err, ErrPermitExpired): reserve again), or
	// the job was stopped (the context's cause).
	Check() error
}

// Event is one thing that happened in a job, as its owner may read it.
type Event struct {
	// Type is a dotted word: "round.started", "contribution".
	Type string
	// Audience is "owner" (the default) or "admin".
	Audience string
	// Data is a JSON object of at most 64 KiB.
	Data json.RawMessage
}

// Call is a paid call about to be made.
type Call struct {
	// ID is unique within the job and stable over attempts: a resumed job asks
	// for the same call under the same id.
	ID    string
	Model string
	// Max is the worst case: input plus max_tokens at list price.
	Max MicroUSD
}

// Usage is what a call cost.
type Usage struct {
	CallID                    string
	Model                     string
	InputTokens, OutputTokens int
	Cost                      MicroUSD
	// Estimated marks a cost that the provider did not confirm: the call was
	// aborted, or its reservation ended with the claim.
	Estimated bool
}

// Checkpoint is a state a job can be resumed from.
type Checkpoint struct {
	// Seq grows by at least one with each checkpoint of a job.
	Seq uint64
	// Node names the step it was taken after.
	Node string
	Data []byte
}

// ErrRetryable is wrapped by an executor's error when another attempt may
// succeed: a model server that answered 503, a child process that exited 75.
var ErrRetryable = errors.New("retryable")

// ErrPermitExpired is returned by [Permit.Check] when the permit is older than
// it is good for. Reserve again.
var ErrPermitExpired = errors.New("permit expired: reserve again")

// Park is returned, wrapped, by an executor or by [Runtime.Reserve] to put the
// job aside without a worker.
type Park struct {
	// Reason is "input" or "budget".
	Reason string
	// Questions go to the owner when Reason is "input".
	Questions json.RawMessage
	Detail    string
}

func (p *Park) Error() string { return fmt.Sprintf("parked: %s: %s", p.Reason, p.Detail) }
