package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

const (
	// sweepFor bounds how long the rest of a job is swept: what SIGKILL has not
	// ended by then sits in the kernel.
	sweepFor = 5 * time.Second
	// quickKill is how long a program has after SIGTERM when nothing it could
	// still say would be used.
	quickKill = time.Second
)

// attempt is one program from its start to the end of all it started.
type attempt struct {
	cfg   Config
	child *child
	mouth *mouth
	talk  *talk
	log   *zap.Logger

	stdout, stderr pipeEnd
	exited         chan struct{}
	hello          *time.Timer

	// The ladder: its timer, what it does next, and how far it went.
	ladder    *time.Timer
	rungs     []rung
	from      time.Time // what the rungs count from
	cancelled time.Time // zero before
	stopping  bool      // the job's context has ended
	force     string
}

// rung is one step of the ladder, so long after the cancel.
type rung struct {
	after time.Duration
	do    func()
}

func newAttempt(cfg Config, c *child, log *zap.Logger) *attempt {
	a := &attempt{
		cfg: cfg, child: c, log: log, mouth: &mouth{file: c.stdin, stall: cfg.Stall},
		stdout: pipeEnd{c.stdout}, stderr: pipeEnd{c.stderr},
		exited: make(chan struct{}), hello: time.NewTimer(cfg.Hello), ladder: time.NewTimer(time.Hour),
	}
	a.ladder.Stop()
	return a
}

// run supervises the program. It returns when nothing of the job is left, in
// processes or in goroutines.
func (a *attempt) run(ctx context.Context) (*os.ProcessState, error) {
	defer a.hello.Stop()
	defer a.ladder.Stop()
	var mates sync.WaitGroup
	mates.Go(func() { logStderr(a.stderr, a.log) })
	queue := make(chan said, queued)
	mates.Go(func() { a.talk.listen(a.stdout, queue) })
	mates.Go(func() { a.talk.answer(ctx, queue) })
	var waitErr error
	mates.Go(func() {
		waitErr = a.child.kin.ended(a.child.proc)
		close(a.exited)
	})
	a.supervise(ctx)
	state, swept, err := a.clear(ctx)
	a.stdout.finish()
	a.stderr.finish()
	_ = a.child.stdin.Close()
	mates.Wait()
	_ = a.child.stdout.Close()
	_ = a.child.stderr.Close()
	if err = errors.Join(waitErr, err); err != nil {
		err = fmt.Errorf("%w: wait for the program: %w", job.ErrRetryable, err)
	}
	a.report(state, swept)
	return state, err
}

// clear ends what the program has left, and takes its exit.
func (a *attempt) clear(ctx context.Context) (state *os.ProcessState, swept int, err error) {
	short, done := context.WithTimeout(context.WithoutCancel(ctx), sweepFor)
	defer done()
	swept, err = a.child.kin.sweep(short)
	if err != nil {
		a.log.Error("processes of the job stay; end them by hand", zap.Error(err))
	}
	state, err = a.child.kin.reap(a.child.proc)
	return state, swept, err
}

// report says how the program ended, and what it took.
func (a *attempt) report(state *os.ProcessState, swept int) {
	fields := []zap.Field{zap.Stringer("exit", state), zap.Int("swept", swept), zap.Int("unsettled", len(a.talk.granted))}
	if !a.cancelled.IsZero() {
		fields = append(fields, zap.Duration("cancelled", time.Since(a.cancelled)), zap.String("forced", a.force))
	}
	a.log.Info("program ended", fields...)
}

// supervise waits for the program's exit, and sees to it where it must.
func (a *attempt) supervise(ctx context.Context) {
	done, greeted := ctx.Done(), a.talk.hello
	for {
		select {
		case <-a.exited:
			return
		case <-done:
			done = nil
			a.stop(job.StopOf(ctx))
		case e := <-a.talk.over:
			a.wish(e)
		case <-greeted:
			greeted = nil
			a.hello.Stop()
		case <-a.hello.C:
			a.talk.fail("hello", fmt.Errorf("%w: %w: no hello within %v", job.ErrRetryable, errProtocol, a.cfg.Hello))
		case <-a.ladder.C:
			a.climb()
		}
	}
}

// stop climbs the ladder that fits the cause. It takes over from a milder one.
func (a *attempt) stop(s *job.Stop) {
	a.stopping = true
	if s == nil {
		s = &job.Stop{Kind: "stopped"}
	}
	switch s.Kind {
	case job.StopDraining:
		a.cancel(string(s.Kind), "checkpoint", a.cfg.Drain)
	case job.StopBudget:
		a.cancel(string(s.Kind), "checkpoint", a.cfg.Stop)
	case job.StopDeadline:
		a.cancel(string(s.Kind), "synthesize", a.cfg.Stop)
	case job.StopLeaseLost:
		a.cancel(string(s.Kind), "stop", a.quick())
	default:
		a.cancel(string(s.Kind), "stop", a.cfg.Stop)
	}
}

// wish ends a program that has said its last word, or has to be given up.
func (a *attempt) wish(e ending) {
	if a.stopping || !a.cancelled.IsZero() {
		return
	}
	switch {
	case e.linger:
		a.child.kin.remember()
		a.arm(time.Now(), rung{a.cfg.Linger, func() { a.cancel("linger", "stop", a.cfg.Stop) }})
	case e.cause == "hello":
		a.cancel(e.cause, "stop", a.quick())
	case e.cause == "budget":
		a.cancel(e.cause, "checkpoint", a.cfg.Stop)
	default:
		a.cancel(e.cause, "stop", a.cfg.Stop)
	}
}

func (a *attempt) quick() Ladder { return Ladder{0, min(quickKill, a.cfg.Stop.Kill)} }

// cancel tells the program to end, and by when it will be made to.
func (a *attempt) cancel(cause, mode string, l Ladder) {
	a.cancelled = time.Now()
	a.child.kin.remember()
	line, err := encode(cancelLine{"cancel", cause, mode, l.Kill.Milliseconds()})
	if err != nil {
		a.log.Error("cancel not written", zap.Error(err))
	}
	a.mouth.interrupt(line)
	a.arm(a.cancelled,
		rung{l.Term, func() { a.signal(syscall.SIGTERM, "SIGTERM") }},
		rung{l.Kill, func() { a.signal(syscall.SIGKILL, "SIGKILL") }})
}

func (a *attempt) arm(from time.Time, rungs ...rung) {
	a.from, a.rungs = from, rungs
	a.ladder.Reset(time.Until(from.Add(rungs[0].after)))
}

// climb takes the next rung.
func (a *attempt) climb() {
	r := a.rungs[0]
	if a.rungs = a.rungs[1:]; len(a.rungs) > 0 {
		a.ladder.Reset(time.Until(a.from.Add(a.rungs[0].after)))
	}
	r.do()
}

func (a *attempt) signal(s syscall.Signal, name string) {
	a.force = name
	a.child.kin.remember()
	a.child.kin.signal(s)
}

// sleep waits for d, and says false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
