package deliberation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/problem"
)

// MostThinking is the most tokens that an answer may be thought about.
const MostThinking = 100_000

// Kind is the kind of job this executor runs.
const Kind = "deliberation"

// Chat asks a model one question. It MUST call before as the last thing before
// the request is sent, MUST NOT send if that returns an error, and MUST return
// soon after ctx is cancelled. The reply says how far a failed call had come.
type Chat interface {
	Chat(ctx context.Context, req model.Request, before func() error) (model.Reply, error)
}

// Config tunes the executor. Zero values mean the defaults.
type Config struct {
	// Model answers when the input names none. Required.
	Model string
	// Routes are where the questions of a role go, and its model when the input
	// names none; what is empty is Model, and the executor's own chat.
	Routes Routes
	// Parallel is the most calls one job has in flight; default 8.
	Parallel int
	// Tries is the most requests for one question; default 4.
	Tries int
	// Backoff is the first pause after a failed request, doubled with each;
	// default 500 ms. Patience is the longest, and the longest Retry-After that
	// is waited for here; default 30 s.
	Backoff, Patience time.Duration
	// Thinking is that of every route which has none of its own; default 0.
	Thinking int
	// Steps is the limit of steps in one attempt; default 250.
	Steps int
	// LastWish is how long settling may take after the context is cancelled;
	// default 3 s.
	LastWish time.Duration
}

func (c Config) withDefaults() Config {
	c.Parallel = or(c.Parallel, 8)
	c.Tries = or(c.Tries, 4)
	c.Backoff = or(c.Backoff, 500*time.Millisecond)
	c.Patience = or(c.Patience, 30*time.Second)
	c.Steps = or(c.Steps, 250)
	c.LastWish = or(c.LastWish, 3*time.Second)
	return c
}

func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func (c Config) check() error {
	switch {
	case c.Parallel < 1 || c.Tries < 1 || c.Steps < 1:
		return errors.New("parallel, tries and steps must be at least 1")
	case c.Backoff < 0 || c.Patience < 0 || c.LastWish < 0 || c.Thinking < 0:
		return errors.New("backoff, patience, last wish and thinking must not be negative")
	case c.Backoff > c.Patience:
		return fmt.Errorf("backoff %v is longer than patience %v", c.Backoff, c.Patience)
	}
	return nil
}

// Executor runs deliberations. It is safe for concurrent use.
type Executor struct {
	cfg      Config
	prices   *price.Table
	personas problem.Library
}

// New checks the configuration, the graphs, and that the default model has a
// price.
func New(cfg Config, chat Chat, prices *price.Table) (*Executor, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("configure deliberations: %w", err)
	}
	cfg.Routes = cfg.Routes.withDefaults(Route{cfg.Model, chat, cfg.Thinking})
	for _, to := range append(cfg.Routes.all(), Route{Model: cfg.Model}) {
		if to.Thinking < 0 || to.Thinking > MostThinking {
			return nil, fmt.Errorf("configure deliberations: thinking of %d tokens is outside 0–%d", to.Thinking, MostThinking)
		}
		if _, err := prices.Of(to.Model); err != nil {
			return nil, fmt.Errorf("configure deliberations: default model: %w", err)
		}
	}
	if err := sound(wholeGraph(), subGraph()); err != nil {
		return nil, err
	}
	personas, err := problem.Personas()
	if err != nil {
		return nil, err
	}
	return &Executor{cfg: cfg, prices: prices, personas: personas}, nil
}

// Execute runs one attempt from its checkpoint to the answer.
func (x *Executor) Execute(ctx context.Context, work job.Work, rt job.Runtime) (job.Result, error) {
	r, err := x.prepare(work, rt)
	if err != nil {
		return nil, err
	}
	if err := r.deliberate(ctx); err != nil {
		return nil, err
	}
	data, err := json.Marshal(r.answer())
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	if err := r.emit(ctx, "done", map[string]any{
		"synthesis": r.final.Synthesis, "recommendations": r.final.Recommendations, "calls": r.journal.size(),
	}); err != nil {
		return nil, err
	}
	return job.Result(data), nil
}

// run is one attempt at one job.
type run struct {
	exec    *Executor
	work    job.Work
	rt      job.Runtime
	in      problem.Input
	routes  Routes
	journal *journal
	slots   chan struct{}
	steps   *stepBudget
	spent   atomic.Int64

	asked []string // what the owner was asked
	subs  []*sub
	final conclusion

	mu    sync.Mutex
	first error
}

func (x *Executor) prepare(work job.Work, rt job.Runtime) (*run, error) {
	in, err := problem.Parse(work.Input)
	if err != nil {
		return nil, err
	}
	log, err := openJournal(work.Input, work.Checkpoint)
	if err != nil {
		return nil, err
	}
	r := &run{
		exec: x, work: work, rt: rt, in: in, journal: log,
		routes: x.cfg.Routes.named(in),
		slots:  make(chan struct{}, x.cfg.Parallel),
		steps:  &stepBudget{limit: int64(x.cfg.Steps)},
	}
	for _, to := range r.routes.all() {
		if _, err := x.prices.Of(to.Model); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// fail keeps the first error of the attempt and returns it: whoever meets a
// later one has only followed.
func (r *run) fail(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == nil {
		r.first = err
	}
	return r.first
}

func (r *run) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

// together does n things at once and waits for all of them, so that what was
// paid for is finished. It returns the first failure of the attempt.
func (r *run) together(n int, do func(i int) error) error {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := do(i); err != nil {
				_ = r.fail(err)
			}
		})
	}
	wg.Wait()
	return r.failed()
}
