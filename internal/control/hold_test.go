package control

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// A kill-all over a long backlog, and each step of the sweep of it, take Redis no
// more than a few milliseconds, by the time of its own thread. The bench has the
// million and how long others wait; this is its smaller twin.
func TestAKillOfABacklogAndItsSweepNeverHoldRedisForLong(t *testing.T) {
	const backlog, most = 8_000, 25 * time.Millisecond
	f := newFleet(t, 1)
	server := redistest.StartOwn(t, redistest.Options{})
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	f.client, f.runner.Client = client, client
	var err error
	f.Redis, err = NewRedis(f.runner, f.ps, 15*time.Second, zap.NewNop())
	require.NoError(t, err)
	ctx := t.Context()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range backlog / 8 {
				_, _, _ = f.submit(ctx, "ann", "talk", "{}") // counted below
			}
		})
	}
	all.Wait()
	view, err := f.View(ctx)
	require.NoError(t, err)
	require.Equal(t, int64(backlog), view.Jobs[job.Queued])

	before := worked(t, client)
	r, err := f.KillAll(ctx, permit(t, access.KillFleet, access.WholeFleet()), job.Order{Reason: "all", Freeze: true, RequestedAt: time.Now()}, "k")
	require.NoError(t, err)
	require.Equal(t, int64(backlog), r.Tally.NotRunning, "dead at once, however far the booking is")
	require.Positive(t, r.Tally.Unbooked)
	ordered := worked(t, client)
	require.LessOrEqual(t, ordered.cpu-before.cpu, most, "the order itself, whatever the backlog")
	f.clerk(t)
	require.Eventually(t, func() bool {
		r, err := f.Receipt(ctx, r.Order.ID)
		return err == nil && r.Tally.Unbooked == 0
	}, 60*time.Second, 20*time.Millisecond)
	swept := worked(t, client)
	calls := swept.sweeps - ordered.sweeps
	require.GreaterOrEqual(t, calls, int64(backlog/mostChunk))
	each := (swept.cpu - ordered.cpu) / time.Duration(calls)
	t.Logf("the order took %s of Redis's time, each of %d calls of the sweep %s", ordered.cpu-before.cpu, calls, each)
	require.LessOrEqual(t, each, most/2, "what looks meanwhile counted in")
}

// work is what a Redis has done.
type work struct {
	cpu    time.Duration // of its main thread: a busy machine does not count
	sweeps int64         // calls of scripts
}

func worked(t *testing.T, c *redis.Client) (w work) {
	t.Helper()
	info, err := c.InfoMap(t.Context(), "cpu", "commandstats").Result()
	require.NoError(t, err)
	for _, key := range []string{"used_cpu_sys_main_thread", "used_cpu_user_main_thread"} {
		seconds, err := strconv.ParseFloat(info["CPU"][key], 64)
		require.NoError(t, err)
		w.cpu += time.Duration(seconds * float64(time.Second))
	}
	for _, field := range strings.Split(info["Commandstats"]["cmdstat_evalsha"], ",") {
		if n, ok := strings.CutPrefix(field, "calls="); ok {
			w.sweeps, err = strconv.ParseInt(n, 10, 64)
			require.NoError(t, err)
		}
	}
	return w
}
