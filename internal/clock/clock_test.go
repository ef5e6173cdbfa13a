package clock

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestElapsedIsTheLargestOfThreeClocks(t *testing.T) {
	base := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(wall, boot time.Duration) Instant { return Instant{at: base.Add(wall), boot: boot} }
	start := at(0, time.Hour)

	require.Equal(t, 3*time.Second, between(start, at(3*time.Second, time.Hour+2*time.Second)), "wall ran furthest")
	require.Equal(t, 9*time.Second, between(start, at(3*time.Second, time.Hour+9*time.Second)), "the machine slept")
	require.Equal(t, 4*time.Second, between(start, at(-time.Hour, time.Hour+4*time.Second)), "a wall clock set back does not rejuvenate")
	require.Zero(t, between(start, at(-time.Hour, time.Hour)), "never negative")
}

func TestTheZeroInstantIsOlderThanAnything(t *testing.T) {
	require.Greater(t, Since(Instant{}), 100*365*24*time.Hour)
	require.Less(t, Since(Now()), time.Minute)
}

func TestEveryGoesOnUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		n, ended := 0, make(chan struct{})
		go func() { Every(ctx, time.Second, func() { n++ }); close(ended) }()
		time.Sleep(3*time.Second + time.Millisecond)
		synctest.Wait()
		require.Equal(t, 3, n, "not at once, then once a period")
		stop()
		<-ended
	})
}
