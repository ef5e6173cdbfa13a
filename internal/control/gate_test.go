package control

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// thaw opens the gate as it is now.
func (f *fleet) thaw(t *testing.T, how job.Thawing, key string) job.Gate {
	t.Helper()
	g, err := f.State(t.Context())
	require.NoError(t, err)
	how.Seen, how.Reason = strings.Join(g.Heads, ","), "slowly"
	g, err = f.Thaw(t.Context(), permit(t, access.Thaw, access.WholeFleet()), how, key)
	require.NoError(t, err)
	return g
}

// However many ask at once, and however often, no more start than the rate lets
// and each partition has saved up; and all start in the end.
func TestAThawAtARateStartsNoMoreThanThat(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		const rate = 200
		for _, o := range owners(20) {
			for range 5 {
				f.mustSubmit(t, o, "talk", `{}`)
			}
		}
		_, err := f.Freeze(t.Context(), permit(t, access.Freeze, access.WholeFleet()), "flood", "", "")
		require.NoError(t, err)
		from := time.Now()
		g := f.thaw(t, job.Thawing{Rate: rate}, "k")
		require.Equal(t, job.Gate{Rate: rate, Heads: g.Heads}, g)

		var started atomic.Int64
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				for n := 0; started.Load() < 100 && time.Since(from) < time.Minute; n++ {
					for _, p := range f.ps.All() {
						got, err := f.grant(t.Context(), p, fmt.Sprintf("w%d", w), fmt.Sprintf("%d-%d", w, n), 16)
						if !assert.NoError(t, err) {
							return
						}
						most := rate*time.Since(from).Seconds() + float64(f.ps.Count)*(1+rate/float64(f.ps.Count)/10)
						assert.LessOrEqual(t, float64(started.Add(int64(len(got)))), most+1)
					}
				}
			})
		}
		wg.Wait()
		require.Equal(t, int64(100), started.Load())

		for range 50 {
			f.mustSubmit(t, "owner-1", "talk", `{}`)
		}
		g = f.thaw(t, job.Thawing{}, "k")
		require.Zero(t, g.Rate, "a plain thaw lifts it")
		require.Len(t, f.mustGrant(t, "all"), 50)
	})
}

func TestARateEndsWhenItWasToEnd(t *testing.T) {
	f := newFleet(t, 1)
	for range 5 {
		f.mustSubmit(t, "ann", "talk", `{}`)
	}
	g := f.thaw(t, job.Thawing{Rate: job.MinRate, For: time.Second}, "")
	require.WithinDuration(t, time.Now().Add(time.Second), g.RateUntil, time.Minute)
	require.Len(t, f.mustGrant(t, "n1"), 1)
	n := 1
	require.Eventually(t, func() bool {
		n++
		got, err := f.grant(t.Context(), 0, "w1", fmt.Sprint("n", n), 9)
		return err == nil && len(got) == 4
	}, 10*time.Second, 20*time.Millisecond)
	g, err := f.State(t.Context())
	require.NoError(t, err)
	require.Zero(t, g.Rate)
	_, err = f.Freeze(t.Context(), permit(t, access.Freeze, access.WholeFleet()), "r", "", "")
	require.NoError(t, err)
}

func TestARateThatNobodyCanMeanIsRefused(t *testing.T) {
	f := newFleet(t, 1)
	for _, how := range []job.Thawing{{Rate: -1}, {Rate: 1e9}, {Rate: 1e-9}, {For: time.Minute}, {Rate: 1, For: time.Millisecond}, {Rate: 1, For: 1000 * time.Hour}} {
		_, err := f.Thaw(t.Context(), permit(t, access.Thaw, access.WholeFleet()), how, "")
		require.ErrorIs(t, err, job.ErrBadRate, "%+v", how)
	}
}
