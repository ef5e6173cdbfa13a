package lease

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/beat"
	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

const (
	jobA  = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00")
	jobB  = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0f00")
	other = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0f01") // partition 1
)

var (
	claimA = job.Claim{Worker: "w1", Epoch: "1.a"}
	claimB = job.Claim{Worker: "w1", Epoch: "1.b"}
)

// fakeRedis answers renewals as it is told; by default it renews everything.
type fakeRedis struct {
	mu     sync.Mutex
	calls  []int // partitions asked
	sentAt []time.Time
	answer func(p int, claims []Held) (job.Beat, error)
}

func (f *fakeRedis) Renew(_ context.Context, p int, _ []byte, claims []Held) (job.Beat, error) {
	f.mu.Lock()
	f.calls = append(f.calls, p)
	f.sentAt = append(f.sentAt, time.Now())
	answer := f.answer
	f.mu.Unlock()
	if answer != nil {
		return answer(p, claims)
	}
	return renewAll(claims), nil
}

func (f *fakeRedis) say(answer func(p int, claims []Held) (job.Beat, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fakeRedis) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

func renewAll(claims []Held) job.Beat {
	var b job.Beat
	for _, c := range claims {
		b.Renewals = append(b.Renewals, job.Renewal{ID: c.ID})
	}
	return b
}

func down(int, []Held) (job.Beat, error) { return job.Beat{}, job.ErrUnavailable }

// keep runs a keeper inside a bubble.
func keep(t *testing.T, f *fakeRedis, parts []int, during func(k *Keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k, err := NewKeeper(beat.DefaultTiming(), f, parts, func() []byte { return nil })
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { k.Run(ctx) })
		during(k)
		stop()
		wg.Wait()
	})
}

// cancelled is a cancel function and what it was called with.
type cancelled struct {
	mu     sync.Mutex
	causes []error
}

func (c *cancelled) cancel(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.causes = append(c.causes, err)
}

func (c *cancelled) all() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]error(nil), c.causes...)
}

func TestALeaseIsTrustedForAsLongAsItIsRenewed(t *testing.T) {
	keep(t, &fakeRedis{}, []int{0}, func(k *Keeper) {
		var c cancelled
		k.Hold(jobA, claimA, clock.Now(), c.cancel)
		time.Sleep(time.Hour)
		require.True(t, k.Trusted(jobA, claimA))
		require.True(t, k.Fresh())
		require.Empty(t, c.all())
	})
}

func TestTrustEndsSAfterTheSendOfTheLastGoodRenewal(t *testing.T) {
	f := &fakeRedis{}
	keep(t, f, []int{0}, func(k *Keeper) {
		synctest.Wait()
		var c cancelled
		k.Hold(jobA, claimA, clock.Now(), c.cancel)
		time.Sleep(shown + 3*time.Second + time.Millisecond) // two renewals, the last sent at 3.25 s
		f.say(down)
		time.Sleep(9*time.Second + 990*time.Millisecond)
		require.True(t, k.Trusted(jobA, claimA), "9.99 s after the send at 3.25 s")
		time.Sleep(20 * time.Millisecond)
		require.False(t, k.Trusted(jobA, claimA), "the check does not wait for a timer")
		time.Sleep(time.Second)
		require.Len(t, c.all(), 1)
		require.ErrorIs(t, c.all()[0], &job.Stop{Kind: job.StopLeaseLost})
		require.False(t, k.Fresh())
	})
}

func TestASlowSuccessDoesNotExtendTheTrustWindow(t *testing.T) {
	f := &fakeRedis{}
	keep(t, f, []int{0}, func(k *Keeper) {
		synctest.Wait()
		var c cancelled
		k.Hold(jobA, claimA, clock.Now(), c.cancel)
		time.Sleep(shown + time.Millisecond) // the renewal that shows it is over
		f.say(func(_ int, claims []Held) (job.Beat, error) {
			time.Sleep(4 * time.Second) // the reply is slow; the send counts
			return renewAll(claims), nil
		})
		time.Sleep(2 * time.Second)
		k.RenewNow(0) // sent after 2, answered after 6
		synctest.Wait()
		f.say(down)
		time.Sleep(9*time.Second + 900*time.Millisecond)
		require.True(t, k.Trusted(jobA, claimA), "11.9: S counts from the send after 2")
		time.Sleep(200 * time.Millisecond)
		require.False(t, k.Trusted(jobA, claimA), "12.1: and not from the reply after 6")
	})
}

func TestALateSuccessDoesNotReviveALeaseWhoseTrustHasEnded(t *testing.T) {
	f := &fakeRedis{}
	f.say(func(_ int, claims []Held) (job.Beat, error) {
		time.Sleep(11 * time.Second)
		return renewAll(claims), nil
	})
	keep(t, f, []int{0}, func(k *Keeper) {
		var c cancelled
		k.Hold(jobA, claimA, clock.Now(), c.cancel)
		time.Sleep(12 * time.Second)
		require.False(t, k.Trusted(jobA, claimA))
		require.Len(t, c.all(), 1)
	})
}

func TestAFailedRenewalIsTriedAgainBeforeTrustEnds(t *testing.T) {
	f := &fakeRedis{}
	f.say(down)
	keep(t, f, []int{0}, func(k *Keeper) {
		var c cancelled
		k.Hold(jobA, claimA, clock.Now(), c.cancel)
		time.Sleep(9 * time.Second)
		require.GreaterOrEqual(t, f.asked(), 9, "more often than every H while it fails")
		f.say(nil)
		time.Sleep(time.Minute)
		require.True(t, k.Trusted(jobA, claimA))
		require.Empty(t, c.all())
	})
}

