package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
)

const (
	submitters = 16
	// eachOrder is how many jobs have been accepted since the last kill-all when
	// the next one is given.
	eachOrder = 120
	orders    = 3
)

// submitted is one submission as its client saw it.
type submitted struct {
	id              string
	asked, answered time.Time
}

// killed is one kill-all as its operator saw it.
type killed struct{ asked, answered, quiesced time.Time }

// history is what clients and operator saw. With what the witness saw it is all
// that is judged here; none of the fleet's own counters is asked.
type history struct {
	mu     sync.Mutex
	jobs   []submitted
	orders []killed
	more   chan struct{} // closed and replaced when a job is accepted
}

func (h *history) accepted(j submitted) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs = append(h.jobs, j)
	close(h.more)
	h.more = make(chan struct{})
}

func (h *history) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.jobs)
}

func (h *history) until(ctx context.Context, n int) error {
	for {
		h.mu.Lock()
		have, more := len(h.jobs), h.more
		h.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%d jobs were accepted, want %d: %w", have, n, ctx.Err())
		}
	}
}

// Sixteen clients submit, fail and retry, park and answer, while workers are
// drained (released), killed (reclaimed) and started anew, and an admin kills
// all, three times, with the gate open: the horizon alone divides what dies from
// what lives. No job that was accepted before a kill-all was requested makes a
// paid call after it; every one that was submitted after the last is done.
func TestNothingBehindAHorizonStarts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, t.TempDir(), 2)
	t.Cleanup(f.end)
	unset := func(string) string { return "" }
	require.NoError(t, f.startDispatcher("dispatcher", unset))
	for i := range 4 {
		require.NoError(t, f.startWorker(fmt.Sprint("w", i), unset))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	h := &history{more: make(chan struct{})}
	working, stop := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for i := range submitters {
		clients.Go(func() { f.submitMany(working, i, h) })
	}
	defer clients.Wait()
	defer stop()

	for i := range orders {
		require.NoError(t, h.until(ctx, (i+1)*eachOrder))
		f.trouble(t, i)
		h.orders = append(h.orders, f.killEverything(ctx, t))
	}
	require.NoError(t, h.until(ctx, h.count()+eachOrder))
	stop()
	clients.Wait()
	f.judge(ctx, t, h)
}

// submitMany submits one job after the other, each with a life of its own.
func (f *fleet) submitMany(ctx context.Context, n int, h *history) {
	lives := []map[string]any{
		{"steps": 2, "step_ms": 10},
		{"steps": 40, "step_ms": 20, "checkpoint": true},
		{"steps": 3, "step_ms": 5, "fail": "retryable", "fail_at": 2, "fail_times": 1},
		{"steps": 3, "step_ms": 5, "park_at": 2, "checkpoint": true},
	}
	c := f.as(people[n%3].Subject)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var parks []string
	for ctx.Err() == nil {
		i := r.IntN(len(lives))
		input := map[string]any{"calls_per_step": 1, "call_micro_usd": 1, "call_url": f.witness.url + "/call"}
		for k, v := range lives[i] {
			input[k] = v
		}
		asked := time.Now()
		done, err := c.Submit(ctx, client.Submission{Kind: "canary", Input: input})
		if err != nil {
			continue // not accepted, so nothing is claimed of it
		}
		h.accepted(submitted{id: done.ID, asked: asked, answered: time.Now()})
		if parks = append(parks, done.ID); input["park_at"] == nil {
			parks = parks[:len(parks)-1]
		}
		if len(parks) > 3 {
			_, _ = c.Answer(ctx, parks[0], []string{"go on"}, "") // dead, or not yet parked: then it waits on
			parks = parks[1:]
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(r.IntN(40)) * time.Millisecond):
		}
	}
}

// trouble ends a worker, in order or not, just before an order, and starts
// another in its place.
func (f *fleet) trouble(t *testing.T, i int) {
	t.Helper()
	unset := func(string) string { return "" }
	require.NoError(t, f.processes[fmt.Sprint("w", i)].signal([]string{"TERM", "KILL", "TERM"}[i]))
	require.NoError(t, f.startWorker(fmt.Sprint("again", i), unset))
}

func (f *fleet) killEverything(ctx context.Context, t *testing.T) (k killed) {
	t.Helper()
	adam, open := f.as("adam"), false
	k.asked = time.Now()
	r, err := adam.KillAll(ctx, client.KillAll{Reason: "told by the history", Confirm: f.name, Freeze: &open})
	require.NoError(t, err)
	k.answered = time.Now()
	require.NoError(t, eventually(func(ctx context.Context) error {
		now, err := adam.Receipt(ctx, r.Order)
		if err != nil {
			return err
		}
		return so(now, []string{"stage=quiesced", "tally.waiting=0"})
	}))
	k.quiesced = time.Now()
	return k
}

// judge holds the history to what was promised.
func (f *fleet) judge(ctx context.Context, t *testing.T, h *history) {
	t.Helper()
	starts := map[string]time.Time{} // of the last call that each job made
	calls := 0
	f.witness.mu.Lock()
	for _, c := range f.witness.calls {
		calls++
		if c.at.After(starts[c.job]) {
			starts[c.job] = c.at
		}
	}
	f.witness.mu.Unlock()
	behind, alive := 0, 0
	lastOrder := h.orders[len(h.orders)-1]
	for _, j := range h.jobs {
		at, called := starts[j.id]
		for n, o := range h.orders {
			if !j.answered.Before(o.asked) {
				continue
			}
			behind++
			if called {
				require.False(t, at.After(o.answered.Add(permitAge)), "job %s was accepted before order %d and made a paid call %s after it", j.id, n, at.Sub(o.answered))
				require.False(t, at.After(o.quiesced), "job %s made a paid call %s after order %d was quiesced", j.id, at.Sub(o.quiesced), n)
			}
		}
		if j.asked.After(lastOrder.answered) {
			alive++
			require.NoError(t, f.livesOn(ctx, j.id))
		}
	}
	t.Logf("%d jobs, %d paid calls, %d times a job behind an order, %d jobs after the last", len(h.jobs), calls, behind, alive)
	require.GreaterOrEqual(t, behind, orders*eachOrder, "orders had something to kill")
	require.GreaterOrEqual(t, alive, eachOrder/2)
}

// livesOn waits until a job of the time after the last order is done. What is
// parked is answered.
func (f *fleet) livesOn(ctx context.Context, id string) error {
	adam := f.as("adam")
	return eventually(func(context.Context) error {
		j, err := adam.Job(ctx, id)
		switch {
		case err != nil:
			return err
		case j.State == client.Succeeded:
			return nil
		case j.State.Over():
			return settledError{fmt.Errorf("job %s was submitted after the last order and is %s by order %s", id, j.State, j.Order)}
		case j.ParkReason != "":
			_, err = f.as(j.Owner).Answer(ctx, id, []string{"go on"}, "")
			return errors.Join(err, errors.New("answered"))
		default:
			return fmt.Errorf("job %s is %s", id, j.State)
		}
	})
}
