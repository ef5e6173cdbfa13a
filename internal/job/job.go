package job

import "time"

// Submission is what an upstream service asks for: one deliberation to run.
type Submission struct {
	// ID is drawn by the dispatcher before the first send.
	ID ID
	// Owner is the paying tenant. Submitter is who asked: the same subject, or
	// a service acting on the owner's behalf.
	Owner, Submitter string
	// Kind chooses the executor.
	Kind   string
	Labels map[string]string
	// Input is a JSON object, at most [MaxInput] bytes.
	Input []byte
	// Models are those that the input names.
	Models []string
	// Budget is the most the job may spend; 0 means the fleet's default.
	Budget MicroUSD
	// MaxAttempts is how many counted attempts without checkpoint progress end
	// the job as failed; 0 means the default of 3.
	MaxAttempts int
	// Timeout bounds one attempt; 0 means the worker's default.
	Timeout time.Duration
	// IdempotencyKey is scoped to (owner, submitter). Digest identifies the body
	// it was first used with.
	IdempotencyKey, Digest string
	// From, when set, is a job of the same owner that was killed or failed: this
	// one goes on from its checkpoint FromSeq. Who is written into the audit then.
	From    ID
	FromSeq uint64
	Who     []byte
	// Trace is the span that asked for the job, as a W3C traceparent; empty for
	// none.
	Trace string
}

// Limits of a submission, checked at the door and stated in the API's errors.
const (
	MaxInput       = 1 << 20 // bytes
	MaxLabels      = 16
	MaxLabelKey    = 63   // bytes
	MaxLabelValue  = 255  // bytes
	MaxReason      = 1024 // bytes
	MaxName        = 128  // bytes: owner, submitter, kind, actor
	MaxKey         = 255  // bytes of an idempotency key
	MaxIncident    = 128  // bytes
	DefaultRetries = 3    // counted attempts without progress before a job fails
)

// Job is the record of one deliberation as readers see it.
type Job struct {
	ID               ID
	Owner, Submitter string
	Kind             string
	Labels           map[string]string
	Input            []byte
	State            State
	// Seq numbers the jobs of a partition in the order they were accepted. A
	// horizon compares against it.
	Seq uint64

	// Claim is the hold a worker has on the job; zero unless it is running.
	Claim Claim
	// Attempts counts failed tries since the last checkpoint progress. Drain and
	// the end of a worker's trust do not count.
	Attempts, MaxAttempts int
	// Grants counts every grant, for people to see.
	Grants int
	// Checkpoint is the number of the last accepted checkpoint; 0 is none.
	Checkpoint uint64
	Timeout    time.Duration
	// ResumedFrom is the job whose checkpoint ResumedSeq this one began at.
	ResumedFrom ID
	ResumedSeq  uint64
	// Trace is the span that submitted it, as a W3C traceparent; empty for none.
	Trace string
	// TranscriptFull: there was more to keep of its calls than may be kept.
	TranscriptFull bool

	Budget, Reserved, Spent MicroUSD

	// Order is the kill order that stands over the job, if any; OrderMark is what
	// the record keeps of it.
	Order     ID
	OrderMark OrderMark
	// ParkReason is input, budget, blocked or operator; BlockedBy is the standing
	// order of a blocked job.
	ParkReason string
	BlockedBy  ID
	// ShortOf is what a job parked for budget waits for: its own budget ("job"),
	// the window of its owner or of the fleet, or the thaw after the breaker.
	ShortOf   string
	Questions []byte
	Answers   []byte

	Outcome State
	// Cause is why: "done", "killed", "attempts", "error", "deadline", …
	Cause  string
	Result []byte
	Error  string
	// LateResult came after an order stood; kept for post-mortem.
	LateResult           []byte
	KilledBy, KillReason string
	Verdict              Verdict
	// AllowResume: the order that killed it lets its owner go on from a checkpoint
	// of it.
	AllowResume  bool
	SpentAtOrder MicroUSD
	// Unbooked: it is dead behind an order, and its record does not say so yet.
	Unbooked bool

	CreatedAt, QueuedAt, GrantedAt, DueAt, EndedAt, KilledAt time.Time
	DeliveredAt, CancelledAt, ReturnedAt                     time.Time
}

