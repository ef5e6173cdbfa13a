package process

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// exitRetry is the exit code by which a program asks for another attempt
// (EX_TEMPFAIL).
const exitRetry = 75

// errCrashed is a program that left without saying why.
var errCrashed = errors.New("the program crashed")

// Executor runs jobs as programs. It is safe for concurrent use; close it when
// no job runs.
type Executor struct {
	cfg      Config
	commands map[string]command
	spawner  *spawner
	log      *zap.Logger
}

// New finds the programs, and from then on this process is the parent of every
// orphan that they leave (on Linux). It also ends what workers that were killed
// on this machine left behind.
func New(cfg Config, log *zap.Logger) (*Executor, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configure programs: %w", err)
	}
	x := &Executor{cfg: cfg, commands: map[string]command{}, log: log}
	for kind, p := range cfg.Programs {
		c, err := p.find()
		if err != nil {
			return nil, fmt.Errorf("configure programs: kind %q: %w", kind, err)
		}
		x.commands[kind] = c
	}
	house, err := found()
	if err != nil {
		return nil, err
	}
	if n := leftovers(); n > 0 {
		log.Warn("ended what a killed worker had left behind", zap.Int("processes", n))
	}
	x.spawner = newSpawner(house)
	return x, nil
}

// Close ends the thread that programs are started from. A job that runs on
// would lose its program with it.
func (x *Executor) Close() { x.spawner.close() }

// Execute runs one attempt in a process of its own, and returns when that and
// everything it started are gone.
func (x *Executor) Execute(ctx context.Context, work job.Work, rt job.Runtime) (job.Result, error) {
	c, ok := x.commands[work.Kind]
	if !ok {
		return nil, fmt.Errorf("no program for kind %q on this worker", work.Kind)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	dir, err := newRoom(x.cfg.Scratch)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", job.ErrRetryable, err)
	}
	log := x.log.With(zap.String("job", work.ID.String()), zap.String("kind", work.Kind))
	defer func() {
		if err := dir.remove(); err != nil {
			log.Warn("job's directory stays", zap.Error(err))
		}
	}()
	child, err := x.spawner.spawn(c, []string{"GAVEL_PROTOCOL=" + Protocol, "GAVEL_JOB_DIR=" + dir.path})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", job.ErrRetryable, err)
	}
	a := newAttempt(x.cfg, child, log.With(zap.Int("pid", child.proc.Pid)))
	a.talk = &talk{
		work: work, rt: rt, mouth: a.mouth, room: dir, log: a.log, limit: x.cfg.MaxCheckpoint,
		over: make(chan ending, 1), hello: make(chan struct{}), granted: map[string]bool{},
	}
	exit, err := a.run(ctx)
	if err != nil {
		a.talk.learn(func(h *heard) { h.fault = errors.Join(h.fault, err) })
	}
	return verdict(ctx, a.talk.heard, exit)
}

// verdict says how the attempt ended, once it is over.
func verdict(ctx context.Context, h heard, exit *os.ProcessState) (job.Result, error) {
	finished := h.result != nil && h.fail == nil && h.fault == nil && exit != nil && exit.Success()
	switch {
	case finished:
		return h.result, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case h.fault != nil:
		return nil, h.fault
	case h.park != nil:
		return nil, h.park
	case h.fail != nil:
		return nil, failure(*h.fail)
	case exit != nil && exit.ExitCode() == exitRetry:
		return nil, fmt.Errorf("%w: the program exited with %d", job.ErrRetryable, exitRetry)
	case h.result == nil && exit.Success():
		return nil, fmt.Errorf("%w: %w: it exited without a result", job.ErrRetryable, errCrashed)
	default:
		return nil, fmt.Errorf("%w: %w: %s", job.ErrRetryable, errCrashed, exit)
	}
}

// failure is a program's own word on why it failed.
func failure(m said) error {
	switch m.Class {
	case "retryable":
		return fmt.Errorf("%w: the program failed: %s", job.ErrRetryable, m.Reason)
	case "budget":
		return &job.Park{Reason: "budget", Detail: m.Reason}
	case "cancelled":
		return fmt.Errorf("the program says it was cancelled, and nobody did: %s", m.Reason)
	default:
		return fmt.Errorf("the program failed: %s", m.Reason)
	}
}
