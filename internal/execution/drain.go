package execution

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// ErrUnreturned is wrapped by [Worker.Run] when work was still running, or its
// end not yet written, as the drain's time was up. The jobs are not lost: their
// leases run out and others take them.
var ErrUnreturned = errors.New("jobs left behind with their leases")

// drain ends the work in order: nothing new, let finish, stop, hand back. It
// never cancels the keeper: leases are renewed throughout.
func (w *Worker) drain(takers *sync.WaitGroup) {
	w.mu.Lock()
	w.leaving = true
	n := len(w.live)
	w.mu.Unlock()
	w.log.Info("draining", zap.Int("running", n), zap.Duration("finish", w.cfg.DrainFinish), zap.Duration("grace", w.cfg.DrainGrace))

	done := make(chan struct{})
	go func() { // ends when the last run does, at the latest with the process
		takers.Wait()
		w.runs.Wait()
		close(done)
	}()
	clean := w.within(done, w.cfg.DrainFinish)
	if !clean {
		for _, r := range w.all() {
			r.stop(&job.Stop{Kind: job.StopDraining})
		}
		clean = w.within(done, w.cfg.DrainGrace) || w.lastCall(done)
	}
	if !clean {
		w.settle()
	}
}

// settle gives runs whose work has returned a last while to write their end.
// A second signal does not shorten it: these are the writes that lose nothing.
func (w *Worker) settle() {
	deadline := time.NewTimer(w.cfg.DrainSettle)
	defer deadline.Stop()
	for _, r := range w.all() {
		if r.times().returned.IsZero() {
			continue
		}
		select {
		case <-r.gone:
		case <-deadline.C:
			return
		}
	}
}

// leave takes the worker off the table and says what it left behind.
func (w *Worker) leave(ctx context.Context, took time.Duration) error {
	behind := map[job.ID]job.Claim{}
	for _, r := range w.all() {
		behind[r.job.ID] = r.claim
		r.over("left behind", string(job.StopDraining), job.Ended{})
		r.log.Warn("work did not return in time; its lease runs out", zap.Bool("returned", !r.times().returned.IsZero()))
	}
	var errs []error
	for _, p := range w.cfg.Partitions {
		if err := w.rooms.Table.Leave(ctx, p, behind); err != nil {
			errs = append(errs, fmt.Errorf("leave the table of partition %d: %w", p, err))
		}
	}
	if len(behind) > 0 {
		errs = append(errs, fmt.Errorf("%w: %d", ErrUnreturned, len(behind)))
	}
	w.log.Info("drained", zap.Int("left behind", len(behind)), zap.Duration("took", took))
	return errors.Join(errs...)
}

// all is the table of runs as it is now.
func (w *Worker) all() []*run {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]*run, 0, len(w.live))
	for _, r := range w.live {
		out = append(out, r)
	}
	return out
}

// hurried is what a second signal leaves of the grace: enough for work that
// obeys at once to be handed back.
const hurried = 250 * time.Millisecond

// lastCall is that little while, when the grace was cut short.
func (w *Worker) lastCall(done <-chan struct{}) bool {
	select {
	case <-w.hurry:
	default:
		return false
	}
	t := time.NewTimer(min(hurried, w.cfg.DrainGrace))
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// within waits for done for at most d; Hurry ends the wait.
func (w *Worker) within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-w.hurry:
	case <-t.C:
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}
