package execution

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

// MaxEvent is the largest data of one event, in bytes.
const MaxEvent = 64 << 10

// MaxTranscript is the most that is kept of one job's calls, in bytes.
const MaxTranscript = 8 << 20

// ErrBadEvent is returned for an event that may not be stored.
var ErrBadEvent = errors.New("bad event")

// settleFor bounds how long a settlement is tried after the job was stopped:
// what is not settled is booked as a flagged estimate when the claim ends.
const settleFor = 3 * time.Second

// tailFor bounds an event or a checkpoint that is written after the job was
// stopped. The lease of a killed job is not renewed: after T somebody else books
// it as fenced, and the confirmation must come before that. With H < S/2 and
// T ≥ S/0.8 more than S/2 is left of the lease when the kill is heard.
const tailFor = 2 * time.Second

func tailOf(stop *job.Stop, trust time.Duration) time.Duration {
	if stop != nil && stop.Kind == job.StopKilled {
		return min(tailFor, trust/3)
	}
	return tailFor
}

// runtime implements job.Runtime for one run. It is safe for concurrent use.
type runtime struct {
	w    *Worker
	r    *run
	live func() error // why the job must stop, nil while it need not
	stop func() *job.Stop
	// onStop has something done when it must, unless it is called off.
	onStop func(func()) (callOff func() bool)

	// shift is added to the number of every checkpoint: the work counts on from
	// the one it was given, and Redis from the last that was accepted.
	shift uint64

	// storeGone: a state was given up after the job was stopped, because its store
	// did not answer. Those behind it are not tried: each would wait as long.
	storeGone atomic.Bool

	mu    sync.Mutex
	calls map[string]int // how often a call id was settled in this attempt
}

// A run's context lives in its stop function only: the runtime asks it why the
// job must stop, and does not keep it.
func newRuntime(w *Worker, r *run, ctx context.Context) *runtime { //nolint:revive // ctx is asked, not used to block
	return &runtime{
		w: w, r: r, live: stopped(ctx), stop: func() *job.Stop { return job.StopOf(ctx) }, calls: map[string]int{},
		onStop: func(do func()) func() bool { return context.AfterFunc(ctx, do) },
	}
}

// Event implements job.Runtime.
func (rt *runtime) Event(ctx context.Context, e job.Event) error {
	if strings.HasPrefix(e.Type, "job.") {
		return fmt.Errorf("%w: type %q; job.* is the fleet's own", ErrBadEvent, e.Type)
	}
	if e.Type == "" || len(e.Data) > MaxEvent || !json.Valid(e.Data) {
		return fmt.Errorf("%w: type %q with %d bytes; want a type and a JSON value of at most %d bytes", ErrBadEvent, e.Type, len(e.Data), MaxEvent)
	}
	rt.Progress()
	rt.r.trail.Event(e.Type)
	nonce := rand.Text()
	return rt.tail(ctx, func(ctx context.Context) error {
		return rt.w.rooms.Journal.Event(ctx, rt.r.job.ID, rt.r.claim, nonce, e)
	})
}

// Checkpoint implements job.Runtime.
func (rt *runtime) Checkpoint(ctx context.Context, c job.Checkpoint) error {
	rt.Progress()
	c.Seq += rt.shift
	wait := rt.patience()
	err := rt.tail(ctx, func(ctx context.Context) error {
		if rt.storeGone.Load() {
			return fmt.Errorf("%w: %w", rt.live(), checkpoint.ErrAway)
		}
		return wait(rt.w.rooms.Journal.Checkpoint(ctx, rt.r.job.ID, rt.r.claim, c))
	})
	switch {
	case err == nil:
		rt.r.trail.Saved(c)
	case errors.Is(err, checkpoint.ErrAway) && rt.live() != nil:
		rt.storeGone.Store(true)
	}
	return err
}

// patience lets a call be repeated while the checkpoint store is away, as it is
// while Redis is, but for no longer than StorePatience: nothing ends the job's
// trust meanwhile. Then the attempt fails, and another may be luckier.
func (rt *runtime) patience() func(error) error {
	began := time.Now()
	said := false
	return func(err error) error {
		if !errors.Is(err, checkpoint.ErrAway) {
			return err
		}
		if !said {
			said = true
			rt.r.log.Warn("checkpoint store away; trying again", zap.Error(err))
		}
		if time.Since(began) > rt.w.cfg.StorePatience {
			return fmt.Errorf("%w: %w", job.ErrRetryable, err)
		}
		return fmt.Errorf("%w: %w", job.ErrUnavailable, err)
	}
}

// Record implements job.Recorder.
func (rt *runtime) Record(ctx context.Context, e job.Exchange) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode a call for the transcript: %w", err)
	}
	nonce := rand.Text()
	return rt.tail(ctx, func(ctx context.Context) error {
		return rt.w.rooms.Journal.Transcribe(ctx, rt.r.job.ID, rt.r.claim, nonce, data)
	})
}

