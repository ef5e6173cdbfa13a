package control

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestTheViewSaysHowTheFleetIs(t *testing.T) {
	f := newFleet(t, 1)
	ctx, slot := t.Context(), f.ps.Slot(0)
	view, err := f.View(ctx)
	require.NoError(t, err)
	require.Zero(t, view.QueuedOldest)
	require.WithinDuration(t, time.Now(), view.At, time.Minute)
	require.Positive(t, view.RedisTook)

	now, err := f.client.Time(ctx).Result()
	require.NoError(t, err)
	old := now.Add(-4 * time.Minute).UnixMilli()
	require.NoError(t, f.client.Do(ctx, "XADD", slot.Of("road"), old, "job", "x").Err())
	f.mustSubmit(t, "ann", "talk", "{}")
	for worker, row := range map[string]string{
		"w1": `{"no_progress":3,"no_progress_jobs":["J1","J2"],"reclaimed":2,"lag":80000,"trust":10000000}`,
		"w2": `{"no_progress":1,"reclaimed":1,"lag":20000,"trust":10000000}`,
	} {
		require.NoError(t, f.client.ZAdd(ctx, slot.Of("workers"), redis.Z{Score: 1, Member: worker}).Err())
		require.NoError(t, f.client.HSet(ctx, slot.Of("worker", worker), "row", row).Err())
	}
	view, err = f.View(ctx)
	require.NoError(t, err)
	require.Equal(t, 4, view.NoProgress)
	require.Equal(t, int64(3), view.Reclaimed)
	require.Equal(t, 80*time.Millisecond, view.ControlLag)
	require.Equal(t, int64(2), view.Road)
	require.GreaterOrEqual(t, view.QueuedOldest, 4*time.Minute)
	require.Less(t, view.QueuedOldest, 10*time.Minute)
	require.Equal(t, int64(1), view.Jobs[job.Queued])
	require.Equal(t, []job.ID{"J1", "J2"}, view.Workers[slices.IndexFunc(view.Workers, func(w job.WorkerView) bool { return w.ID == "w1" })].NoProgressJobs)
	for _, w := range view.Workers {
		require.LessOrEqual(t, w.TrustLeft, 10*time.Second)
		require.Equal(t, 5*time.Second, w.LeaseLeft-w.TrustLeft, "T is 15 s, S is 10 s")
	}
}

// More workers than a page, and more than a view lists: the number says so.
func TestTheViewSaysHowManyWorkersItLeavesOut(t *testing.T) {
	f := newFleet(t, 1)
	ctx, slot := t.Context(), f.ps.Slot(0)
	const more = 7
	add := func(from, to int) {
		pipe := f.client.Pipeline()
		for i := from; i < to; i++ {
			id := fmt.Sprintf("w%05d", i)
			pipe.ZAdd(ctx, slot.Of("workers"), redis.Z{Score: float64(i), Member: id})
			pipe.HSet(ctx, slot.Of("worker", id), "row", `{"slots":1}`)
		}
		_, err := pipe.Exec(ctx)
		require.NoError(t, err)
	}
	add(0, rowsPerCall+more)
	view, err := f.View(ctx)
	require.NoError(t, err)
	require.Len(t, view.Workers, rowsPerCall+more)
	require.Equal(t, rowsPerCall+more, view.Slots)
	require.Zero(t, view.Unlisted)

	add(rowsPerCall+more, maxListed+more)
	view, err = f.View(ctx)
	require.NoError(t, err)
	require.Len(t, view.Workers, maxListed)
	require.Equal(t, more, view.Unlisted)
}

func TestTheViewSaysWhoKeepsStatesElsewhere(t *testing.T) {
	f := newFleet(t, 1)
	ctx, slot := t.Context(), f.ps.Slot(0)
	f.Store = func() job.Store { return job.Store{Place: "dir:/a", Mark: "m1"} }
	for worker, row := range map[string]string{
		"same": `{"store":"dir:/mnt/a","store_mark":"m1"}`, "other": `{"store":"dir:/a","store_mark":"m2"}`, "older": `{}`,
	} {
		require.NoError(t, f.client.ZAdd(ctx, slot.Of("workers"), redis.Z{Score: 1, Member: worker}).Err())
		require.NoError(t, f.client.HSet(ctx, slot.Of("worker", worker), "row", row).Err())
	}
	view, err := f.View(ctx)
	require.NoError(t, err)
	require.Equal(t, "dir:/a", view.Store)
	elsewhere := map[string]bool{}
	for _, w := range view.Workers {
		elsewhere[w.ID] = w.Elsewhere
	}
	require.Equal(t, map[string]bool{"same": false, "other": true, "older": false}, elsewhere)
}
