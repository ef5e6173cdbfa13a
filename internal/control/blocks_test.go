package control

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

func zOf(member string) redis.Z { return redis.Z{Score: 1, Member: member} }

func (f *fleet) block(t *testing.T, b job.Block, key string) job.Block {
	t.Helper()
	b.Reason = "it loops"
	got, err := f.Block(t.Context(), permit(t, access.Block, access.WholeFleet()), b, key)
	require.NoError(t, err)
	return got
}

func (f *fleet) heads(t *testing.T) string {
	t.Helper()
	_, heads, err := f.Blocks(t.Context())
	require.NoError(t, err)
	return strings.Join(heads, ",")
}

func (f *fleet) lift(t *testing.T, id job.ID, seen string) error {
	t.Helper()
	_, err := f.Lift(t.Context(), permit(t, access.Lift, access.WholeFleet()), id, seen, "over", "k")
	return err
}

func TestABlockStandsEverywhereUntilItIsLifted(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		ctx := t.Context()
		benched := []job.ID{}
		for _, o := range owners(12) {
			benched = append(benched, f.mustSubmit(t, o, "talk", `{"team":"red"}`))
		}
		b := f.block(t, job.Block{On: job.OnLabel, Label: "team", Value: "red"}, "k1")
		require.Empty(t, b.Missing)
		require.Equal(t, b.ID, f.block(t, job.Block{On: job.OnLabel, Label: "team", Value: "red"}, "k1").ID)
		for _, o := range owners(12) {
			_, refused, err := f.submit(ctx, o, "talk", `{"team":"red"}`)
			require.NoError(t, err)
			require.Equal(t, "blocked "+string(b.ID), refused)
			f.mustSubmit(t, o, "talk", `{"team":"blue"}`)
		}
		require.Len(t, f.mustGrant(t, "n1"), 12, "the blue ones")
		for _, id := range benched {
			j := f.record(t, id)
			require.Equal(t, []any{job.Parked, "blocked", b.ID}, []any{j.State, j.ParkReason, j.BlockedBy})
		}
		all, _, err := f.Blocks(ctx)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, []any{b.ID, "root", "it loops"}, []any{all[0].ID, all[0].Actor, all[0].Reason})
		require.Empty(t, all[0].Missing)
		_, err = f.Receipt(ctx, b.ID)
		require.ErrorIs(t, err, job.ErrUnknown, "a standing order kills nothing")
		last, _, err := f.Orders(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, last)

		require.NoError(t, f.lift(t, b.ID, f.heads(t)))
		for _, id := range benched {
			require.Equal(t, job.Queued, f.record(t, id).State)
		}
		require.Len(t, f.mustGrant(t, "n2"), 12)
		f.mustSubmit(t, "owner-0", "talk", `{"team":"red"}`)
		all, _, err = f.Blocks(ctx)
		require.NoError(t, err)
		require.Empty(t, all)
		require.NoError(t, f.lift(t, b.ID, f.heads(t)), "lifting a lifted one changes nothing")
		require.True(t, f.block(t, job.Block{On: job.OnLabel, Label: "team", Value: "red"}, "k1").Lifted, "a late retry does not make it stand again")
		f.mustSubmit(t, "owner-1", "talk", `{"team":"red"}`)
	})
}

func TestAnOwnersBlockTouchesNobodyElse(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		b := f.block(t, job.Block{On: job.OnOwner, Value: "owner-1"}, "")
		for _, o := range owners(8) {
			_, refused, err := f.submit(t.Context(), o, "talk", `{}`)
			require.NoError(t, err)
			require.Equal(t, o == "owner-1", refused != "")
		}
		all, _, err := f.Blocks(t.Context())
		require.NoError(t, err)
		require.Empty(t, all[0].Missing)
		require.NoError(t, f.lift(t, b.ID, f.heads(t)))
		f.mustSubmit(t, "owner-1", "talk", `{}`)
	})
}

func TestALiftComparesTheGate(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		b := f.block(t, job.Block{On: job.OnKind, Value: "talk"}, "")
		seen := f.heads(t)
		_, err := f.Freeze(t.Context(), permit(t, access.Freeze, access.WholeFleet()), "r", "", "")
		require.NoError(t, err)
		var stale *job.StaleGate
		require.ErrorAs(t, f.lift(t, b.ID, seen), &stale)
		require.Equal(t, f.heads(t), stale.Now)
		require.ErrorAs(t, f.lift(t, b.ID, "nonsense"), &stale)
		all, _, err := f.Blocks(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.NoError(t, f.lift(t, b.ID, stale.Now))

		kill := f.kill(t, job.Selector{Kind: "talk"}, "")
		require.ErrorIs(t, f.lift(t, kill.Order.ID, f.heads(t)), job.ErrUnknown, "a kill is not lifted")
		none, err := f.ps.NewID(0)
		require.NoError(t, err)
		require.ErrorIs(t, f.lift(t, none, f.heads(t)), job.ErrUnknown)
		require.ErrorIs(t, f.lift(t, "nonsense", f.heads(t)), job.ErrUnknown)
	})
}

