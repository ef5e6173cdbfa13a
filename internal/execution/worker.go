package execution

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	randv2 "math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

// Rooms is what a worker asks of others.
type Rooms struct {
	Road    Road
	Ender   Ender
	Keeper  Keeper
	Hints   Hints
	Table   Table
	Money   Money
	Journal Journal
	Meter   Meter  // nil counts nothing
	Tracer  Tracer // nil follows nothing
}

// Worker runs jobs. Make one with [New], run it once with [Worker.Run].
type Worker struct {
	cfg       Config
	rooms     Rooms
	executors map[string]job.Executor
	log       *zap.Logger

	slots chan struct{} // one token per free slot
	runs  sync.WaitGroup
	hurry chan struct{} // closed by Hurry
	deaf  chan struct{} // closed when killed work outlives KillPatience
	turns chan struct{} // one token for each that confirms an order over many

	mu      sync.Mutex
	live    map[job.ID]*run
	leaving bool
	once    struct{ hurry, deaf sync.Once }
}

// Status is what a worker says of itself.
type Status struct {
	Slots, Running, Deaf int
	// DeafJobs names the deaf, at most [MaxDeafJobs].
	DeafJobs []job.ID
	// NoProgress is how many of the running show no sign of life for longer than
	// Config.Quiet; NoProgressJobs names those that are silent the longest, at most
	// [MaxSilentJobs].
	NoProgress     int
	NoProgressJobs []job.ID
	Draining       bool
}

// These bound what a worker writes of itself at each beat.
const (
	MaxDeafJobs   = 100
	MaxSilentJobs = 20
)

// ErrDeaf is returned by [Worker.Run] when killed work ignored its context for
// longer than KillPatience. The process must exit: only that stops the work.
var ErrDeaf = errors.New("killed work does not return; the worker leaves")

// New returns a worker for the kinds in executors.
func New(cfg Config, rooms Rooms, executors map[string]job.Executor, log *zap.Logger) (*Worker, error) {
	cfg = cfg.withDefaults()
	if err := job.CheckName("worker id", cfg.ID, job.MaxName); err != nil {
		return nil, err
	}
	if len(cfg.Partitions) == 0 || len(executors) == 0 {
		return nil, errors.New("a worker needs a partition and an executor")
	}
	if cfg.Slots < 1 || cfg.Slots > 10_000 {
		return nil, fmt.Errorf("slots: %d is outside 1–10000", cfg.Slots)
	}
	if cfg.DrainFinish < 0 || cfg.DrainGrace < 0 || cfg.DrainSettle < 0 {
		return nil, errors.New("drain: a duration is negative")
	}
	if rooms.Meter == nil {
		rooms.Meter = noMeter{}
	}
	if rooms.Tracer == nil {
		rooms.Tracer = noTracer{}
	}
	w := &Worker{
		cfg: cfg, rooms: rooms, executors: executors, log: log.With(zap.String("worker", cfg.ID)),
		slots: make(chan struct{}, cfg.Slots), hurry: make(chan struct{}), deaf: make(chan struct{}),
		turns: make(chan struct{}, confirmTurns),
		live:  map[job.ID]*run{},
	}
	for range cfg.Slots {
		w.slots <- struct{}{}
	}
	return w, nil
}

// Run takes and runs jobs until ctx ends, then drains. It returns nil after a
// clean drain, [ErrDeaf], or the reason why the drain was not clean.
func (w *Worker) Run(ctx context.Context) error {
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { w.rooms.Keeper.Run(keeping) })

	taking, stopTaking := context.WithCancel(ctx)
	var takers sync.WaitGroup
	for _, p := range w.cfg.Partitions {
		takers.Go(func() { w.take(taking, p) })
	}
	w.log.Info("worker started", zap.Int("slots", w.cfg.Slots), zap.Ints("partitions", w.cfg.Partitions))

	var cause error
	select {
	case <-ctx.Done():
	case <-w.deaf:
		cause = ErrDeaf
	}
	stopTaking()
	began := time.Now()
	w.drain(&takers)
	stopKeeping()
	keeper.Wait() // a renewal would put the worker back on the table it leaves
	return errors.Join(cause, w.leave(context.WithoutCancel(ctx), time.Since(began)))
}

// Hurry skips what is left of the drain's waits: a second signal.
func (w *Worker) Hurry() { w.once.hurry.Do(func() { close(w.hurry) }) }

// Status is what the worker says of itself now.
func (w *Worker) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Status{Slots: w.cfg.Slots, Running: len(w.live), Draining: w.leaving}
	silent := map[job.ID]time.Duration{}
	for id, r := range w.live {
		if d := r.silentFor(); d > w.cfg.Quiet {
			silent[id] = d
		}
		if !r.isDeaf() {
			continue
		}
		s.Deaf++
		if len(s.DeafJobs) < MaxDeafJobs {
			s.DeafJobs = append(s.DeafJobs, id)
		}
	}
	slices.Sort(s.DeafJobs)
	s.NoProgress, s.NoProgressJobs = len(silent), slices.SortedFunc(maps.Keys(silent), func(a, b job.ID) int {
		return cmp.Or(cmp.Compare(silent[b], silent[a]), cmp.Compare(a, b))
	})
	s.NoProgressJobs = s.NoProgressJobs[:min(s.NoProgress, MaxSilentJobs)]
	return s
}

