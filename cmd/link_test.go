package cmd_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/redistest"
)

const (
	// lost is for how long a worker's link is broken while its job is killed.
	lost = 3 * time.Second
	// The bounds of an order: no new paid call later than a permit is good for, and
	// after the link is back what a renewal period and a reconnect may take.
	permitAge  = 250 * time.Millisecond
	afterwards = 3*time.Second + time.Second // H + 1 s
)

// Five workers, four ways to lose a link, and the timings of production. A
// message that is fired and forgotten is lost twenty times of twenty here.
func TestAKillRequestedWhileTheLinkIsCutIsObeyedTwentyTimesOfTwenty(t *testing.T) {
	t.Parallel()
	production := map[string]string{"GAVEL_LEASE_RENEW": "3s", "GAVEL_LEASE_TRUST": "10s", "GAVEL_LEASE_TAKE": "15s", "GAVEL_SLOTS": "1"}
	settings := func(name string) string { return production[name] }
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	require.NoError(t, f.startDispatcher("dispatcher", settings))
	for i := range 5 {
		name := fmt.Sprint("w", i)
		require.NoError(t, f.startWorker(name, settings, "via="+name))
	}
	obeyed := 0
	for _, way := range []struct {
		name string
		lose func(*redistest.Proxy)
	}{
		{"closed", (*redistest.Proxy).Cut},
		{"reset", (*redistest.Proxy).Reset},
		{"frozen", (*redistest.Proxy).Freeze},
		{"half open", (*redistest.Proxy).FreezeReplies},
	} {
		took := f.killBehindLostLinks(t, way.lose)
		t.Logf("link %s: killed %v after it was back", way.name, took)
		obeyed += len(took)
	}
	require.Equal(t, 20, obeyed)
	for name, l := range f.links {
		c := l.Counts()
		require.Positive(t, c.Ended+c.Refused, "the link of %s was cut", name)
		require.Positive(t, c.Held, "the link of %s was frozen", name)
	}
}

// killBehindLostLinks runs a job on every worker, loses all links, kills the
// jobs, and gives the links back. It returns how long after that each was over.
func (f *fleet) killBehindLostLinks(t *testing.T, lose func(*redistest.Proxy)) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	alice := f.as("alice")
	ids := make([]string, len(f.links))
	for i := range ids {
		done, err := alice.Submit(ctx, client.Submission{Kind: "canary", Input: map[string]any{
			"steps": 10_000, "step_ms": 20, "calls_per_step": 1, "call_micro_usd": 1, "call_url": f.witness.url + "/call",
		}})
		require.NoError(t, err)
		ids[i] = done.ID
	}
	for _, id := range ids {
		require.True(t, f.witness.reached(id, "s3-c1", 1), "%s runs", id)
	}
	for _, l := range f.links {
		lose(l)
	}
	back := time.After(lost)
	ordered := map[string]time.Time{}
	for _, id := range ids {
		_, err := alice.Kill(ctx, id, client.Kill{Reason: "while nobody hears"})
		require.NoError(t, err)
		ordered[id] = time.Now()
	}
	<-back
	for _, l := range f.links {
		l.Pass()
	}
	return f.obeyed(ctx, t, ids, ordered)
}

// obeyed waits for the end of each job and holds it to the bounds.
func (f *fleet) obeyed(ctx context.Context, t *testing.T, ids []string, ordered map[string]time.Time) []time.Duration {
	t.Helper()
	restored := time.Now()
	var took []time.Duration
	for _, id := range ids {
		j, err := f.as("alice").Wait(ctx, id)
		require.NoError(t, err)
		took = append(took, time.Since(restored).Round(time.Millisecond))
		require.Equal(t, client.Killed, j.State)
		require.Equal(t, client.Stopped, j.Verdict, "its own worker confirmed; nobody had to wait for its lease to run out")
		require.LessOrEqual(t, took[len(took)-1], afterwards)
		for _, c := range f.witness.of(id) {
			require.False(t, c.at.After(ordered[id].Add(permitAge)), "paid call %s came %s after the order", c.id, c.at.Sub(ordered[id]))
		}
	}
	return took
}