// A gate that changed in one partition only leaves the order there, and says so;
// lifting it again, having looked, lifts the rest.
func TestAHalfLiftedBlockIsShownAndLifted(t *testing.T) {
	f := newFleet(t, 4)
	b := f.block(t, job.Block{On: job.OnKind, Value: "talk"}, "")
	seen := f.heads(t)
	owner := owners(64)[slices.IndexFunc(owners(64), func(o string) bool { return f.ps.Of(o) == 2 })]
	f.block(t, job.Block{On: job.OnOwner, Value: owner}, "")
	var stale *job.StaleGate
	require.ErrorAs(t, f.lift(t, b.ID, seen), &stale)
	all, _, err := f.Blocks(t.Context())
	require.NoError(t, err)
	require.Equal(t, b.ID, all[0].ID)
	require.Equal(t, []int{0, 1}, all[0].Missing)
	f.clerk(t) // must not make it stand again where it was lifted
	require.NoError(t, f.lift(t, b.ID, f.heads(t)))
	all, _, err = f.Blocks(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, owner, all[0].Value)
}

// A dispatcher that dies behind its first write leaves the rest to any other.
func TestAnyDispatcherCompletesABlockAndBringsItsJobsBack(t *testing.T) {
	f := newFleet(t, 4)
	var ids []job.ID
	for range 60 {
		for _, o := range owners(8) {
			ids = append(ids, f.mustSubmit(t, o, "talk", `{}`))
		}
	}
	id, err := f.ps.NewID(0)
	require.NoError(t, err)
	b := job.Block{ID: id, On: job.OnKind, Value: "talk", Actor: "root", Reason: "r"}
	_, err = f.blockIn(t.Context(), 0, b, []byte(`{}`))
	require.NoError(t, err)
	f.clerk(t)
	standing := func(missing int) func() bool {
		return func() bool {
			all, _, err := f.Blocks(t.Context())
			return err == nil && len(all) == 1 && len(all[0].Missing) == missing
		}
	}
	require.Eventually(t, standing(0), 5*time.Second, 5*time.Millisecond)
	for i := range 40 {
		require.Empty(t, f.mustGrant(t, "n"+string(rune('a'+i))))
	}
	for _, id := range ids {
		require.Equal(t, job.Parked, f.record(t, id).State)
	}
	heads := strings.Split(f.heads(t), ",")
	for _, p := range f.ps.All() { // its scripts alone: nobody walks but the clerk
		home := ""
		if p == 0 {
			home = "1"
		}
		_, err := f.call(t.Context(), "lift", place(f, p, id), map[string]any{
			"id": string(id), "home": home, "seen": heads[p],
			"actor": "root", "reason": "r", "mark": "m", "who": "{}",
		})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		for _, id := range ids {
			if f.record(t, id).State != job.Queued {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond)
	view, err := f.View(t.Context())
	require.NoError(t, err)
	require.Empty(t, view.OpenOrders)
	require.Equal(t, int64(480), view.Jobs[job.Queued])
}

// A block that was lifted before every partition had it is not completed any
// more.
func TestALiftedBlockIsNotCompleted(t *testing.T) {
	f := newFleet(t, 4)
	id, err := f.ps.NewID(0)
	require.NoError(t, err)
	b := job.Block{ID: id, On: job.OnKind, Value: "talk", Actor: "root", Reason: "r"}
	_, err = f.blockIn(t.Context(), 0, b, []byte(`{}`))
	require.NoError(t, err)
	_, err = f.call(t.Context(), "lift", place(f, 0, id), map[string]any{
		"id": string(id), "home": "1",
		"seen": strings.Split(f.heads(t), ",")[0], "actor": "root", "reason": "r", "mark": "m", "who": "{}",
	})
	require.NoError(t, err)
	require.NoError(t, f.complete(t.Context(), 0, id))
	all, _, err := f.Blocks(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestThereAreNotTooManyBlocks(t *testing.T) {
	f := newFleet(t, 1)
	for i := range job.MaxBlocks {
		f.block(t, job.Block{On: job.OnKind, Value: "kind-" + string(rune('a'+i%26)) + string(rune('a'+i/26))}, "")
	}
	_, err := f.Block(t.Context(), permit(t, access.Block, access.WholeFleet()), job.Block{On: job.OnKind, Value: "one-more", Reason: "r"}, "")
	require.ErrorIs(t, err, job.ErrTooManyBlocks)
}
