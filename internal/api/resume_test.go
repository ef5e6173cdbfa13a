package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestAJobThatAsksIsAnsweredAndNotResumed(t *testing.T) {
	w := newWorld()
	rec := call{method: "POST", path: "/v1/jobs/" + string(askJob) + "/resume", body: `{}`, as: "owner"}.on(open(t, w))
	require.Equal(t, "job-not-parked", kind(t, rec))
	require.Contains(t, rec.Body.String(), "Answer")
	require.Empty(t, w.raises)
}

func TestAParkedJobIsResumedWithARaisedBudget(t *testing.T) {
	path := "/v1/jobs/" + string(aliceJob) + "/resume"
	for body, want := range map[string]string{
		`{"budget_micro_usd":9000000}`:       "queued",
		`{"budget_micro_usd":400}`:           "budget-used-up",
		`{}`:                                 "budget-used-up",
		`{"budget_micro_usd":-1}`:            "invalid-input",
		`{"budget_micro_usd":1000000000001}`: "invalid-input",
	} {
		w := newWorld()
		j := w.jobs[aliceJob]
		j.State, j.ParkReason, j.Spent, j.Budget = job.Parked, "budget", 500, 500
		w.jobs[aliceJob] = j
		rec := call{method: "POST", path: path, body: body, as: "owner"}.on(open(t, w))
		if want == "queued" {
			require.Equal(t, 200, rec.Code, rec.Body)
			require.Equal(t, "queued", fieldsOf(t, rec)["state"])
			require.Equal(t, []job.MicroUSD{9000000}, w.raises)
			continue
		}
		require.Equal(t, want, kind(t, rec), body)
	}
}
