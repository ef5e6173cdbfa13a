package cmd_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
)

// The twins, of a size for every day, of what the bench does with 5,000 running
// jobs and with a million that wait.
const (
	burstWorkers, burstSlots = 4, 75
	burstQueued              = 1500
	callers                  = 32
)

// crowd submits n canaries and returns their ids.
func (f *fleet) crowd(ctx context.Context, t *testing.T, who string, n int) []string {
	t.Helper()
	ids := make([]string, n)
	f.together(t, n, func(i int) error {
		done, err := f.as(who).Submit(ctx, client.Submission{Kind: "canary", Input: map[string]any{
			"steps": 2, "step_ms": 600_000, "calls_per_step": 1, "call_url": f.witness.url + "/call",
		}})
		ids[i] = done.ID
		return err
	})
	return ids
}

// together does n things, so many at a time as there are callers.
func (*fleet) together(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	next, errs := make(chan int), make(chan error, n)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := range next {
				errs <- do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// Kills by the hundred, all at once: none is lost, none is reported that did not
// happen. First one by one, then as one order that also finds a crowd waiting.
func TestABurstOfKillsReachesEveryJob(t *testing.T) {
	t.Parallel()
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	slots := func(name string) string { return map[string]string{"GAVEL_SLOTS": fmt.Sprint(burstSlots)}[name] }
	unlimited := func(name string) string {
		return map[string]string{"GAVEL_SUBMIT_RATE": "0", "GAVEL_READ_RATE": "0"}[name]
	}
	require.NoError(t, f.startDispatcher("dispatcher", unlimited))
	for i := range burstWorkers {
		require.NoError(t, f.startWorker(fmt.Sprint("w", i), slots))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	const running = burstWorkers * burstSlots

	ids := f.crowd(ctx, t, "alice", running)
	for _, id := range ids {
		require.True(t, f.witness.reached(id, "s1-c1", 1), "%s runs", id)
	}
	orders := make([]string, running)
	f.together(t, running, func(i int) error {
		r, err := f.as("alice").Kill(ctx, ids[i], client.Kill{Reason: "one of very many"})
		orders[i] = r.Order
		return err
	})
	for i, order := range orders {
		require.NoError(t, f.comesTo(order, "stage=quiesced", "verdict=stopped"), "the kill of %s", ids[i])
	}
	f.quiet(ctx, t, ids, "stopped")

	ids = f.crowd(ctx, t, "alice", running)
	for _, id := range ids {
		require.True(t, f.witness.reached(id, "s1-c1", 1), "%s runs", id)
	}
	waiting := f.crowd(ctx, t, "bob", burstQueued)
	r, err := f.as("adam").KillAll(ctx, client.KillAll{Reason: "all of them", Confirm: f.name})
	require.NoError(t, err)
	require.EqualValues(t, running+burstQueued, r.Tally.Targeted, "at once, however far the booking is")
	require.NoError(t, f.comesTo(r.Order, "stage=quiesced", "tally.waiting=0", "tally.unbooked=0", fmt.Sprint("tally.stopped=", running), fmt.Sprint("tally.not_running=", burstQueued)))
	f.quiet(ctx, t, ids, "stopped")
	f.quiet(ctx, t, waiting, "not_running")
	for _, id := range waiting {
		require.Empty(t, f.witness.of(id), "%s never started", id)
	}
}

// comesTo waits until an order's receipt is so.
func (f *fleet) comesTo(order string, conditions ...string) error {
	return eventually(func(ctx context.Context) error {
		r, err := f.as("adam").Receipt(ctx, order)
		if err != nil {
			return err
		}
		return so(r, conditions)
	})
}

// quiet holds every job's record to its end.
func (f *fleet) quiet(ctx context.Context, t *testing.T, ids []string, verdict client.Verdict) {
	t.Helper()
	f.together(t, len(ids), func(i int) error {
		j, err := f.as("adam").Job(ctx, ids[i])
		if err == nil && (j.State != client.Killed || j.Verdict != verdict) {
			err = fmt.Errorf("job %s is %s, verdict %q, want killed and %q", ids[i], j.State, j.Verdict, verdict)
		}
		return err
	})
}
