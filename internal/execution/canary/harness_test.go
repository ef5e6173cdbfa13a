package canary

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testJob = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00")

// ledger is a runtime in memory that minds the rules of the real one: money is
// refused once the job's own context ends, whatever the work listens to.
type ledger struct {
	live context.Context

	mu          sync.Mutex
	done        []string // what was asked for, in order
	events      []job.Event
	checkpoints []job.Checkpoint
	usages      []job.Usage
	expire      int // so many permits are too old

	onReserve    func(job.Call) error
	onCheck      func(job.Call)
	onCheckpoint func(job.Checkpoint) error
	onSettle     func(job.Usage) error
}

func (l *ledger) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, what)
}

func (l *ledger) history() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.done)
}

func (l *ledger) Event(_ context.Context, e job.Event) error {
	l.note("event")
	l.events = append(l.events, e)
	return nil
}

func (l *ledger) Reserve(ctx context.Context, c job.Call) (job.Permit, error) {
	if l.live.Err() != nil {
		return nil, context.Cause(l.live)
	}
	l.note("reserve " + c.ID)
	if l.onReserve != nil {
		if err := l.onReserve(c); err != nil {
			return nil, err
		}
	}
	return permit{l, c}, nil
}

type permit struct {
	l *ledger
	c job.Call
}

func (p permit) Check() error {
	if p.l.onCheck != nil {
		p.l.onCheck(p.c)
	}
	if p.l.live.Err() != nil {
		return context.Cause(p.l.live)
	}
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	if p.l.expire > 0 {
		p.l.expire--
		return job.ErrPermitExpired
	}
	p.l.done = append(p.l.done, "check "+p.c.ID)
	return nil
}

func (l *ledger) Settle(_ context.Context, u job.Usage) error {
	l.note("settle " + u.CallID)
	l.usages = append(l.usages, u)
	if l.onSettle != nil {
		return l.onSettle(u)
	}
	return nil
}

func (l *ledger) Checkpoint(_ context.Context, c job.Checkpoint) error {
	l.note("checkpoint")
	if l.onCheckpoint != nil {
		if err := l.onCheckpoint(c); err != nil {
			return err
		}
	}
	l.checkpoints = append(l.checkpoints, c)
	return nil
}

func (l *ledger) Progress() { l.note("progress") }

// attempt is one run of a canary and what it left.
type attempt struct {
	*ledger
	work job.Work
	stop context.CancelCauseFunc
}

func newAttempt(t *testing.T, input string) *attempt {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	return &attempt{
		ledger: &ledger{live: ctx}, stop: cancel,
		work: job.Work{ID: testJob, Owner: "alice", Kind: Kind, Input: json.RawMessage(input), Attempt: 1},
	}
}

func (a *attempt) run() (Outcome, error) {
	res, err := New().Execute(a.live, a.work, a)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	return out, json.Unmarshal(res, &out)
}

func (a *attempt) mustRun(t *testing.T) Outcome {
	t.Helper()
	out, err := a.run()
	require.NoError(t, err)
	return out
}

// count is how often something was asked for.
func (a *attempt) count(what string) (n int) {
	for _, d := range a.history() {
		if d == what {
			n++
		}
	}
	return n
}
