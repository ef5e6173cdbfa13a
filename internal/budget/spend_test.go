package budget

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// books are those of a fresh fleet on a real Redis.
func books(t *testing.T, partitions int) *Redis {
	t.Helper()
	s := redistest.Start(t)
	b, err := NewRedis(rediskit.Runner{Client: s.Client(t), Profile: rediskit.Server}, rediskit.Partitions{Fleet: "f-" + rand.Text()[:8], Count: partitions})
	require.NoError(t, err)
	return b
}

// running writes a job that runs, as submit and grant would.
func running(t *testing.T, b *Redis, owner string, budget job.MicroUSD, labels string) (job.ID, job.Claim) {
	t.Helper()
	p := b.partitions.Of(owner)
	id, err := b.partitions.NewID(p)
	require.NoError(t, err)
	slot := b.partitions.Slot(p)
	require.NoError(t, b.run.Client.HSet(t.Context(), slot.Of("job", string(id)), "id", string(id), "state", "running", "owner", owner,
		"submitter", "svc", "kind", "deliberation", "seq", 1, "worker", "w1", "epoch", "1.a", "budget", int64(budget), "spent", 0, "reserved", 0, "labels", labels).Err())
	require.NoError(t, b.run.Client.ZAdd(t.Context(), slot.Of("leases"), redisZ(string(id))).Err())
	return id, job.Claim{Worker: "w1", Epoch: "1.a"}
}

// pay makes a call that costs.
func pay(t *testing.T, b *Redis, id job.ID, c job.Claim, call string, cost job.MicroUSD) {
	t.Helper()
	require.NoError(t, b.Reserve(t.Context(), id, c, job.Call{ID: call, Model: "gpt", Max: cost}))
	require.NoError(t, b.Settle(t.Context(), id, job.Usage{CallID: call, Model: "gpt", Cost: cost}))
}

var noon = time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)

func tick(t *testing.T, b *Redis, now time.Time, s Settings) Burn {
	t.Helper()
	var sum Burn
	for _, p := range b.partitions.All() {
		at, err := b.Tick(t.Context(), p, now, s)
		require.NoError(t, err)
		sum.At, sum.PerMinute, sum.Reserved = at.At, sum.PerMinute+at.PerMinute, sum.Reserved+at.Reserved
	}
	return sum
}

func TestSpendIsToldByEveryDimension(t *testing.T) {
	for _, partitions := range []int{1, 3} {
		t.Run(fmt.Sprint(partitions), func(t *testing.T) {
			b := books(t, partitions)
			ann, annClaim := running(t, b, "ann", 1000, `{"batch":"nightly"}`)
			bob, bobClaim := running(t, b, "bob", 1000, `{}`)
			tick(t, b, noon.Add(-20*time.Minute), Settings{})
			pay(t, b, ann, annClaim, "old", 550)
			tick(t, b, noon.Add(-2*time.Minute), Settings{})
			pay(t, b, ann, annClaim, "c1", 40)
			tick(t, b, noon.Add(-time.Minute), Settings{})
			pay(t, b, bob, bobClaim, "c1", 100)
			burn := tick(t, b, noon, Settings{OwnerCap: new(job.MicroUSD(2000))})
			pay(t, b, ann, annClaim, "c2", 7)
			require.NoError(t, b.Reserve(t.Context(), bob, bobClaim, job.Call{ID: "c3", Model: "gpt", Max: 13}))
			require.Equal(t, job.MicroUSD(50), burn.PerMinute, "half of the minute before is 60 s ago")
			burn = tick(t, b, noon, Settings{OwnerCap: new(job.MicroUSD(2000))})
			require.Equal(t, Burn{At: noon, PerMinute: 57, Reserved: 13}, burn)

			s, err := b.Spend(t.Context(), job.SpendQuery{By: job.ByOwner})
			require.NoError(t, err)
			require.Equal(t, noon, s.At)
			require.Equal(t, []job.MicroUSD{57, 10, 147, 697, 13, 0}, []job.MicroUSD{s.PerMinute, s.Baseline, s.LastFive, s.Today, s.Reserved, s.Estimated})
			require.Len(t, s.Minutes, 60)
			require.Equal(t, job.Minute{At: noon.Truncate(time.Minute), Spent: 7}, s.Minutes[59])
			require.Equal(t, job.MicroUSD(550), s.Minutes[39].Spent)
			require.Equal(t, []job.Spender{
				{Name: "bob", PerMinute: 50, LastFive: 100, Today: 100, Running: 1},
				{Name: "ann", PerMinute: 7, LastFive: 47, Today: 597, Running: 1},
			}, s.Top)
			require.Nil(t, s.Window.Cap)
			require.Equal(t, job.MicroUSD(697), s.Window.Spent)
			require.Equal(t, noon.Truncate(24*time.Hour).Add(24*time.Hour), s.Window.Ends)

			for q, want := range map[job.SpendQuery]job.Spender{
				{By: job.ByKind}:                  {Name: "deliberation", PerMinute: 57, LastFive: 147, Today: 697, Running: 2},
				{By: job.BySubmitter}:             {Name: "svc", PerMinute: 57, LastFive: 147, Today: 697, Running: 2},
				{By: job.ByWorker}:                {Name: "w1", PerMinute: 57, LastFive: 147, Today: 697, Running: 2},
				{By: job.ByModel}:                 {Name: "gpt", PerMinute: 57, LastFive: 147, Today: 697},
				{By: job.ByLabel, Label: "batch"}: {Name: "nightly", PerMinute: 7, LastFive: 47, Today: 597, Running: 1},
			} {
				s, err := b.Spend(t.Context(), q)
				require.NoError(t, err)
				require.Equal(t, []job.Spender{want}, s.Top, "%+v", q)
			}
			s, err = b.Spend(t.Context(), job.SpendQuery{By: job.ByOwner, Top: 1})
			require.NoError(t, err)
			require.Len(t, s.Top, 1)
		})
	}
}

