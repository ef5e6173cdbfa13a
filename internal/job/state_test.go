package job_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestAnOutcomeAbsorbs(t *testing.T) {
	for _, from := range []job.State{job.Succeeded, job.Failed, job.Killed} {
		require.True(t, from.Over())
		for _, to := range job.States() {
			require.False(t, job.CanMove(from, to), "%s -> %s", from, to)
		}
	}
}

func TestEveryLiveJobCanBeKilledAndNoneIsStranded(t *testing.T) {
	for _, s := range job.States() {
		if s.Over() {
			continue
		}
		require.True(t, job.CanMove(s, job.Killed), "%s", s)
		leads := slices.ContainsFunc(job.Moves(), func(m job.Move) bool { return m.To == s })
		require.True(t, leads, "nothing leads to %s", s)
	}
}

func TestAJobRunsOnlyFromTheRoadAndEndsWellOnlyFromRunning(t *testing.T) {
	for _, m := range job.Moves() {
		require.NotEqual(t, m.From, m.To, m.Script)
		require.Contains(t, job.States(), m.To, m.Script)
		require.NotEqual(t, job.Killing, m.To, "killing is seen, not stored")
		if m.From == "" {
			require.Equal(t, job.Move{Script: "submit", To: job.Queued}, m)
			continue
		}
		require.Contains(t, job.States(), m.From, m.Script)
		if m.To == job.Running {
			require.Equal(t, job.Move{Script: "grant", From: job.Queued, To: job.Running}, m)
		}
		if m.To == job.Succeeded {
			require.Equal(t, job.Move{Script: "finish", From: job.Running, To: job.Succeeded}, m)
		}
		if m.To == job.Failed {
			require.Equal(t, job.Running, m.From, m.Script)
		}
	}
	require.True(t, job.CanMove("", job.Queued))
	require.False(t, job.CanMove(job.Queued, job.Succeeded))
	require.False(t, job.CanMove(job.Parked, job.Running))
}

func TestAReaderSeesKillingWhileAnOrderMeetsALiveJob(t *testing.T) {
	for _, s := range job.States() {
		require.Equal(t, s, job.Job{State: s}.Visible())
		want := job.Killing
		if s.Over() {
			want = s
		}
		require.Equal(t, want, job.Job{State: s, Order: anID}.Visible())
	}
	require.False(t, job.Killing.Over())
}

func TestAClaimOfNothing(t *testing.T) {
	require.True(t, job.Claim{}.Zero())
	require.False(t, job.Claim{Worker: "w"}.Zero())
	require.False(t, job.Claim{Epoch: "1.a"}.Zero())
}
