package api

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// wide is the receipt of a fleet order that covers alice's job and others'.
func wide() *job.Receipt {
	return &job.Receipt{
		Order: job.Order{ID: allOrder, Scope: job.Scope{Kind: job.ScopeFleet}, Actor: "root", Reason: "it burns"},
		Stage: job.Accepted, Verdict: job.Waiting, Missing: []int{3},
		Tally: job.Tally{Targeted: 412, Waiting: 2, Stopped: 410},
		Open:  []job.Open{{Job: aliceJob, Owner: "acme", Verdict: job.Waiting}, {Job: noJob, Owner: "rival", Worker: "w9", Verdict: job.Deaf}},
	}
}

// A job that a fleet order covers already answers its owner's kill with that
// order, and with nothing about anybody else.
func TestAWiderOrderTellsAnOwnerAboutTheirJobOnly(t *testing.T) {
	for who, all := range map[string]bool{"owner": false, "service": false, "operator": true, "admin": true} {
		w := newWorld()
		w.covered = wide()
		rec := as(post("/v1/jobs/"+string(aliceJob)+"/kill", goodKill), who).on(open(t, w))
		require.Equal(t, 202, rec.Code)
		got := fieldsOf(t, rec)
		require.Equal(t, string(allOrder), got["order"])
		require.Equal(t, "root", got["actor"])
		tally := got["tally"].(map[string]any)
		if all {
			require.InDelta(t, 412, tally["targeted"], 0)
			require.Len(t, got["open"], 2)
			continue
		}
		require.NotContains(t, rec.Body.String(), "rival")
		require.NotContains(t, rec.Body.String(), "w9")
		require.InDelta(t, 1, tally["targeted"], 0)
		require.InDelta(t, 1, tally["waiting"], 0)
		require.Len(t, got["open"], 1)
		require.NotContains(t, got, "missing_partitions")
	}
}

// Waiting under a wider order is waiting for this job, not for the order.
func TestAKillUnderAWiderOrderWaitsForItsOwnJob(t *testing.T) {
	for verdict, want := range map[job.Verdict]job.Tally{
		job.Stopped: {Targeted: 1, Stopped: 1}, job.Fenced: {Targeted: 1, Fenced: 1}, job.NotRunning: {Targeted: 1, NotRunning: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.covered = wide()
			time.AfterFunc(2*time.Second, func() {
				w.set(func() {
					j := w.jobs[aliceJob]
					j.State, j.Order, j.Verdict, j.ReturnedAt = job.Killed, allOrder, verdict, noon
					w.jobs[aliceJob] = j
				})
			})
			begun := time.Now()
			rec := post("/v1/jobs/"+string(aliceJob)+"/kill", `{"reason":"r","wait_seconds":20}`).on(open(t, w))
			require.Equal(t, 200, rec.Code)
			require.InDelta(t, 2, time.Since(begun).Seconds(), 0.6)
			got := fieldsOf(t, rec)
			require.Equal(t, string(verdict), got["verdict"])
			require.Equal(t, "killed", got["state"])
			require.NotContains(t, got, "open")
			require.Equal(t, "2026-11-23T12:00:00Z", got["timeline"].(map[string]any)["returned"])
			tally := got["tally"].(map[string]any)
			require.InDelta(t, want.Stopped, tally["stopped"], 0)
			require.InDelta(t, want.Fenced, tally["fenced"], 0)
			require.InDelta(t, want.NotRunning, tally["not_running"], 0)
			require.InDelta(t, 0, tally["waiting"], 0)
		})
	}
}

// The time that a caller waits ends in the middle of a look. What that look could
// not read any more was read a moment ago: the receipt does not go back.
func TestAWaitThatEndsInALookKeepsWhatItSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := job.Receipt{Order: job.Order{ID: allOrder}, Stage: job.Accepted, Tally: job.Tally{Targeted: 4, Waiting: 4}}
		looks := 0
		got := await(t.Context(), seen, 1, func(ctx context.Context, _ job.ID) (job.Receipt, error) {
			looks++
			<-ctx.Done()
			return job.Receipt{Order: seen.Order, Stage: job.Recording, Missing: []int{1}, Unread: []int{1}}, nil
		})
		require.Equal(t, seen, got)
		require.Equal(t, 1, looks)
	})
}
