package budget

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// parked writes a job that its owner's window had parked, as park would.
func parked(t *testing.T, b *Redis, owner string, seq int, by job.MicroUSD) job.ID {
	t.Helper()
	p := b.partitions.Of(owner)
	id, err := b.partitions.NewID(p)
	require.NoError(t, err)
	slot, ctx, c := b.partitions.Slot(p), t.Context(), b.run.Client
	require.NoError(t, c.HSet(ctx, slot.Of("job", string(id)), "id", string(id), "state", "parked", "park_reason", "budget", "short_of", "owner",
		"short_by", int64(by), "owner", owner, "kind", "deliberation", "seq", seq, "budget", 1000, "spent", 0, "reserved", 0).Err())
	require.NoError(t, c.ZAdd(ctx, slot.Of("short"), zAt(seq, id)).Err())
	require.NoError(t, c.ZAdd(ctx, slot.Of("live"), zAt(seq, id)).Err())
	return id
}

// queued counts the jobs on all roads.
func queued(t *testing.T, b *Redis) int64 {
	t.Helper()
	var n int64
	for _, p := range b.partitions.All() {
		k, err := b.run.Client.XLen(t.Context(), b.partitions.Slot(p).Of("road")).Result()
		require.NoError(t, err)
		n += k
	}
	return n
}

// Whoever waits for a window comes back when it has room, a few at a time, also
// while others wait before them.
func TestParkedJobsComeBackAFewAtATime(t *testing.T) {
	b := books(t, 1)
	k := Clerk{Books: b, Settings: Settings{OwnerCap: new(job.MicroUSD(0))}, Log: zap.NewNop()}
	after := map[int]string{}
	for i := range 300 {
		parked(t, b, "ann", i+1, 50)
	}
	for i := range 25 {
		parked(t, b, "bob", 301+i, 50)
	}
	k.once(t.Context(), after)
	require.Zero(t, queued(t, b), "there is no room")

	_, err := b.SetBudget(t.Context(), permitted(t), "bob", capOf(10_000), "agreed")
	require.NoError(t, err)
	rounds, last := 0, int64(0)
	for ; last < 25; rounds++ {
		k.once(t.Context(), after)
		now := queued(t, b)
		require.LessOrEqual(t, now-last, int64(readmitMost))
		last = now
		require.Less(t, rounds, 20, "bob's jobs wait behind ann's")
	}
	require.GreaterOrEqual(t, rounds, 3)
}

// Several clerks at once bring each job back once, and never more than there is
// room for in one step of one of them.
func TestSeveralClerksBringEachJobBackOnce(t *testing.T) {
	b := books(t, 2)
	for i := range 40 {
		parked(t, b, fmt.Sprintf("o%d", i%4), i+1, 50)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { Clerk{Books: b, Every: 5 * time.Millisecond, Log: zap.NewNop()}.Run(ctx) })
	}
	require.Eventually(t, func() bool { return queued(t, b) == 40 }, 10*time.Second, 10*time.Millisecond)
	cancel()
	wg.Wait()
	require.Equal(t, int64(40), queued(t, b))
	for _, p := range b.partitions.All() {
		n, err := b.run.Client.ZCard(t.Context(), b.partitions.Slot(p).Of("short")).Result()
		require.NoError(t, err)
		require.Zero(t, n)
	}
}

// The end of a window is the money's clock's, and frees what it held.
func TestTheNextWindowBringsThemBack(t *testing.T) {
	b := books(t, 1)
	s := Settings{OwnerCap: new(job.MicroUSD(100)), Window: time.Hour}
	tick(t, b, noon, s)
	id, claim := running(t, b, "ann", 1000, `{}`)
	pay(t, b, id, claim, "c1", 60)
	parked(t, b, "ann", 2, 41)
	back, _, err := b.Readmit(t.Context(), 0, "")
	require.NoError(t, err)
	require.Zero(t, back)
	tick(t, b, noon.Add(time.Hour), s)
	back, _, err = b.Readmit(t.Context(), 0, "")
	require.NoError(t, err)
	require.Equal(t, 1, back)
}

// Held jobs of many owners take turns; each owner's come in their order.
func TestHeldJobsComeBackInTheirOrder(t *testing.T) {
	b := books(t, 1)
	slot, c := b.partitions.Slot(0), b.run.Client
	ids := map[string][]string{}
	for i := range 200 {
		owner := fmt.Sprintf("o%d", i%60)
		id, err := b.partitions.NewID(0)
		require.NoError(t, err)
		ids[owner] = append(ids[owner], string(id))
		require.NoError(t, c.HSet(t.Context(), slot.Of("job", string(id)), "state", "held", "owner", owner, "kind", "talk", "seq", i+1).Err())
		require.NoError(t, c.ZAdd(t.Context(), slot.Of("held", owner), zAt(i+1, id)).Err())
		require.NoError(t, c.ZAdd(t.Context(), slot.Of("capped"), zAt(0, job.ID(owner))).Err())
	}
	k := Clerk{Books: b, Settings: Settings{OwnerRunning: new(1)}, Log: zap.NewNop()}
	after := map[int]string{}
	k.once(t.Context(), after)
	require.Equal(t, int64(unholdOwners), queued(t, b), "one of each owner it looked at")
	k.once(t.Context(), after)
	require.Equal(t, int64(60), queued(t, b), "one of each owner")
	k.once(t.Context(), after)
	require.Equal(t, int64(60), queued(t, b), "the others have no room")
	for owner, all := range ids {
		for i, id := range all {
			state, err := c.HGet(t.Context(), slot.Of("job", id), "state").Result()
			require.NoError(t, err)
			require.Equal(t, i == 0, state == "queued", owner)
		}
	}
	_, err := b.SetBudget(t.Context(), permitted(t), "o1", job.Limits{Running: new(9)}, "more")
	require.NoError(t, err)
	k.once(t.Context(), after)
	k.once(t.Context(), after)
	require.Equal(t, int64(60+len(ids["o1"])-1), queued(t, b))
	got, err := b.Budget(t.Context(), "o2")
	require.NoError(t, err)
	require.Equal(t, 1, *got.InForce.Running)
}
