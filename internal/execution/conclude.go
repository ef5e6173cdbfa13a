package execution

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// write is one of the ways a claim ends.
type write func(context.Context, job.Ending) (job.Ended, error)

// conclude writes how the run ended, again and again while Redis does not
// answer, for as long as the process lives. Its context is its own: nothing
// that stopped the job may stop this.
func (w *Worker) conclude(ctx context.Context, r *run, result job.Result, err error) {
	stop := job.StopOf(ctx)
	verb, end, e := w.verdict(r, result, err, stop)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		k := r.times()
		e.SinceDelivered, e.SinceCancelled, e.SinceReturned = since(k.delivered), since(k.cancelled), since(k.returned)
		ended, werr := end(context.WithoutCancel(ctx), e)
		if werr == nil {
			w.count(r, verb, ended, e.Cause)
			r.over(verb, e.Cause, ended)
			r.log.Info("job "+string(ended.State), zap.String("by", verb), zap.String("cause", e.Cause),
				zap.String("order", string(ended.Order)), zap.NamedError("work", told(err)))
			return
		}
		if !errors.Is(werr, job.ErrUnavailable) {
			w.rooms.Meter.Refused()
			r.over("lost", e.Cause, job.Ended{})
			r.log.Warn("claim already ended elsewhere; nothing written", zap.String("by", verb), zap.Error(werr))
			return
		}
		r.log.Warn("redis does not answer; writing the job's end again", zap.String("by", verb), zap.Error(werr))
		time.Sleep(pause)
	}
}

// count tells the meter how a claim ended.
func (w *Worker) count(r *run, verb string, ended job.Ended, cause string) {
	w.rooms.Meter.Ended(verb, ended.State, cause)
	if ended.Steps != nil {
		w.rooms.Meter.Killed(r.killedBy().Scope, *ended.Steps)
	}
}

// told is what the log is told of the work's error: how it was stopped or put
// aside. What else it says is on the record, for the owner: a model server's words,
// or a program's, may repeat what they were asked.
func told(err error) error {
	var stop *job.Stop
	if err == nil || errors.As(err, &stop) {
		return err
	}
	return errors.New("it is on the job's record")
}

// over ends the trail. Redis names the order's, and the hint did if that answer
// was lost.
func (r *run) over(how, cause string, e job.Ended) {
	if e.Order != "" {
		cause = string(job.StopKilled)
		e.Trace = cmp.Or(e.Trace, r.killedBy().Trace)
	}
	r.trail.Ended(how, cause, e)
}

// killedBy is the kill that was heard; empty when none was.
func (r *run) killedBy() job.Stop {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		return job.Stop{}
	}
	return *r.by
}

// since is how long ago a step was, negative when it did not happen.
func since(t time.Time) time.Duration {
	if t.IsZero() {
		return -1
	}
	return time.Since(t)
}

// verdict is the table of the package's documentation.
func (w *Worker) verdict(r *run, result job.Result, err error, stop *job.Stop) (string, write, job.Ending) {
	e := job.Ending{ID: r.job.ID, Claim: r.claim, Outcome: job.Failed, Result: result}
	if err != nil {
		e.Error = clip(err.Error())
	}
	if !r.times().delivered.IsZero() {
		e.Outcome, e.Cause = job.Killed, string(job.StopKilled)
		return "finish", w.rooms.Ender.Finish, e
	}
	if err == nil {
		e.Outcome, e.Cause = job.Succeeded, "done"
		return "finish", w.rooms.Ender.Finish, e
	}
	if stop != nil {
		return w.stopped(r, stop, e)
	}
	var park *job.Park
	switch {
	case errors.As(err, &park):
		e.Reason, e.Questions, e.Cause = park.Reason, park.Questions, "parked"
		return "park", w.rooms.Ender.Park, e
	case errors.Is(err, job.ErrRetryable):
		e.Due, e.Cause = w.due(r), "retryable"
		return "retry", w.rooms.Ender.Retry, e
	default:
		e.Cause = "error"
		return "finish", w.rooms.Ender.Finish, e
	}
}

func (w *Worker) stopped(r *run, stop *job.Stop, e job.Ending) (string, write, job.Ending) {
	e.Cause = string(stop.Kind)
	switch stop.Kind {
	case job.StopDraining, job.StopLeaseLost:
		return "release", w.rooms.Ender.Release, e
	case job.StopNoProgress:
		e.Due = w.due(r)
		return "retry", w.rooms.Ender.Retry, e
	case job.StopBudget:
		e.Reason = "budget"
		return "park", w.rooms.Ender.Park, e
	default:
		e.Error = clip(stop.Error())
		return "finish", w.rooms.Ender.Finish, e
	}
}

// due is when the next attempt may start: the backoff doubled per counted
// attempt, up to a hundred times, jittered by half.
func (w *Worker) due(r *run) time.Time {
	d := w.cfg.Backoff << min(r.job.Attempts, 7)
	d = min(d, 100*w.cfg.Backoff)
	return time.Now().Add(d/2 + rand.N(d)) //nolint:gosec // jitter, not a secret
}

// clip bounds an error's text on the record, in bytes.
func clip(s string) string {
	const limit = 4096
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:limit], len(s))
}

// persist repeats a call while Redis does not answer, until ctx ends.
func persist(ctx context.Context, call func() error) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		err := call()
		if err == nil || !errors.Is(err, job.ErrUnavailable) {
			return err
		}
		pause(ctx, wait)
		if cause := context.Cause(ctx); cause != nil {
			return fmt.Errorf("%w: %w", cause, err)
		}
	}
}
