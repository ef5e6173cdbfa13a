package job_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestADrillSaysWhatItMeasured(t *testing.T) {
	d := job.Drill{Workers: 3, Canaries: []job.Drilled{
		{Scope: job.ScopeJob, Worker: "w1", Stopped: true, Took: ms(30)},
		{Scope: job.ScopeJob, Worker: "w2", Stopped: true, Took: ms(10)},
		{Scope: job.ScopeSelector, Worker: "w1", Stopped: true, Took: ms(20)},
	}}
	require.NoError(t, d.Check())
	require.True(t, d.Passed())
	require.Equal(t, 2, d.Reached())
	require.Equal(t, 3, d.Stopped())
	require.Equal(t, []time.Duration{ms(10), ms(30)}, d.Took(job.ScopeJob))
	require.Equal(t, "w1", d.Slowest().Worker)
	require.Equal(t, ms(30), d.Slowest().Took)

	d.Canaries[0].Stopped = false
	require.False(t, d.Passed())
	require.Equal(t, []time.Duration{ms(10)}, d.Took(job.ScopeJob), "what did not stop took no time, it took for ever")
	require.False(t, job.Drill{}.Passed(), "nothing was proved")
}

func TestPercentilesAreTimesThatWereMeasured(t *testing.T) {
	var all []time.Duration
	require.Zero(t, job.Percentile(all, 50))
	for i := 1; i <= 200; i++ {
		all = append(all, ms(i))
	}
	require.Equal(t, ms(100), job.Percentile(all, 50))
	require.Equal(t, ms(198), job.Percentile(all, 99))
	require.Equal(t, ms(200), job.Percentile(all, 100))
	require.Equal(t, ms(1), job.Percentile(all[:1], 99))
	require.Equal(t, ms(1), job.Percentile(all, 0))
}

func TestABadDrillIsRefused(t *testing.T) {
	good := job.Drilled{Scope: job.ScopeJob, Worker: "w1", Stopped: true}
	for name, d := range map[string]job.Drill{
		"none":      {Workers: 1},
		"too many":  {Workers: 1, Canaries: make([]job.Drilled, job.MaxCanaries+1)},
		"nobody":    {Canaries: []job.Drilled{good}},
		"scope":     {Workers: 1, Canaries: []job.Drilled{{Scope: job.ScopeFleet, Worker: "w"}}},
		"worker":    {Workers: 1, Canaries: []job.Drilled{{Scope: job.ScopeJob}}},
		"too long":  {Workers: 1, Canaries: []job.Drilled{{Scope: job.ScopeJob, Worker: "w", Took: 2 * time.Hour}}},
		"backwards": {Workers: 1, Canaries: []job.Drilled{{Scope: job.ScopeJob, Worker: "w", Took: -1}}},
	} {
		require.Error(t, d.Check(), name)
	}
}