// tail makes a write that is still allowed after a stop, until the claim ends:
// a drained or killed job may save what it has, for a while ([tailOf]). A lost
// lease may not.
func (rt *runtime) tail(ctx context.Context, call func(context.Context) error) error {
	stopped := func() error { return errors.Join(rt.live(), context.Cause(ctx)) }
	after := func() time.Duration { return tailOf(rt.stop(), rt.w.cfg.Trust) }
	return rt.insist(ctx, after, stopped, func(ctx context.Context) error {
		if cause := rt.live(); errors.Is(cause, &job.Stop{Kind: job.StopLeaseLost}) {
			return cause
		}
		return rt.fence(call(ctx))
	})
}

// insist repeats a write that Redis does not take: for as long as nothing was
// stopped, and for a while after that. The write's own context is not cancelled
// with the job's: a stop that comes while it is under way must not lose what it
// carries; only when that while is over is it given up, whatever it waits for.
func (rt *runtime) insist(ctx context.Context, after func() time.Duration, stopped func() error, call func(context.Context) error) error {
	aside, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	defer rt.onStop(func() { time.AfterFunc(after(), release) })()
	var until time.Time
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		err := call(aside)
		if err == nil || !errors.Is(err, job.ErrUnavailable) {
			return err
		}
		if cause := stopped(); cause != nil {
			if until.IsZero() {
				until = time.Now().Add(after())
			}
			if aside.Err() != nil || time.Now().After(until) {
				return fmt.Errorf("%w: %w", cause, err)
			}
		}
		pause(aside, wait)
	}
}

// fence stops the run when Redis says that its claim is gone.
func (rt *runtime) fence(err error) error {
	if !errors.Is(err, job.ErrFenced) {
		return err
	}
	rt.w.rooms.Meter.Refused()
	stop := &job.Stop{Kind: job.StopLeaseLost, Detail: "redis refused a write: the claim is no longer valid"}
	rt.r.stop(stop)
	return fmt.Errorf("%w: %w", stop, err)
}

// Reserve implements job.Runtime. The permit's age counts from the send of the
// call that was answered.
func (rt *runtime) Reserve(ctx context.Context, c job.Call) (job.Permit, error) {
	rt.Progress()
	c.ID = rt.booking(c.ID)
	var sent clock.Instant
	err := persist(ctx, func() error {
		if cause := rt.live(); cause != nil {
			return cause
		}
		sent = clock.Now()
		return rt.w.rooms.Money.Reserve(ctx, rt.r.job.ID, rt.r.claim, c)
	})
	if stop := (*job.Stop)(nil); errors.As(err, &stop) && stop.Kind == job.StopKilled {
		rt.r.stop(stop)
	}
	if err != nil {
		return nil, rt.fence(err)
	}
	rt.r.trail.Reserved(c)
	return permit{live: rt.trusted, sent: sent, age: rt.w.cfg.PermitAge}, nil
}

// trusted says why the job may not act any more. It does not wait for the
// keeper to notice that trust has ended: it stops the run itself, so that the
// run ends for this reason and not as failed.
func (rt *runtime) trusted() error {
	if cause := rt.live(); cause != nil {
		return cause
	}
	if !rt.w.rooms.Keeper.Trusted(rt.r.job.ID, rt.r.claim) {
		rt.r.stop(&job.Stop{Kind: job.StopLeaseLost, Detail: "the lease may no longer be trusted"})
	}
	return rt.live()
}

// Settle implements job.Runtime. It works after the job was stopped, and waits
// for Redis as long as the job may: an executor has nothing better to do with a
// call that is paid.
func (rt *runtime) Settle(ctx context.Context, u job.Usage) error {
	rt.Progress()
	id := u.CallID
	u.CallID = rt.booking(id)
	err := rt.insist(ctx, func() time.Duration { return settleFor }, rt.live, func(ctx context.Context) error {
		return rt.w.rooms.Money.Settle(ctx, rt.r.job.ID, u)
	})
	if err != nil {
		rt.r.log.Warn("cost not settled; it is booked as an estimate when the claim ends",
			zap.String("call", u.CallID), zap.Int64("micro_usd", int64(u.Cost)), zap.Error(err))
		return err
	}
	rt.r.trail.Settled(u)
	rt.mu.Lock()
	rt.calls[id]++
	rt.mu.Unlock()
	return nil
}

// booking is the id a call is booked under: its own, the grant it was made in,
// and how often it was settled in that. A call that is made again costs again.
func (rt *runtime) booking(id string) string {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return id + "@" + rt.r.claim.Epoch + "#" + strconv.Itoa(rt.calls[id])
}

// Progress implements job.Runtime.
func (rt *runtime) Progress() {
	rt.r.lives()
	select {
	case rt.r.progress <- struct{}{}:
	default:
	}
}
