package deliberation

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/modelsim"
	"github.com/rtfm-si/gavel/internal/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testJob = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00")

const smallInput = `{"problem":"Should we raise the price of our basic plan by a fifth next quarter?",` +
	`"constraints":["No customer may lose a feature."],"seed":7}`

// bench is a model server, a client and an executor, wired as in the worker.
type bench struct {
	sim  *modelsim.Server
	exec *Executor
}

func newBench(t *testing.T, sim modelsim.Config, tune ...func(*Config, *model.Config)) bench {
	t.Helper()
	server, err := modelsim.New(sim)
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	cfg := Config{Model: modelsim.Model, Backoff: time.Millisecond, Patience: 50 * time.Millisecond}
	mc := model.Config{BaseURL: web.URL + "/v1"}
	for _, f := range tune {
		f(&cfg, &mc)
	}
	client, err := model.New(mc)
	require.NoError(t, err)
	prices, err := price.Embedded()
	require.NoError(t, err)
	exec, err := New(cfg, client, prices)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close(); web.CloseClientConnections(); web.Close() })
	return bench{sim: server, exec: exec}
}

func (b bench) run(ctx context.Context, rt *memory, input string) (problem.Answer, error) {
	res, err := b.exec.Execute(ctx, rt.work(input), rt)
	if err != nil {
		return problem.Answer{}, err
	}
	return problem.ReadAnswer(res)
}

// memory is a runtime in memory that minds the rules of the real one.
type memory struct {
	mu          sync.Mutex
	events      []job.Event
	transcript  []job.Exchange
	checkpoints []job.Checkpoint
	reserved    map[string]job.MicroUSD
	settled     map[string]job.Usage
	order       []string // "reserve s1/r1/risk", "check …", "settle …", in order
	progress    int
	spent       job.MicroUSD
	resume      *job.Checkpoint
	answers     json.RawMessage

	// Hooks; each runs under no lock.
	onReserve    func(c job.Call) error
	onPermit     func(c job.Call) error
	onCheckpoint func(c job.Checkpoint) error
	onEvent      func(e job.Event) error
	onSettle     func(ctx context.Context, u job.Usage) error
}

func newMemory() *memory {
	return &memory{reserved: map[string]job.MicroUSD{}, settled: map[string]job.Usage{}}
}

// resumedFrom is what a later attempt starts with.
func (m *memory) resumedFrom(c *job.Checkpoint) *memory {
	next := newMemory()
	next.resume = c
	next.spent = m.spent
	return next
}

func (m *memory) work(input string) job.Work {
	return job.Work{
		ID: testJob, Owner: "alice", Kind: Kind, Input: json.RawMessage(input), Attempt: 1,
		Budget: 5 * job.USD, Spent: m.spent, Checkpoint: m.resume, Answers: m.answers,
	}
}

func (m *memory) Event(ctx context.Context, e job.Event) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if m.onEvent != nil {
		if err := m.onEvent(e); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !json.Valid(e.Data) || len(e.Data) > 64<<10 {
		return errors.New("event is no JSON object of at most 64 KiB")
	}
	m.events = append(m.events, e)
	return nil
}

func (m *memory) Reserve(ctx context.Context, c job.Call) (job.Permit, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if m.onReserve != nil {
		if err := m.onReserve(c); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, twice := m.settled[c.ID]; twice {
		return nil, errors.New("call " + c.ID + " was settled already")
	}
	m.reserved[c.ID] = c.Max
	m.order = append(m.order, "reserve "+c.ID)
	return permit{m, c, ctx}, nil
}

type permit struct {
	m   *memory
	c   job.Call
	ctx context.Context
}

func (p permit) Check() error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	if p.m.onPermit != nil {
		if err := p.m.onPermit(p.c); err != nil {
			return err
		}
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.m.order = append(p.m.order, "check "+p.c.ID)
	return nil
}

func (m *memory) Settle(ctx context.Context, u job.Usage) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if m.onSettle != nil {
		if err := m.onSettle(ctx, u); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	most, known := m.reserved[u.CallID]
	if _, twice := m.settled[u.CallID]; twice || !known || u.Cost > most {
		return errors.New("settle of " + u.CallID + ": not reserved, settled twice, or more than reserved")
	}
	m.settled[u.CallID] = u
	m.spent += u.Cost
	m.order = append(m.order, "settle "+u.CallID)
	return nil
}

func (m *memory) Checkpoint(ctx context.Context, c job.Checkpoint) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if m.onCheckpoint != nil {
		if err := m.onCheckpoint(c); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.checkpoints); n > 0 && c.Seq <= m.checkpoints[n-1].Seq || m.resume != nil && c.Seq <= m.resume.Seq {
		return errors.New("the sequence of checkpoints does not grow")
	}
	m.checkpoints = append(m.checkpoints, c)
	return nil
}

// Record implements job.Recorder.
func (m *memory) Record(_ context.Context, e job.Exchange) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.transcript = append(m.transcript, e)
	return errors.New("it could not be kept")
}

func (m *memory) Progress() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.progress++
}

// kinds counts the events by type.
func (m *memory) kinds() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]int{}
	for _, e := range m.events {
		out[e.Type]++
	}
	return out
}

func (m *memory) settledCalls() map[string]job.Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.settled)
}

// open are the calls that were reserved and never settled.
func (m *memory) open() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for id := range m.reserved {
		if _, ok := m.settled[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}

// free is an answer without its bookkeeping, as bytes to compare.
func free(t *testing.T, a problem.Answer) string {
	t.Helper()
	a.CostMicroUSD = 0
	data, err := json.Marshal(a)
	require.NoError(t, err)
	return string(data)
}