// take fills free slots from one partition until ctx ends.
func (w *Worker) take(ctx context.Context, p int) {
	for w.acquire(ctx) {
		n := 1 + w.acquireMore(takeBatch-1)
		got, more := w.grant(ctx, p, n)
		for range n - got {
			w.slots <- struct{}{}
		}
		if !more && ctx.Err() == nil {
			w.idle(ctx, p)
		}
	}
}

// takeBatch is how many jobs one grant asks for at most.
const takeBatch = 16

func (w *Worker) acquire(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.slots:
		return true
	}
}

func (w *Worker) acquireMore(n int) int {
	for got := range n {
		select {
		case <-w.slots:
		default:
			return got
		}
	}
	return n
}

// grant makes one claim attempt, and repeats it under the same nonce until it
// is answered: jobs may have been granted by a reply that was lost. It returns
// how many slots are taken now.
func (w *Worker) grant(ctx context.Context, p, slots int) (got int, more bool) {
	nonce := rand.Text()
	mark := w.rooms.Hints.Mark()
	sent, asked := clock.Now(), time.Now()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		granted, more, err := w.rooms.Road.Grant(context.WithoutCancel(ctx), p, nonce, slots)
		if err == nil {
			w.rooms.Meter.Granted(len(granted))
			for _, g := range granted {
				w.start(ctx, g, sent, asked)
			}
			for _, h := range w.rooms.Hints.Since(mark) {
				w.Deliver(h)
			}
			return len(granted), more
		}
		if pause == 20*time.Millisecond {
			w.log.Warn("grant not answered; asking again", zap.Int("partition", p), zap.Error(err))
		}
		select {
		case <-ctx.Done():
			w.rooms.Hints.Since(mark)
			return 0, false
		case <-time.After(pause):
		}
	}
}

// idle waits until the partition may have work: woken, or after a jittered poll.
func (w *Worker) idle(ctx context.Context, p int) {
	poll := w.cfg.Poll/2 + randv2.N(w.cfg.Poll) //nolint:gosec // jitter, not a secret
	for since := time.Now(); ctx.Err() == nil && time.Since(since) < poll; {
		woken, err := w.rooms.Road.Wait(ctx, p)
		if woken {
			return
		}
		if err != nil {
			pause(ctx, 200*time.Millisecond)
		}
	}
}

// pause waits for a while or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Deliver passes an order on to the runs it covers. (A gap in the hints is for
// the keeper: it asks for a renewal of everything.)
func (w *Worker) Deliver(h job.Hint) {
	stop := &job.Stop{Kind: job.StopKilled, Order: h.Order.ID, Actor: h.Order.Actor, Reason: h.Order.Reason, Trace: h.Order.Trace, Scope: h.Wide}
	runs := w.covered(h)
	if len(runs) == 1 {
		runs[0].stop(stop)
		return
	}
	for _, r := range runs {
		r.cut(stop, true)
	}
	if len(runs) > 0 {
		time.AfterFunc(confirmAfter, func() { hear(runs) })
	}
}

// hear tells of the kill of those whose work is still out; each of the others
// does before its end is written.
func hear(runs []*run) {
	for _, r := range runs {
		if r.times().returned.IsZero() {
			r.heard()
		}
	}
}

// An order over many runs cancels every context at once. What there is to say of
// it, and the writes that confirm, come a little later: they would keep Redis, and
// the other workers' readers, from the rest of the news. And they come a few at a
// time: all of a fleet's at once would keep everybody else waiting for as long as
// they take.
const (
	confirmAfter  = 50 * time.Millisecond
	confirmTurns  = 2
	confirmWithin = time.Second // then it is written without a turn
)

// turn waits for its turn to confirm; call what it returns afterwards.
func (w *Worker) turn() (over func()) {
	late := time.NewTimer(confirmWithin)
	defer late.Stop()
	select {
	case w.turns <- struct{}{}:
		return func() { <-w.turns }
	case <-late.C:
		return func() {}
	}
}

func (w *Worker) covered(h job.Hint) []*run {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.Order.Scope.Kind == job.ScopeJob {
		if r := w.live[h.Order.Scope.Job]; r != nil {
			return []*run{r}
		}
		return nil
	}
	var out []*run
	for id, r := range w.live {
		if id.Partition() == h.Partition && h.Order.Covers(h.Partition, id, r.job.Owner, r.job.Seq) {
			out = append(out, r)
		}
	}
	return out
}