// Visible is the state a reader is shown: [Killing] while an order stands over
// a job that is not yet over.
func (j Job) Visible() State {
	if j.Order != "" && !j.State.Over() {
		return Killing
	}
	return j.State
}

// Behind returns the job as it is behind an order that its record does not know of:
// dead from that instant if nobody holds it, under the order otherwise. A job that
// is over, or under an order, stays as it is.
func (j Job) Behind(order ID, m OrderMark) Job {
	if j.Order != "" || j.State.Over() {
		return j
	}
	j.Order, j.OrderMark = order, m
	if j.State == Running {
		return j
	}
	j.State, j.Outcome, j.Cause, j.Verdict, j.Unbooked = Killed, Killed, "killed", NotRunning, true
	j.KilledBy, j.KillReason, j.KilledAt, j.EndedAt = m.Actor, m.Reason, m.At, m.At
	return j
}

// Claim is one worker's hold on one job. It is valid iff the record is running
// and both parts are equal; never the epoch alone.
type Claim struct {
	Worker string
	// Epoch is the fencing token, "n.random": n grows at each grant, the random
	// half is drawn by the worker before its first send. Compare for equality.
	Epoch string
}

// Zero reports whether the claim holds nothing.
func (c Claim) Zero() bool { return c == Claim{} }

// Granted is one job a worker has just been given.
type Granted struct {
	Job   Job
	Claim Claim
	// Bad is set when the record could not be read: the worker fails the job.
	Bad error
}

// Ending is how a claim ends a job.
type Ending struct {
	ID    ID
	Claim Claim
	// Outcome is Succeeded or Failed; an order makes it Killed.
	Outcome State
	Cause   string
	Result  []byte
	Error   string
	// Due is when the next attempt may start (retry only).
	Due time.Time
	// Reason and Questions are for park only.
	Reason    string
	Questions []byte
	// SinceDelivered, SinceCancelled and SinceReturned are how long ago these
	// steps of a kill were, by the worker's clock; negative: they did not happen.
	SinceDelivered, SinceCancelled, SinceReturned time.Duration
}

// Ended is what ending a claim answered.
type Ended struct {
	// State is where the job is now.
	State State
	// Order is set when the job was killed, Trace then to the span that ordered
	// it, as far as it is known.
	Order ID
	Trace string
	// Steps are those of the kill, nil when this ending did not confirm one that
	// its worker had heard of.
	Steps *KillSteps
}

// KillSteps is how long after its order was recorded a kill arrived at its job,
// cancelled it, and saw its work return.
type KillSteps struct{ Delivered, Cancelled, Returned time.Duration }

// Renewal is what a renewal said of one job.
type Renewal struct {
	ID ID
	// Lost: the claim is no longer valid.
	Lost bool
	// Killed is the order that covers the job, nil when none does.
	Killed *Stop
}

// Beat is what one renewal answered.
type Beat struct {
	N        int64
	GateHead string
	Renewals []Renewal
}

// Ripe says which leases may be taken: those whose score is below Before, on
// the server RunID, as watched by Sampler under Nonce.
type Ripe struct {
	Sampler, Nonce, RunID string
	Before                int64
}

// Reclaimed is one job taken from a silent worker.
type Reclaimed struct {
	ID     ID
	Worker string
	// State is where it went: queued, delayed, failed or killed.
	State State
}

// Hint is an order as the control stream announces it: fast, and not the truth.
type Hint struct {
	Partition int
	Order     Order
	// Wide is the scope of the order, where the hint's own is one job of it.
	Wide ScopeKind
	// Gap: entries may have been missed; ask for a renewal of everything.
	Gap bool
}
