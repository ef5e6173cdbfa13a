package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// brake closes the gates of a fleet as control would: the same key once.
type brake struct {
	b *Redis

	mu     sync.Mutex
	fail   int // so many acts fail first
	froze  []string
	killed []string
	at     time.Time // of the first freeze
}

func (s *brake) Freeze(ctx context.Context, reason, key string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return nil, errors.New("redis is away")
	}
	s.froze = append(s.froze, key+": "+reason)
	if s.at.IsZero() {
		s.at = time.Now()
	}
	var heads []string
	for _, p := range s.b.partitions.All() {
		head := fmt.Sprintf("%d.%s", p+7, key)
		heads = append(heads, head)
		if err := s.b.run.Client.HSet(ctx, s.b.partitions.Slot(p).Of("gate"), "frozen", "1", "number", head).Err(); err != nil {
			return nil, err
		}
	}
	return heads, nil
}

func (s *brake) KillAll(_ context.Context, reason, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killed = append(s.killed, key+": "+reason)
	return nil
}

func (s *brake) clerk(mode string, limit job.MicroUSD) Clerk {
	return Clerk{Books: s.b, Stops: s, Who: []byte(`{"subject":"system:budget"}`), Settings: Settings{Breaker: mode, BreakerLimit: &limit}, Log: zap.NewNop()}
}

func (s *brake) trips(t *testing.T) int {
	t.Helper()
	entries, err := s.b.run.Client.XRange(t.Context(), s.b.partitions.Slot(home).Of("audit"), "-", "+").Result()
	require.NoError(t, err)
	n := 0
	for _, e := range entries {
		if e.Values["act"] == "breaker" && e.Values["rule"] == "tripped" {
			n++
		}
	}
	return n
}

func (s *brake) state(t *testing.T) job.Breaker {
	t.Helper()
	v, err := s.b.Spend(t.Context(), job.SpendQuery{By: job.ByOwner})
	require.NoError(t, err)
	return v.Breaker
}

// A runaway: 25 calls in flight, none of which comes back. Three dispatchers look
// at what burns; the breaker trips once, within two seconds of the call that
// crossed the limit, and from then on no job of the fleet may make another call.
func TestARunawayTripsTheBreakerWithinTwoSeconds(t *testing.T) {
	b := books(t, 3)
	s := &brake{b: b}
	type runner struct {
		id    job.ID
		claim job.Claim
	}
	var fleet []runner
	for i := range 25 {
		id, claim := running(t, b, fmt.Sprintf("owner-%d", i), 1_000_000, `{}`)
		fleet = append(fleet, runner{id, claim})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var reserved atomic.Int64
	for range 3 {
		k := s.clerk(job.BreakerPark, 20_000)
		k.Reserved = func(all job.MicroUSD) { reserved.Store(int64(all)) }
		wg.Go(func() { k.Run(ctx) })
	}
	call := func(r runner, name string) error {
		return b.Reserve(ctx, r.id, r.claim, job.Call{ID: name, Model: "gpt", Max: 1000})
	}
	for _, r := range fleet[:20] {
		require.NoError(t, call(r, "c1"))
	}
	require.Eventually(t, func() bool { return s.state(t).Burn == 20_000 }, 10*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return reserved.Load() == 20_000 }, 10*time.Second, 5*time.Millisecond)
	require.False(t, s.state(t).Tripped, "at the limit, not over it")

	crossed := time.Now()
	for _, r := range fleet[20:] {
		require.NoError(t, call(r, "c1"))
	}
	require.Eventually(t, func() bool { return s.state(t).Tripped && parks(t, b) }, 10*time.Second, 5*time.Millisecond)
	s.mu.Lock()
	took := s.at.Sub(crossed)
	s.mu.Unlock()
	t.Logf("from the call that crossed the limit to the frozen gate: %s", took)
	require.Less(t, took, 2*time.Second)
	for _, r := range fleet {
		var park *job.Park
		require.ErrorAs(t, call(r, "c2"), &park)
		require.Contains(t, park.Detail, "breaker")
	}
	cancel()
	wg.Wait()
	require.Equal(t, 1, s.trips(t))
	require.NotEmpty(t, s.froze)
	for _, act := range s.froze {
		require.Equal(t, s.froze[0], act, "every dispatcher does the same act")
	}
	require.Contains(t, s.froze[0], "the fleet burns $0.02")
	held, err := b.run.Client.HGet(t.Context(), b.partitions.Slot(0).Of("holding"), "total").Result()
	require.NoError(t, err)
	require.NotEmpty(t, held)
}

// parks says whether the breaker parks what runs in every partition.
func parks(t *testing.T, b *Redis) bool {
	t.Helper()
	for _, p := range b.partitions.All() {
		v, err := b.run.Client.HGet(t.Context(), b.partitions.Slot(p).Of("money"), "parking").Result()
		if err != nil || v == "" {
			return false
		}
	}
	return true
}

func TestATripThatWasNotSeenThroughIsByTheNext(t *testing.T) {
	b := books(t, 1)
	s := &brake{b: b, fail: 2}
	id, claim := running(t, b, "ann", 1000, `{}`)
	require.NoError(t, b.Reserve(t.Context(), id, claim, job.Call{ID: "c1", Model: "gpt", Max: 11}))
	first, second := s.clerk(job.BreakerFreeze, 10), s.clerk(job.BreakerKill, 10)
	first.once(t.Context(), map[int]string{})
	require.Empty(t, s.froze)
	first.once(t.Context(), map[int]string{})
	second.once(t.Context(), map[int]string{})
	require.Len(t, s.froze, 1, "as the trip was meant, whoever sees it through")
	require.Empty(t, s.killed)
	require.False(t, parks(t, b), "a freeze lets go on what runs")
	second.once(t.Context(), map[int]string{})
	require.Len(t, s.froze, 1)
	require.Equal(t, 1, s.trips(t))
}

func TestTheModesOfTheBreaker(t *testing.T) {
	for mode, want := range map[string]struct {
		frozen, killed, trips int
		told                  []string
	}{
		"":                {0, 0, 0, nil},
		"off":             {0, 0, 0, nil},
		job.BreakerAlert:  {0, 0, 1, []string{"alert"}},
		job.BreakerFreeze: {1, 0, 1, []string{"freeze"}},
		job.BreakerPark:   {1, 0, 1, []string{"park"}},
		job.BreakerKill:   {0, 1, 1, []string{"kill"}},
	} {
		b := books(t, 1)
		s := &brake{b: b}
		tick(t, b, time.Now(), Settings{})
		id, claim := running(t, b, "ann", 1000, `{}`)
		pay(t, b, id, claim, "c1", 6)
		require.NoError(t, b.Reserve(t.Context(), id, claim, job.Call{ID: "c2", Model: "gpt", Max: 5}))
		var told []string
		k := s.clerk(mode, 10)
		k.Tripped = func(mode string) { told = append(told, mode) }
		for range 3 {
			k.once(t.Context(), map[int]string{})
		}
		require.Len(t, s.froze, want.frozen, mode)
		require.Len(t, s.killed, want.killed, mode)
		require.Equal(t, want.trips, s.trips(t), mode)
		require.Equal(t, want.told, told, mode)
		require.Equal(t, want.trips == 1, s.state(t).Tripped, mode)
	}
}
