package execution

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func id(n byte) job.ID {
	return job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b" + string([]byte{'0' + n/10, '0' + n%10}) + "00")
}

// fakeRooms is everything a worker asks of others, in memory. A test overrides
// the one answer it is about.
type fakeRooms struct {
	mu       sync.Mutex
	queue    []job.Granted
	nonces   []string
	endings  []string // "finish succeeded", "release", …
	ended    []job.Ending
	held     map[job.ID]context.CancelCauseFunc
	dropped  []job.ID
	left     map[job.ID]job.Claim
	leaves   int
	hints    []job.Hint
	reserved []string
	settled  []job.Usage
	events   []job.Event
	saved    []job.Checkpoint
	last     *job.Checkpoint
	damaged  int

	transcribed []string

	onGrant        func(n int) error // the n-th call, from 1
	onEnd          func(n int) error
	endTakes       time.Duration // each write of an end
	ending, atOnce int           // of them under way, now and at most
	onReserve      func(c job.Call) error
	onEvent        func() error
	onSettle       func() error
	onSave         func(ctx context.Context) error
	untrusted      bool
	ends           int

	renewedLast bool // no renewal after the worker had left
}

func newFakes(jobs ...job.Granted) *fakeRooms {
	return &fakeRooms{queue: jobs, held: map[job.ID]context.CancelCauseFunc{}}
}

func (f *fakeRooms) rooms() Rooms {
	return Rooms{Road: f, Ender: f, Keeper: f, Hints: f, Table: f, Money: f, Journal: f}
}

func (f *fakeRooms) Grant(_ context.Context, _ int, nonce string, slots int) ([]job.Granted, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nonces = append(f.nonces, nonce)
	if f.onGrant != nil {
		if err := f.onGrant(len(f.nonces)); err != nil {
			return nil, false, err
		}
	}
	n := min(slots, len(f.queue))
	got := f.queue[:n]
	f.queue = f.queue[n:]
	return got, len(f.queue) > 0, nil
}

func (f *fakeRooms) Wait(ctx context.Context, _ int) (bool, error) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	return false, nil
}

// end takes a while if it should. It runs in a bubble.
func (f *fakeRooms) end(how string, e job.Ending, s job.State) (job.Ended, error) {
	f.mu.Lock()
	f.ending++
	f.atOnce = max(f.atOnce, f.ending)
	f.mu.Unlock()
	time.Sleep(f.endTakes)
	f.mu.Lock()
	f.ending--
	defer f.mu.Unlock()
	f.ends++
	if f.onEnd != nil {
		if err := f.onEnd(f.ends); err != nil {
			return job.Ended{}, err
		}
	}
	f.endings = append(f.endings, how)
	f.ended = append(f.ended, e)
	return job.Ended{State: s}, nil
}

func (f *fakeRooms) Finish(_ context.Context, e job.Ending) (job.Ended, error) {
	return f.end("finish "+string(e.Outcome)+" "+e.Cause, e, e.Outcome)
}

func (f *fakeRooms) Retry(_ context.Context, e job.Ending) (job.Ended, error) {
	return f.end("retry", e, job.Delayed)
}

func (f *fakeRooms) Release(_ context.Context, e job.Ending) (job.Ended, error) {
	return f.end("release "+e.Cause, e, job.Queued)
}

func (f *fakeRooms) Park(_ context.Context, e job.Ending) (job.Ended, error) {
	return f.end("park "+e.Reason, e, job.Parked)
}

func (f *fakeRooms) Hold(id job.ID, _ job.Claim, _ clock.Instant, cancel context.CancelCauseFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[id] = cancel
}

func (f *fakeRooms) Trusted(job.ID, job.Claim) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.untrusted
}

func (f *fakeRooms) Drop(id job.ID, _ job.Claim) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped = append(f.dropped, id)
}

// Run keeps renewing for a moment longer than it has to, as one does whose
// renewal is under way. It runs in a bubble.
func (f *fakeRooms) Run(ctx context.Context) {
	<-ctx.Done()
	time.Sleep(100 * time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewedLast = f.leaves == 0
}

func (f *fakeRooms) Mark() uint64 { return 0 }

func (f *fakeRooms) Since(uint64) []job.Hint {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.hints
	f.hints = nil
	return h
}

func (f *fakeRooms) Leave(_ context.Context, _ int, unreturned map[job.ID]job.Claim) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.leaves = unreturned, f.leaves+1
	return nil
}

func (f *fakeRooms) Reserve(_ context.Context, _ job.ID, _ job.Claim, c job.Call) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reserved = append(f.reserved, c.ID)
	if f.onReserve != nil {
		return f.onReserve(c)
	}
	return nil
}

func (f *fakeRooms) Settle(_ context.Context, _ job.ID, u job.Usage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onSettle != nil {
		if err := f.onSettle(); err != nil {
			return err
		}
	}
	f.settled = append(f.settled, u)
	return nil
}

func (f *fakeRooms) Event(_ context.Context, _ job.ID, _ job.Claim, _ string, e job.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onEvent != nil {
		if err := f.onEvent(); err != nil {
			return err
		}
	}
	f.events = append(f.events, e)
	return nil
}

func (f *fakeRooms) Checkpoint(ctx context.Context, _ job.ID, _ job.Claim, c job.Checkpoint) error {
	if f.onSave != nil {
		if err := f.onSave(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.saved = append(f.saved, c)
	return nil
}

func (f *fakeRooms) Transcribe(_ context.Context, _ job.ID, _ job.Claim, _ string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.transcribed = append(f.transcribed, string(data))
	return nil
}

func (f *fakeRooms) Last(context.Context, job.ID) (*job.Checkpoint, int, error) {
	return f.last, f.damaged, nil
}

func (f *fakeRooms) stop(id job.ID, s *job.Stop) {
	f.mu.Lock()
	cancel := f.held[id]
	f.mu.Unlock()
	cancel(s)
}

func (f *fakeRooms) written() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.endings...)
}

// work is an executor made of a function.
type work func(ctx context.Context, w job.Work, rt job.Runtime) (job.Result, error)

func (f work) Execute(ctx context.Context, w job.Work, rt job.Runtime) (job.Result, error) {
	return f(ctx, w, rt)
}

func granted(n byte) job.Granted {
	return job.Granted{
		Job:   job.Job{ID: id(n), Owner: "ann", Kind: "test", Seq: uint64(n), MaxAttempts: 3},
		Claim: job.Claim{Worker: "w1", Epoch: "1.x"},
	}
}

func grantedMany(n byte) (all []job.Granted) {
	for i := range n {
		all = append(all, granted(i))
	}
	return all
}

var errBroken = errors.New("broken")

// obedient runs until it is cancelled.
func obedient(ctx context.Context, _ job.Work, _ job.Runtime) (job.Result, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// running is a worker under test; stop ends its context and waits.
type running struct {
	*Worker
	t      *testing.T
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, cfg Config, f *fakeRooms, w work) *running {
	t.Helper()
	cfg.ID, cfg.Partitions = "w1", []int{0}
	log := zaptest.NewLogger(t, zaptest.Level(zap.FatalLevel))
	worker, err := New(cfg, f.rooms(), map[string]job.Executor{"test": w}, log)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Worker: worker, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- worker.Run(ctx) }()
	return r
}

func (r *running) stop() error {
	r.cancel()
	return <-r.done
}
