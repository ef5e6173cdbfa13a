package execution

import (
	"context"
	"time"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

// Road gives out jobs.
type Road interface {
	// Grant takes up to slots jobs. A call that failed MUST be repeated with the
	// same nonce until it is answered, or its jobs stand still until reclaimed.
	Grant(ctx context.Context, partition int, nonce string, slots int) (granted []job.Granted, more bool, err error)
	// Wait reports true when the partition may have work, false after a second
	// or so without.
	Wait(ctx context.Context, partition int) (bool, error)
}

// Ender ends claims. Each method answers a retry with the same success, returns
// [job.ErrFenced] for a stale claim, and [job.ErrUnavailable] when it may be
// sent again.
type Ender interface {
	Finish(ctx context.Context, e job.Ending) (job.Ended, error)
	Retry(ctx context.Context, e job.Ending) (job.Ended, error)
	Release(ctx context.Context, e job.Ending) (job.Ended, error)
	Park(ctx context.Context, e job.Ending) (job.Ended, error)
}

// Keeper renews claims and says whether they may be trusted.
type Keeper interface {
	// Hold takes charge of a claim asked for at since. cancel is called at most
	// once, with a *job.Stop.
	Hold(id job.ID, claim job.Claim, since clock.Instant, cancel context.CancelCauseFunc)
	Trusted(id job.ID, claim job.Claim) bool
	Drop(id job.ID, claim job.Claim)
	// Run renews until ctx ends.
	Run(ctx context.Context)
}

// Hints keeps the orders heard of since a mark, so that one which overtakes the
// reply of a grant is not lost.
type Hints interface {
	Mark() uint64
	// Since returns the hints that arrived after a mark, and forgets the mark.
	Since(mark uint64) []job.Hint
}

// Table is the fleet's table of workers.
type Table interface {
	// Leave takes the worker off the table; unreturned claims are flagged.
	Leave(ctx context.Context, partition int, unreturned map[job.ID]job.Claim) error
}

// Money reserves and settles.
type Money interface {
	Reserve(ctx context.Context, id job.ID, claim job.Claim, c job.Call) error
	Settle(ctx context.Context, id job.ID, u job.Usage) error
}

// Journal keeps a job's events and checkpoints.
type Journal interface {
	// Event appends under the claim; the nonce makes a retry append once.
	Event(ctx context.Context, id job.ID, claim job.Claim, nonce string, e job.Event) error
	Checkpoint(ctx context.Context, id job.ID, claim job.Claim, c job.Checkpoint) error
	// Transcribe keeps one call under the claim, and leaves out what would pass
	// [MaxTranscript]; the nonce makes a retry keep once.
	Transcribe(ctx context.Context, id job.ID, claim job.Claim, nonce string, data []byte) error
	// Last returns the newest checkpoint that can be read, nil when there is
	// none, and how many newer ones were damaged.
	Last(ctx context.Context, id job.ID) (c *job.Checkpoint, damaged int, err error)
}

// Meter counts. Its methods MUST NOT block.
type Meter interface {
	// Granted: n jobs came from the road.
	Granted(n int)
	// Ended: a claim ended by finish, retry, release or park.
	Ended(how string, s job.State, cause string)
	// Refused: a write was refused, because its claim is no longer valid.
	Refused()
	// Killed: a kill was confirmed. The scope is empty when no hint told of it.
	Killed(scope job.ScopeKind, k job.KillSteps)
}

// noMeter counts nothing.
type noMeter struct{}

func (noMeter) Granted(int)                         {}
func (noMeter) Ended(string, job.State, string)     {}
func (noMeter) Refused()                            {}
func (noMeter) Killed(job.ScopeKind, job.KillSteps) {}

// Tracer follows runs from process to process.
type Tracer interface {
	// Run begins the trail of a claim that was asked for at a time. ctx carries it
	// from then on.
	Run(ctx context.Context, g job.Granted, asked time.Time) (context.Context, Trail)
}

// Trail is what one claim leaves for who looks at it later. Its methods MUST NOT
// block.
type Trail interface {
	// Event: something of that type happened. What it said is not for a trail.
	Event(kind string)
	// Saved: a checkpoint was accepted.
	Saved(c job.Checkpoint)
	// Reserved: a paid call may be made. Settled: it was booked.
	Reserved(c job.Call)
	Settled(u job.Usage)
	// Ended: the claim ended by finish, retry, release or park, or was lost or left
	// behind; the last that is told, and the first where it is told twice.
	Ended(how, cause string, e job.Ended)
}

// noTracer follows nothing.
type noTracer struct{}

func (noTracer) Run(ctx context.Context, _ job.Granted, _ time.Time) (context.Context, Trail) {
	return ctx, noTrail{}
}

type noTrail struct{}

func (noTrail) Event(string)                    {}
func (noTrail) Saved(job.Checkpoint)            {}
func (noTrail) Reserved(job.Call)               {}
func (noTrail) Settled(job.Usage)               {}
func (noTrail) Ended(string, string, job.Ended) {}

// Config is a worker's settings. The zero value of each field has the default
// that is named.
type Config struct {
	// ID names the worker; required, unique in the fleet.
	ID string
	// Partitions to take from; required.
	Partitions []int
	// Slots is how many jobs run at once; 0 means 8.
	Slots int
	// Poll is how often an idle worker looks at the road without being woken,
	// jittered by half; 0 means 2 s.
	Poll time.Duration
	// Trust is S, for jobs whose grant was answered late; 0 means 10 s.
	Trust time.Duration
	// DrainFinish is how long jobs may finish after SIGTERM; default 0.
	DrainFinish time.Duration
	// DrainGrace is how long cancelled work may take to reach a checkpoint and
	// return; 0 means 5 s.
	DrainGrace time.Duration
	// DrainSettle is how long the last writes may take after that; 0 means 5 s.
	DrainSettle time.Duration
	// KillPatience is how long killed work may take to return before the worker
	// counts as deaf, hands its other jobs back and leaves; 0 means 30 s.
	KillPatience time.Duration
	// Timeout bounds one attempt when the job does not; 0 means 30 min.
	Timeout time.Duration
	// Silence is how long the work may show no sign of life; 0 means 10 min.
	Silence time.Duration
	// Quiet is from when on a job counts as one without progress; it changes
	// nothing for the job. 0 means 2 min.
	Quiet time.Duration
	// Backoff is the first delay after a failed attempt; it doubles up to a
	// hundred times that. 0 means 1 s.
	Backoff time.Duration
	// StorePatience is how long an attempt waits for a checkpoint store that is
	// away, before it fails and is tried again; 0 means 1 min.
	StorePatience time.Duration
	// PermitAge is how long a permit is good for; 0 means 250 ms.
	PermitAge time.Duration
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.Poll, 2*time.Second)
	set(&c.Trust, 10*time.Second)
	set(&c.DrainGrace, 5*time.Second)
	set(&c.DrainSettle, 5*time.Second)
	set(&c.KillPatience, 30*time.Second)
	set(&c.Timeout, 30*time.Minute)
	set(&c.Silence, 10*time.Minute)
	set(&c.Quiet, 2*time.Minute)
	set(&c.Backoff, time.Second)
	set(&c.PermitAge, 250*time.Millisecond)
	set(&c.StorePatience, time.Minute)
	if c.Slots == 0 {
		c.Slots = 8
	}
	return c
}
