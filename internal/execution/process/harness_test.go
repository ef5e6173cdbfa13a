//go:build unix

package process

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rtfm-si/gavel/internal/job"
)

// TestMain is also what the programs of these tests are made of: the binary
// started again as "program NAME …".
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "program" {
		os.Exit(program(os.Args[2], os.Args[3:]))
	}
	goleak.VerifyTestMain(m)
}

const testJob = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00")

// bench is an executor with quick ladders, and what it logged.
type bench struct {
	*Executor
	scratch string
	logs    *observer.ObservedLogs
}

// atOnce keeps a program that is built for finding races from waiting a second
// at its exit.
const atOnce = "GORACE=atexit_sleep_ms=0"

// quick are ladders that leave a slow machine the time to start a program.
func quick() Config {
	return Config{
		Hello: 20 * time.Second, Linger: 20 * time.Second, Stall: 20 * time.Second,
		Stop:  Ladder{100 * time.Millisecond, 400 * time.Millisecond},
		Drain: Ladder{10 * time.Second, 20 * time.Second},
	}
}

// newBench runs the named program of this binary as kind "p", and looks for
// what it leaves behind.
func newBench(t *testing.T, cfg Config, argv ...string) bench {
	t.Helper()
	b := start(t, cfg, argv...)
	t.Cleanup(func() {
		b.Close()
		b.nobodyIsLeft(t)
		if t.Failed() {
			for _, e := range b.logs.All() {
				t.Log(e.Message, e.ContextMap())
			}
		}
	})
	return b
}

func start(t *testing.T, cfg Config, argv ...string) bench {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	if cfg.Programs == nil {
		cfg.Programs = map[string]Program{"p": {Argv: append([]string{self, "program"}, argv...), Env: []string{atOnce}}}
	}
	cfg.Scratch = t.TempDir()
	core, logged := observer.New(zap.DebugLevel)
	x, err := New(cfg, zap.New(core))
	require.NoError(t, err)
	return bench{x, cfg.Scratch, logged}
}

// nobodyIsLeft holds the room to its first invariant. The test is the parent of
// every orphan, so whoever got away is below it.
func (b bench) nobodyIsLeft(t *testing.T) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(b.scratch, "*"))
	require.NoError(t, err)
	require.Empty(t, dirs, "a job's directory stays")
	if runtime.GOOS == "linux" {
		require.Empty(t, below(t), "processes stay")
	}
}

func (b bench) run(ctx context.Context, l *ledger) (string, error) {
	res, err := b.Execute(ctx, l.work, l)
	return string(res), err
}

// logged says whether a line of the log has all of these in it.
func (b bench) logged(message string) bool {
	return b.logs.FilterMessage(message).Len() > 0
}

// ledger is a runtime in memory.
type ledger struct {
	work job.Work

	mu          sync.Mutex
	done        []string
	events      []job.Event
	checkpoints []job.Checkpoint
	usages      []job.Usage
	exchanges   []job.Exchange
	expire      int

	onEvent      func(context.Context, job.Event) error
	onReserve    func(job.Call) error
	onCheckpoint func(job.Checkpoint) error
	onProgress   func()
}

func newLedger() *ledger {
	return &ledger{work: job.Work{
		ID: testJob, Owner: "alice", Kind: "p", Input: json.RawMessage(`{"question":"<why>"}`), Attempt: 1, Budget: 500,
	}}
}

func (l *ledger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, fmt.Sprintf(format, args...))
}

func (l *ledger) history() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.done)
}

func (l *ledger) Event(ctx context.Context, e job.Event) error {
	l.note("event %s", e.Type)
	l.mu.Lock()
	l.events = append(l.events, e)
	l.mu.Unlock()
	if l.onEvent != nil {
		return l.onEvent(ctx, e)
	}
	return nil
}

// onceReady stops the job when the program says so.
func (l *ledger) onceReady(stop func()) {
	l.onEvent = func(_ context.Context, e job.Event) error {
		if e.Type == "ready" {
			stop()
		}
		return nil
	}
}

func (l *ledger) Reserve(_ context.Context, c job.Call) (job.Permit, error) {
	l.note("reserve %s %s %d", c.ID, c.Model, c.Max)
	if l.onReserve != nil {
		if err := l.onReserve(c); err != nil {
			return nil, err
		}
	}
	return permit{l}, nil
}

type permit struct{ l *ledger }

func (p permit) Check() error {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	if p.l.expire > 0 {
		p.l.expire--
		return job.ErrPermitExpired
	}
	return nil
}

func (l *ledger) Settle(_ context.Context, u job.Usage) error {
	l.note("settle %s %d", u.CallID, u.Cost)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.usages = append(l.usages, u)
	return nil
}

func (l *ledger) Checkpoint(_ context.Context, c job.Checkpoint) error {
	l.note("checkpoint %d", c.Seq)
	if l.onCheckpoint != nil {
		if err := l.onCheckpoint(c); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.checkpoints = append(l.checkpoints, c)
	return nil
}

// Record implements [job.Recorder].
func (l *ledger) Record(_ context.Context, e job.Exchange) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.exchanges = append(l.exchanges, e)
	return nil
}

func (l *ledger) Progress() {
	if l.onProgress != nil {
		l.onProgress()
	}
}

// stoppable is a job's context, and how it is stopped.
func stoppable(t *testing.T) (context.Context, func(job.StopKind)) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	return ctx, func(k job.StopKind) { cancel(&job.Stop{Kind: k, Actor: "bob", Reason: "test"}) }
}

// eventTypes are the events in order, without repetition.
func (l *ledger) eventTypes() []string {
	seen := map[string]bool{}
	for _, e := range l.events {
		seen[e.Type] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
