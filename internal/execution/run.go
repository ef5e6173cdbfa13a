package execution

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// run is one claim on its way to one outcome.
type run struct {
	job    job.Job
	claim  job.Claim
	cancel context.CancelCauseFunc
	log    *zap.Logger
	trail  Trail
	// progress holds at most one sign of life that the watchdog has not seen.
	progress chan struct{}
	// listen is called once, when a kill was heard.
	listen func()
	gone   chan struct{} // closed when the run is off the table

	mu   sync.Mutex
	kill killTimes
	by   *job.Stop // the kill that was heard first
	news bool      // nobody was told of it yet
	many bool      // it killed others here too, see Deliver
	sign time.Time // the last sign of life
	deaf bool
}

// killTimes are the steps of a kill on this worker, zero while not reached.
type killTimes struct{ delivered, cancelled, returned time.Time }

// start takes charge of a job that was granted by a call sent at since, and
// runs it in a goroutine of its own. The slot comes back when that ends. What
// ends the taking does not end the run: it has its own causes.
func (w *Worker) start(taking context.Context, g job.Granted, since clock.Instant, asked time.Time) {
	ctx, trail := w.rooms.Tracer.Run(context.WithoutCancel(taking), g, asked)
	ctx, cancel := context.WithCancelCause(ctx)
	r := &run{
		job: g.Job, claim: g.Claim, cancel: cancel, progress: make(chan struct{}, 1), gone: make(chan struct{}), sign: time.Now(), trail: trail,
		log: w.log.With(append(telemetry.Fields(ctx), zap.String("job", string(g.Job.ID)), zap.String("epoch", g.Claim.Epoch))...),
	}
	r.listen = func() { w.awaitReturn(ctx, r) }
	w.rooms.Keeper.Hold(g.Job.ID, g.Claim, since, r.stop)
	w.mu.Lock()
	w.live[g.Job.ID] = r
	leaving := w.leaving
	w.mu.Unlock()
	if leaving {
		r.stop(&job.Stop{Kind: job.StopDraining})
	}
	w.runs.Go(func() {
		defer cancel(nil)
		w.one(ctx, r, g.Bad)
		w.mu.Lock()
		delete(w.live, g.Job.ID)
		w.mu.Unlock()
		close(r.gone)
		w.slots <- struct{}{}
	})
}

// one executes the job and concludes it.
func (w *Worker) one(ctx context.Context, r *run, bad error) {
	r.log.Info("job started", zap.String("kind", r.job.Kind), zap.String("owner", r.job.Owner), zap.Int("attempt", r.job.Attempts+1))
	var result job.Result
	err := bad
	if bad == nil {
		result, err = w.attempt(ctx, r)
	}
	many := r.comesBack()
	r.heard()
	if many {
		defer w.turn()()
	}
	w.conclude(ctx, r, result, err)
	w.rooms.Keeper.Drop(r.job.ID, r.claim)
}

// attempt runs the executor under the job's deadline and the watchdog.
func (w *Worker) attempt(parent context.Context, r *run) (job.Result, error) {
	limit := r.job.Timeout
	if limit <= 0 {
		limit = w.cfg.Timeout
	}
	if err := context.Cause(parent); err != nil {
		return nil, err
	}
	alarm := time.AfterFunc(limit, func() {
		r.stop(&job.Stop{Kind: job.StopDeadline, Detail: "the attempt took longer than " + limit.String()})
	})
	defer alarm.Stop()
	var dog sync.WaitGroup
	done := make(chan struct{})
	dog.Go(func() { w.watch(r, done) })
	defer dog.Wait()
	defer close(done)

	rt := newRuntime(w, r, parent)
	work, err := w.work(parent, rt, limit)
	if err != nil {
		return nil, err
	}
	ex, ok := w.executors[r.job.Kind]
	if !ok {
		return nil, fmt.Errorf("no executor for kind %q on this worker", r.job.Kind)
	}
	result, err := guard(parent, ex, work, rt)
	if r.comesBack() { // here, where nothing that takes time has been done since
		time.Sleep(confirmAfter)
	}
	return result, err
}

// guard turns a panic of the work into a failed attempt.
func guard(ctx context.Context, ex job.Executor, work job.Work, rt job.Runtime) (res job.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			res, err = nil, fmt.Errorf("%w: the executor panicked: %v\n%s", job.ErrRetryable, p, debug.Stack())
		}
	}()
	return ex.Execute(ctx, work, rt)
}

