package telemetry

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRecentForgetsWhatIsOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recent
		n, largest := r.Last(time.Minute)
		require.Zero(t, n)
		require.Zero(t, largest)
		r.Add(3 * time.Second)
		time.Sleep(40 * time.Second)
		r.Add(time.Second)
		n, largest = r.Last(time.Minute)
		require.Equal(t, 2, n)
		require.Equal(t, 3*time.Second, largest)
		time.Sleep(40 * time.Second)
		n, largest = r.Last(time.Minute)
		require.Equal(t, 1, n)
		require.Equal(t, time.Second, largest)
		for range maxRecent + 1 {
			r.Add(0)
		}
		n, largest = r.Last(time.Minute)
		require.Equal(t, maxRecent, n)
		require.Zero(t, largest)
	})
}