func TestARenewalThatSaysKilledCancelsWithTheOrder(t *testing.T) {
	f := &fakeRedis{}
	f.say(func(_ int, claims []Held) (job.Beat, error) {
		var b job.Beat
		for _, c := range claims {
			b.Renewals = append(b.Renewals, job.Renewal{
				ID:     c.ID,
				Killed: &job.Stop{Kind: job.StopKilled, Order: jobB, Actor: "ann", Reason: "too dear"},
			})
		}
		return b, nil
	})
	keep(t, f, []int{0}, func(k *Keeper) {
		var c cancelled
		k.Hold(jobA, claimA, clock.Now(), c.cancel)
		time.Sleep(20 * time.Second)
		require.Len(t, c.all(), 1, "once, however often it is said")
		var s *job.Stop
		require.ErrorAs(t, c.all()[0], &s)
		require.Equal(t, job.Stop{Kind: job.StopKilled, Order: jobB, Actor: "ann", Reason: "too dear"}, *s)
		require.False(t, k.Trusted(jobA, claimA))
	})
}

func TestARenewalThatSaysLostCancelsThatJobOnly(t *testing.T) {
	f := &fakeRedis{}
	f.say(func(_ int, claims []Held) (job.Beat, error) {
		b := renewAll(claims)
		for i := range b.Renewals {
			b.Renewals[i].Lost = b.Renewals[i].ID == jobA
		}
		return b, nil
	})
	keep(t, f, []int{0}, func(k *Keeper) {
		var a, b cancelled
		k.Hold(jobA, claimA, clock.Now(), a.cancel)
		k.Hold(jobB, claimB, clock.Now(), b.cancel)
		time.Sleep(4 * time.Second)
		require.Len(t, a.all(), 1)
		require.ErrorIs(t, a.all()[0], &job.Stop{Kind: job.StopLeaseLost})
		require.Empty(t, b.all())
	})
}

func TestAnAnswerForAnOlderClaimDoesNotTouchTheNewOne(t *testing.T) {
	f := &fakeRedis{}
	f.say(func(_ int, claims []Held) (job.Beat, error) {
		time.Sleep(500 * time.Millisecond) // the answer is under way
		b := renewAll(claims)
		for i := range b.Renewals {
			b.Renewals[i].Lost = true
		}
		return b, nil
	})
	keep(t, f, []int{0}, func(k *Keeper) {
		var old, fresh cancelled
		k.Hold(jobA, claimA, clock.Now(), old.cancel)
		k.RenewNow(0)
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, 1, f.asked())
		k.Drop(jobA, claimA)
		k.Hold(jobA, claimB, clock.Now(), fresh.cancel)
		f.say(nil)
		time.Sleep(time.Second)
		require.Empty(t, fresh.all())
		require.True(t, k.Trusted(jobA, claimB))
		require.False(t, k.Trusted(jobA, claimA), "the epoch is compared")
	})
}

func TestAWorkerWithoutJobsRenewsSoThatItIsSeen(t *testing.T) {
	f := &fakeRedis{}
	keep(t, f, []int{0, 1}, func(_ *Keeper) {
		time.Sleep(30*time.Second + time.Millisecond)
		require.InDelta(t, 22, f.asked(), 2, "one per partition and H")
	})
}

func TestAPartitionIsAskedForItsOwnJobsOnly(t *testing.T) {
	f := &fakeRedis{}
	var mu sync.Mutex
	seen := map[int]map[job.ID]bool{0: {}, 1: {}}
	f.say(func(p int, claims []Held) (job.Beat, error) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range claims {
			seen[p][c.ID] = true
		}
		return renewAll(claims), nil
	})
	keep(t, f, []int{0, 1}, func(k *Keeper) {
		var c cancelled
		k.Hold(jobA, claimA, clock.Now(), c.cancel)
		k.Hold(other, claimB, clock.Now(), c.cancel)
		time.Sleep(4 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, map[int]map[job.ID]bool{0: {jobA: true}, 1: {other: true}}, seen)
	})
}

func TestTimingIsCheckedBeforeAKeeperIsMade(t *testing.T) {
	_, err := NewKeeper(beat.Timing{Renew: 6, Trust: 10, Take: 15}, &fakeRedis{}, []int{0}, nil)
	require.ErrorIs(t, err, beat.ErrTiming)
}

// What a worker holds is on its row soon after it changed, and not once for each
// of many changes.
func TestTheRowSaysSoonWhatAWorkerHolds(t *testing.T) {
	f := &fakeRedis{}
	keep(t, f, []int{0}, func(k *Keeper) {
		time.Sleep(time.Second) // the first renewal is long past, the next is 2 s away
		require.Equal(t, 1, f.asked())
		k.Hold(jobA, claimA, clock.Now(), func(error) {})
		synctest.Wait()
		require.Equal(t, 2, f.asked(), "at once, after a pause")
		for range 50 {
			k.Hold(jobB, claimB, clock.Now(), func(error) {})
			k.Drop(jobB, claimB)
			time.Sleep(time.Millisecond)
		}
		require.Equal(t, 2, f.asked())
		time.Sleep(shown)
		require.Equal(t, 3, f.asked(), "the rest together")
		time.Sleep(beat.DefaultTiming().Renew)
		require.Equal(t, 4, f.asked(), "and H after that")
	})
}