// work is what the executor gets to see, with the checkpoint to resume from.
func (w *Worker) work(ctx context.Context, rt *runtime, limit time.Duration) (job.Work, error) {
	r, j := rt.r, rt.r.job
	work := job.Work{
		ID: j.ID, Owner: j.Owner, Kind: j.Kind, Labels: j.Labels, Input: j.Input, Attempt: j.Attempts + 1,
		Budget: j.Budget, Spent: j.Spent, Deadline: time.Now().Add(limit), Answers: j.Answers,
	}
	if j.Checkpoint == 0 {
		return work, nil
	}
	var last *job.Checkpoint
	var damaged int
	wait := rt.patience()
	err := persist(ctx, func() (err error) {
		last, damaged, err = w.rooms.Journal.Last(ctx, j.ID)
		return wait(err)
	})
	if err != nil {
		return work, fmt.Errorf("%w: load the checkpoint: %w", job.ErrRetryable, err)
	}
	if damaged > 0 {
		r.log.Warn("checkpoint damaged; resuming from the one before", zap.Int("damaged", damaged))
		_ = rt.Event(ctx, job.Event{Type: "checkpoint.damaged", Data: fmt.Appendf(nil, `{"damaged":%d}`, damaged)})
	}
	work.Checkpoint, rt.shift = last, j.Checkpoint
	if last != nil {
		rt.shift -= min(rt.shift, last.Seq)
	}
	return work, nil
}

// watch is the no-progress watchdog: it does not depend on output arriving.
func (w *Worker) watch(r *run, done <-chan struct{}) {
	t := time.NewTimer(w.cfg.Silence)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-r.progress:
			t.Reset(w.cfg.Silence)
		case <-t.C:
			r.stop(&job.Stop{Kind: job.StopNoProgress, Detail: "no sign of life for " + w.cfg.Silence.String()})
			return
		}
	}
}

// stop cancels the run's context. The first cause stands; but the first kill is
// noted whenever it comes, for the receipt and for patience.
func (r *run) stop(cause error) {
	r.cut(cause, false)
	r.heard()
}

// cut cancels the run's context and does nothing else that takes time. A kill is
// noted first: work that returns at once has to see that it was killed, and
// whether with many others.
func (r *run) cut(cause error, many bool) {
	var s *job.Stop
	kill := errors.As(cause, &s) && s.Kind == job.StopKilled && r.delivered(s, many)
	r.cancel(cause)
	if !kill {
		return
	}
	r.trail.Event("kill.delivered")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kill.cancelled = time.Now()
}

// delivered notes the first kill, and says whether this is it.
func (r *run) delivered(s *job.Stop, many bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by != nil {
		return false
	}
	r.kill.delivered = time.Now()
	r.by, r.news, r.many = s, true, many
	return true
}

// heard tells of a kill, once, and begins to lose patience with work that does
// not return.
func (r *run) heard() {
	r.mu.Lock()
	by, news, back := r.by, r.news, !r.kill.returned.IsZero()
	r.news = false
	r.mu.Unlock()
	if !news {
		return
	}
	r.log.Info("kill delivered", zap.String("order", string(by.Order)), zap.String("actor", by.Actor), zap.String("reason", by.Reason))
	if !back {
		r.listen()
	}
}

// lives notes a sign of life.
func (r *run) lives() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sign = time.Now()
}

// silentFor is how long ago the last sign of life was.
func (r *run) silentFor() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.sign)
}

// comesBack notes that the work has returned, once, and says whether it was killed
// with many others, so that the confirmation has to wait.
func (r *run) comesBack() (wait bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kill.returned.IsZero() {
		r.kill.returned = time.Now()
	}
	r.deaf = false
	return r.many
}

// times are the steps of the kill; delivered is zero when none was heard.
func (r *run) times() killTimes {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kill
}

func (r *run) isDeaf() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deaf
}

// awaitReturn marks a killed run deaf when its work has not returned within
// KillPatience of the kill: the worker must leave then.
func (w *Worker) awaitReturn(ctx context.Context, r *run) {
	time.AfterFunc(w.cfg.KillPatience-time.Since(r.times().delivered), func() {
		r.mu.Lock()
		r.deaf = r.kill.returned.IsZero()
		deaf := r.deaf
		r.mu.Unlock()
		if !deaf {
			return
		}
		r.log.Error("killed work does not return: the worker hands its other jobs back and leaves",
			zap.Duration("patience", w.cfg.KillPatience), zap.NamedError("cause", context.Cause(ctx)))
		w.once.deaf.Do(func() { close(w.deaf) })
	})
}
