package api

import (
	"testing"
	"time"

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

func TestAKilledJobGoesOnAsANewOne(t *testing.T) {
	path := "/v1/jobs/" + string(deadJob) + "/resume"
	for body, want := range map[string]struct {
		seq    uint64
		budget job.MicroUSD
	}{`{}`: {4, 700}, `{"from":3}`: {3, 700}, `{"from":3,"budget_micro_usd":900}`: {3, 900}} {
		w := newWorld()
		d := open(t, w)
		rec := call{method: "POST", path: path, body: body, as: "owner"}.on(d)
		require.Equal(t, 202, rec.Code, rec.Body)
		got := fieldsOf(t, rec)
		require.Equal(t, "/v1/jobs/"+got["id"].(string), rec.Header().Get("Location"))
		require.Equal(t, string(deadJob), got["resumed_from"])
		require.NotEqual(t, string(deadJob), got["id"])
		require.Equal(t, true, got["created"])
		require.Len(t, w.submitted, 1)
		s := w.submitted[0]
		require.Equal(t, deadJob, s.From, body)
		require.Equal(t, want.seq, s.FromSeq, "the newest that is sound, unless another is asked for")
		require.Equal(t, want.budget, s.Budget)
		require.Equal(t, "acme", s.Owner)
		require.Equal(t, "alice", s.Submitter)
		require.JSONEq(t, `{"problem":"x"}`, string(s.Input))
		require.Equal(t, map[string]string{"batch": "nightly"}, s.Labels)
		require.Equal(t, 4, s.MaxAttempts)
		require.Equal(t, time.Minute, s.Timeout)
		require.Contains(t, string(s.Who), "alice")

		w.jobs[s.ID] = job.Job{ID: s.ID, State: job.Running}
		again := call{method: "POST", path: path, body: body, as: "owner"}.on(d)
		require.Equal(t, 200, again.Code, again.Body)
		require.Equal(t, got["id"], fieldsOf(t, again)["id"])
		require.Equal(t, "running", fieldsOf(t, again)["state"])
		require.Len(t, w.submitted, 1)
		require.Equal(t, typeConflict, kind(t, call{method: "POST", path: path, body: `{"budget_micro_usd":1}`, as: "owner"}.on(d)))
	}
}

func TestWhatAResumptionIsRefusedFor(t *testing.T) {
	path := "/v1/jobs/" + string(deadJob) + "/resume"
	none := func(w *world) { w.kept = nil }
	for _, c := range []struct {
		call call
		set  func(*world)
		want string
	}{
		{call{path: path, body: `{"from":5}`}, nil, typeDamaged},
		{call{path: path, body: `{"from":9}`}, nil, typeNoCheckpoint},
		{call{path: path, body: `{}`}, none, typeNoCheckpoint},
		{call{path: path, body: `{"from":-1}`}, nil, typeInvalid},
		{call{path: path, body: `{}`, head: map[string]string{"Idempotency-Key": ""}}, nil, typeMalformed},
		{call{path: path, body: `{}`}, func(w *world) { w.submitErr = &job.Frozen{} }, typeFrozen},
		{call{path: path, body: `{}`}, func(w *world) { w.submitErr = &job.Blocked{} }, typeBlocked},
		{call{path: path, body: `{}`}, func(w *world) { w.submitErr = &job.NoCheckpoint{Seq: 4} }, typeNoCheckpoint},
		{call{path: path, body: `{}`}, func(w *world) { w.losses = []job.Loss{{}} }, typeAuthorityLost},
		{call{path: path, body: `{}`}, func(w *world) { delete(w.receipts, anOrder) }, typeForbidden},
		{call{path: "/v1/jobs/" + string(askJob) + "/resume", body: `{"from":3}`}, nil, typeInvalid},
	} {
		w := newWorld()
		if c.set != nil {
			c.set(w)
		}
		c.call.method, c.call.as = "POST", "owner"
		require.Equal(t, c.want, kind(t, c.call.on(open(t, w))), c.call.body)
		require.Empty(t, w.submitted)
	}
}

// What was killed from above only an admin begins again; the owner's try is in
// the audit.
func TestOnlyAnAdminGoesOnFromAnAdminsKill(t *testing.T) {
	path := "/v1/jobs/" + string(fellJob) + "/resume"
	w := newWorld()
	rec := call{method: "POST", path: path, body: `{}`, as: "owner"}.on(open(t, w))
	require.Equal(t, typeForbidden, kind(t, rec))
	require.Equal(t, ruleKilledFromAbove, w.denials[0].Rule)
	require.Empty(t, w.submitted)
	rec = call{method: "POST", path: path, body: `{}`, as: "admin"}.on(open(t, w))
	require.Equal(t, 202, rec.Code)
	require.Equal(t, "acme", w.submitted[0].Owner)
	require.Equal(t, "root", w.submitted[0].Submitter)

	w = newWorld()
	j := w.jobs[fellJob]
	j.State, j.Order = job.Failed, ""
	w.jobs[fellJob] = j
	require.Equal(t, 202, call{method: "POST", path: path, body: `{}`, as: "owner"}.on(open(t, w)).Code, "nobody killed it")
}

// Who may go on, by what killed the job and what the order allows.
func TestWhoMayGoOnFromWhatWasKilled(t *testing.T) {
	above, own := job.Order{ByAdmin: true}, job.Order{}
	allowed := above
	allowed.AllowResume = true
	for _, c := range []struct {
		name  string
		order *job.Order // nil: it is forgotten
		onJob bool       // the job's record says that the order allows it
		may   map[string]int
	}{
		{"its owner's kill", &own, false, map[string]int{"owner": 202, "service": 202, "admin": 202, "stranger": 404, "other-service": 404, "operator": 404}},
		{"a kill from above", &above, false, map[string]int{"owner": 403, "service": 403, "admin": 202, "stranger": 404, "other-service": 404, "operator": 404}},
		{"one that allows it", &allowed, true, map[string]int{"owner": 202, "service": 202, "admin": 202, "stranger": 404, "other-service": 404, "operator": 404}},
		{"one that allows it, not yet on the job", &allowed, false, map[string]int{"owner": 202, "admin": 202, "stranger": 404}},
		{"a forgotten one", nil, false, map[string]int{"owner": 403, "service": 403, "admin": 202, "stranger": 404}},
		{"a forgotten one that allowed it", nil, true, map[string]int{"owner": 202, "service": 202, "admin": 202, "stranger": 404}},
	} {
		for who, want := range c.may {
			w := newWorld()
			j := w.jobs[deadJob]
			j.AllowResume = c.onJob
			w.jobs[deadJob] = j
			delete(w.receipts, anOrder)
			if c.order != nil {
				w.receipts[anOrder] = job.Receipt{Order: *c.order}
			}
			rec := call{method: "POST", path: "/v1/jobs/" + string(deadJob) + "/resume", body: `{}`, as: who}.on(open(t, w))
			require.Equal(t, want, rec.Code, "%s, %s: %s", c.name, who, rec.Body)
			require.Equal(t, want == 202, len(w.submitted) == 1)
		}
	}
}

// An order says what it leaves to the owners, whichever way it is issued.
func TestAnOrderAllowsResuming(t *testing.T) {
	for path, body := range map[string]string{
		"/v1/jobs/" + string(aliceJob) + "/kill": `{"reason":"loud","allow_resume":true}`,
		"/v1/kill-all":                           `{"scope":"fleet","reason":"loud","confirm":"prod","allow_resume":true}`,
		"/v1/orders":                             `{"scope":"owner","owner":"acme","reason":"loud","break_glass":true,"allow_resume":true}`,
	} {
		w := newWorld()
		rec := call{method: "POST", path: path, body: body, as: "admin"}.on(open(t, w))
		require.Less(t, rec.Code, 300, rec.Body)
		require.True(t, w.kills[0].order.AllowResume, path)
	}
}

// Who waits for a window is told so, and not to raise a budget that is not used up.
func TestAResumeOfAJobThatWaitsForAWindowSaysWhatItWaitsFor(t *testing.T) {
	for of, says := range map[string]string{"owner": "Its owner's window", "fleet": "The fleet's window", "breaker": "The breaker", "job": "resume it with a higher budget"} {
		w := newWorld()
		j := w.jobs[aliceJob]
		j.State, j.ParkReason, j.ShortOf, j.Spent, j.Budget = job.Parked, "budget", of, 100, 500
		w.jobs[aliceJob] = j
		d := open(t, w)
		rec := call{method: "POST", path: "/v1/jobs/" + string(aliceJob) + "/resume", body: `{}`, as: "owner"}.on(d)
		require.Equal(t, 409, rec.Code)
		require.Equal(t, "budget-used-up", kind(t, rec))
		require.Contains(t, rec.Body.String(), says)
		require.Equal(t, of, fieldsOf(t, call{method: "GET", path: "/v1/jobs/" + string(aliceJob), as: "owner"}.on(d))["short_of"])
		j.State = job.Running
		w.jobs[aliceJob] = j
		require.NotContains(t, call{method: "GET", path: "/v1/jobs/" + string(aliceJob), as: "owner"}.on(d).Body.String(), "short_of")
	}
}