func TestAnOwnerSeesTheirOwnMoneyAndWindow(t *testing.T) {
	b := books(t, 2)
	ann, claim := running(t, b, "ann", 1000, `{}`)
	bob, bobClaim := running(t, b, "bob", 1000, `{}`)
	tick(t, b, noon, Settings{OwnerCap: new(job.MicroUSD(2000))})
	pay(t, b, ann, claim, "c1", 40)
	pay(t, b, bob, bobClaim, "c1", 100)
	require.NoError(t, b.Reserve(t.Context(), ann, claim, job.Call{ID: "c2", Model: "gpt", Max: 13}))
	s, err := b.Spend(t.Context(), job.SpendQuery{Owner: "ann", By: job.ByOwner})
	require.NoError(t, err)
	require.Equal(t, []job.MicroUSD{40, 40, 13}, []job.MicroUSD{s.PerMinute, s.Today, s.Reserved})
	require.Equal(t, []job.Spender{{Name: "ann", PerMinute: 40, LastFive: 40, Today: 40, Running: 1}}, s.Top)
	require.Equal(t, job.Window{
		Cap: new(job.MicroUSD(2000)), Spent: 40, Reserved: 13, Length: 24 * time.Hour, Ends: noon.Truncate(24 * time.Hour).Add(24 * time.Hour),
	}, s.Window)
	left, ok := s.Window.ToCap(s.PerMinute)
	require.True(t, ok)
	require.Equal(t, 1947*time.Minute/40, left)
}

// A bucket that everybody fills with new names does not grow without end, and
// its sum stays true.
func TestABucketHasABoundedNumberOfNames(t *testing.T) {
	b := books(t, 1)
	tick(t, b, noon, Settings{})
	slot, names := b.partitions.Slot(0), map[string]any{"total": 5000}
	for i := range 4999 {
		names[fmt.Sprintf("label:request=%d", i)] = 1
	}
	key := slot.Of("minute", fmt.Sprint(noon.Unix()/60))
	require.NoError(t, b.run.Client.HSet(t.Context(), key, names).Err())
	id, claim := running(t, b, "ann", 1000, `{"request":"new","x":"y"}`)
	pay(t, b, id, claim, "c1", 40)
	got, err := b.run.Client.HMGet(t.Context(), key, "total", "label:(other)", "owner:(other)", "label:request=new").Result()
	require.NoError(t, err)
	require.Equal(t, []any{"5040", "80", "40", nil}, got)
	s, err := b.Spend(t.Context(), job.SpendQuery{By: job.ByOwner})
	require.NoError(t, err)
	require.Equal(t, "(other)", s.Top[0].Name)
}

func redisZ(id string) redis.Z { return redis.Z{Score: 1, Member: id} }

func zAt(seq int, id job.ID) redis.Z { return redis.Z{Score: float64(seq), Member: string(id)} }
