package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

func TestEveryErrorHasItsProblem(t *testing.T) {
	lost := fmt.Errorf("%w: %w", job.ErrUnavailable, job.ErrOutcomeUnknown)
	for _, c := range []struct {
		err        error
		code       int
		kind, says string
		retry      string
	}{
		{job.ErrUnknown, 404, typeNotFound, "", ""},
		{fmt.Errorf("x: %w", &job.Conflict{Existing: aliceJob}), 409, typeConflict, `"job":"` + string(aliceJob), ""},
		{&job.Frozen{Reason: "cost", Incident: "inc-1", Actor: "root"}, 503, typeFrozen, `"incident":"inc-1"`, "30"},
		{&job.Blocked{Order: anOrder, Reason: "no imports"}, 403, typeBlocked, `"order":"` + string(anOrder), ""},
		{fmt.Errorf("%w: dial tcp 10.0.0.1: refused", job.ErrUnavailable), 503, typeRedisUnavailable, "", "2"},
		{fmt.Errorf("%w: %w: dial tcp 10.0.0.1: refused", job.ErrUnavailable, job.ErrStoreAway), 503, typeStoreAway, "Nothing was done", "2"},
		{lost, 503, typeOutcomeUnknown, "same Idempotency-Key", "2"},
		{context.DeadlineExceeded, 503, typeRedisUnavailable, "", "2"},
		{fmt.Errorf("%w: secret detail", access.ErrUnasked), 503, typeIdentity, "keys file", "2"},
		{errors.New("secret detail"), 500, typeInternal, "X-Request-Id", ""},
	} {
		w := newWorld()
		w.submitErr = c.err
		rec := post("/v1/jobs", goodSubmit).on(open(t, w))
		require.Equal(t, c.code, rec.Code)
		require.Equal(t, c.kind, kind(t, rec))
		require.Contains(t, rec.Body.String(), c.says)
		require.Equal(t, c.retry, rec.Header().Get("Retry-After"))
		require.NotContains(t, rec.Body.String(), "10.0.0.1")
		require.NotContains(t, rec.Body.String(), "secret detail")
	}
}

func TestAnUnexpectedErrorIsInTheLogOnly(t *testing.T) {
	w := newWorld()
	w.fail = errors.New("secret detail")
	c := get("/v1/jobs/" + string(aliceJob))
	rec := with(c, "X-Request-Id", "trace-me-1").on(open(t, w))
	require.Equal(t, "internal", kind(t, rec))
	require.Equal(t, "trace-me-1", rec.Header().Get("X-Request-Id"))
	logged := w.logs.FilterLevelExact(zap.ErrorLevel).All()
	require.Len(t, logged, 1)
	require.Contains(t, logged[0].ContextMap()["error"], "secret detail")
	require.Equal(t, "trace-me-1", logged[0].ContextMap()["request"])
}

func TestAPanicIsAnInternalError(t *testing.T) {
	w := newWorld()
	w.panics = true
	require.Equal(t, "internal", kind(t, get("/v1/jobs/"+string(aliceJob)).on(open(t, w))))
}

func TestRedisDownIs503Everywhere(t *testing.T) {
	for _, c := range []call{
		post("/v1/jobs", goodSubmit), get("/v1/jobs"), get("/v1/jobs/" + string(aliceJob)), get("/v1/jobs/" + string(aliceJob) + "/events"),
		post("/v1/jobs/"+string(aliceJob)+"/kill", goodKill), get("/v1/orders"), get("/v1/orders/" + string(anOrder)),
		as(post("/v1/kill-all", goodAll), "admin"), get("/v1/fleet"), as(post("/v1/fleet/freeze", goodKill), "admin"),
		as(post("/v1/fleet/thaw", `{"reason":"r","seen":"1.a"}`), "admin"), get("/v1/audit"), get("/v1/audit/log"), get("/v1/jobs/" + string(overJob) + "/result"),
	} {
		w := newWorld()
		w.fail = fmt.Errorf("%w: connection refused", job.ErrUnavailable)
		rec := c.on(open(t, w))
		require.Equal(t, typeRedisUnavailable, kind(t, rec), c.path)
		require.Equal(t, "2", rec.Header().Get("Retry-After"))
	}
}

func TestSubmitIsOncePerKey(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	first := post("/v1/jobs", goodSubmit).on(d)
	require.Equal(t, 202, first.Code)
	accepted := fieldsOf(t, first)
	require.Equal(t, true, accepted["created"])
	require.Equal(t, "/v1/jobs/"+accepted["id"].(string), first.Header().Get("Location"))

	same := `{ "labels": {"batch":"nightly"}, "input": {"problem": "shall we?"}, "kind":"deliberation" }`
	again := post("/v1/jobs", same).on(d)
	require.Equal(t, 200, again.Code, "white space and order do not make another body")
	require.Equal(t, accepted["id"], fieldsOf(t, again)["id"])

	for _, other := range []string{
		strings.Replace(goodSubmit, "shall", "should", 1), strings.Replace(goodSubmit, "nightly", "daily", 1),
		strings.Replace(goodSubmit, "{", `{"budget_micro_usd":5,`, 1), strings.Replace(goodSubmit, "{", `{"max_attempts":5,`, 1),
		strings.Replace(goodSubmit, "{", `{"timeout_seconds":5,`, 1),
	} {
		require.Equal(t, typeConflict, kind(t, post("/v1/jobs", other).on(d)), other)
	}
	require.Equal(t, 202, as(post("/v1/jobs", goodSubmit), "stranger").on(d).Code, "a key is its owner's")
}

func TestSubmitPassesOnWhatItChecked(t *testing.T) {
	w := newWorld()
	body := `{"kind":"deliberation","input":{"problem":"é\ud83d\ude00"},"budget_micro_usd":500000,"max_attempts":2,"timeout_seconds":60,"owner":"acme"}`
	require.Equal(t, 202, as(post("/v1/jobs", body), "service").on(open(t, w)).Code)
	s := w.submitted[0]
	require.Equal(t, []string{"m1"}, s.Models)
	require.Equal(t, "acme", s.Owner)
	require.Equal(t, "importer", s.Submitter)
	require.JSONEq(t, `{"problem":"é😀"}`, string(s.Input))
	require.Equal(t, job.USD/2, s.Budget)
	require.Equal(t, 2, s.MaxAttempts)
	require.Equal(t, time.Minute, s.Timeout)
	require.Equal(t, "key-1", s.IdempotencyKey)
	require.Len(t, s.Digest, 64)
}

func TestTheLargestInputIsAccepted(t *testing.T) {
	w := newWorld()
	room := job.MaxInput - len(`{"problem":""}`)
	body := `{"kind":"deliberation","input":{"problem":"` + strings.Repeat("x", room) + `"}}`
	require.Equal(t, 202, post("/v1/jobs", body).on(open(t, w)).Code)
	require.Len(t, w.submitted[0].Input, job.MaxInput)
}

func TestAListShowsAServiceWhatItSubmitted(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	ids := func(who string) int {
		rec := as(get("/v1/jobs?owner=acme&state=running&state=killing&label=a%3Db%3Dc&kind=deliberation&limit=7"), who).on(d)
		require.Equal(t, 200, rec.Code, rec.Body.String())
		require.NotContains(t, rec.Body.String(), `"input"`)
		return len(fieldsOf(t, rec)["jobs"].([]any))
	}
	require.Equal(t, 2, ids("owner"))
	require.Equal(t, 1, ids("service"))
	q := w.queries[0]
	require.Equal(t, "acme", q.Owner)
	require.Equal(t, []job.State{job.Running, job.Killing}, q.States)
	require.Equal(t, map[string]string{"a": "b=c"}, q.Labels)
	require.Equal(t, "deliberation", q.Kind)
	require.Equal(t, 7, q.Limit)

	require.Equal(t, 200, get("/v1/jobs").on(d).Code)
	require.Empty(t, w.queries[2].Owner, "an admin who names nobody sees everybody")
	require.Equal(t, 50, w.queries[2].Limit)
}

func TestAJobUnderAnOrderIsShownAsKilling(t *testing.T) {
	w := newWorld()
	j := w.jobs[aliceJob]
	j.Order, j.OrderMark = anOrder, job.OrderMark{Actor: "root", Reason: "it loops", At: noon}
	w.jobs[aliceJob] = j
	got := fieldsOf(t, as(get("/v1/jobs/"+string(aliceJob)), "owner").on(open(t, w)))
	require.Equal(t, "killing", got["state"])
	require.Equal(t, "root", got["killed_by"])
	require.Equal(t, "it loops", got["kill_reason"])
	require.Equal(t, "w1", got["worker"])
	require.Equal(t, map[string]any{"problem": "x"}, got["input"])
}

func TestAResultIsPassedOnAsItIs(t *testing.T) {
	w := newWorld()
	got := fieldsOf(t, as(get("/v1/jobs/"+string(overJob)+"/result"), "owner").on(open(t, w)))
	require.Equal(t, "succeeded", got["outcome"])
	require.Equal(t, map[string]any{"synthesis": "y"}, got["result"])

	j := w.jobs[overJob]
	j.State, j.Result, j.LateResult = job.Killed, []byte("not json"), []byte(`{"late":true}`)
	w.jobs[overJob] = j
	got = fieldsOf(t, as(get("/v1/jobs/"+string(overJob)+"/result"), "owner").on(open(t, w)))
	require.Equal(t, "killed", got["outcome"])
	require.NotContains(t, got, "result")
	require.Equal(t, map[string]any{"late": true}, got["late_result"])
}

// A caller who waits gets the receipt as soon as the job is over, and as it is
// then if it is not.
func TestAKillMayWaitForItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		d := open(t, w)
		still := w.receipts[anOrder]
		still.Verdict, still.Stage = job.Waiting, job.Accepted
		done := w.receipts[anOrder]
		w.receipts[anOrder] = still
		begun := time.Now()
		time.AfterFunc(3*time.Second, func() { w.set(func() { w.receipts[anOrder] = done }) })
		body := `{"reason":"it loops","wait_seconds":10}`
		rec := post("/v1/jobs/"+string(aliceJob)+"/kill", body).on(d)
		require.Equal(t, 200, rec.Code)
		require.Equal(t, "stopped", fieldsOf(t, rec)["verdict"])
		require.InDelta(t, 3, time.Since(begun).Seconds(), 0.6)

		w.set(func() { w.receipts[anOrder] = still })
		begun = time.Now()
		rec = post("/v1/jobs/"+string(aliceJob)+"/kill", body).on(d)
		require.Equal(t, 202, rec.Code)
		require.Equal(t, "waiting", fieldsOf(t, rec)["verdict"])
		require.Equal(t, 10*time.Second, time.Since(begun))
	})
}

// A kill is carried on when its caller has left.
func TestAKillOutlivesItsCaller(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := post("/v1/jobs/"+string(aliceJob)+"/kill", goodKill).request().WithContext(ctx)
	d.ServeHTTP(httptest.NewRecorder(), r)
	require.Len(t, w.kills, 1)
}

func TestAnOverJobIsNoErrorToKill(t *testing.T) {
	w := newWorld()
	rec := post("/v1/jobs/"+string(overJob)+"/kill", goodKill).on(open(t, w))
	require.Equal(t, 200, rec.Code)
	require.Equal(t, "already_over", fieldsOf(t, rec)["verdict"])
}

func TestAThawOfAnotherGateIsRefused(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	frozen := fieldsOf(t, as(post("/v1/fleet/freeze", `{"reason":"cost","incident":"inc-1"}`), "operator").on(d))
	require.Equal(t, "2.b,3.c", frozen["head"])
	require.Equal(t, "cost", frozen["reason"])
	w.thawErr = &job.StaleGate{Now: "4.d"}
	rec := as(post("/v1/fleet/thaw", `{"reason":"r","seen":"2.b,3.c"}`), "admin").on(d)
	require.Equal(t, typeGateChanged, kind(t, rec))
	require.Equal(t, "4.d", fieldsOf(t, rec)["head"])
	w.thawErr = nil
	rec = as(post("/v1/fleet/thaw", `{"reason":"r","seen":"4.d"}`), "admin").on(d)
	require.Equal(t, "4.d", fieldsOf(t, rec)["head"])
	require.Equal(t, false, fieldsOf(t, rec)["frozen"])
	require.NotContains(t, fieldsOf(t, rec), "rate_per_second")
	rec = as(post("/v1/fleet/thaw", `{"reason":"r","seen":"4.d","rate_per_second":2.5,"for_seconds":60}`), "admin").on(d)
	require.InDelta(t, 2.5, fieldsOf(t, rec)["rate_per_second"], 0)
}

func TestRequestIDs(t *testing.T) {
	d := open(t, newWorld())
	for id, kept := range map[string]bool{
		"abcdefgh": true, "0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00": true, "short": false, "has space here": false,
		"a\x1b[31mredredred": false, strings.Repeat("x", 65): false, "a/b/c/d/e/f": false,
	} {
		got := with(get("/healthz"), "X-Request-Id", id).on(d).Header().Get("X-Request-Id")
		require.Equal(t, kept, got == id, id)
		require.GreaterOrEqual(t, len(got), 8)
	}
}

func TestReadyAndHealth(t *testing.T) {
	w := newWorld()
	var broken error
	d := open(t, w, func(c *Config) { c.Ready = func(context.Context) error { return broken } })
	require.Equal(t, 200, call{method: "GET", path: "/readyz"}.on(d).Code)
	broken = errors.New("redis://10.0.0.1 is away")
	rec := call{method: "GET", path: "/readyz"}.on(d)
	require.Equal(t, typeNotReady, kind(t, rec))
	require.NotContains(t, rec.Body.String(), "10.0.0.1")
	require.Equal(t, 200, call{method: "GET", path: "/healthz"}.on(d).Code)
}

// The document is generated from the code, so every route is in it, with its
// body, and every failure is a problem.
func TestTheOpenAPIDocumentHasEveryRoute(t *testing.T) {
	d := open(t, newWorld())
	written, err := d.OpenAPI()
	require.NoError(t, err)
	require.Equal(t, written, call{method: "GET", path: "/openapi.json"}.on(d).Body.Bytes())
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]map[string]any
		Components struct{ Schemas map[string]map[string]any }
	}
	require.NoError(t, json.Unmarshal(written, &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	var ops []string
	for path, methods := range doc.Paths {
		for method, op := range methods {
			ops = append(ops, strings.ToUpper(method)+" "+path)
			require.Contains(t, fmt.Sprint(op["responses"]), problemType)
			require.Equal(t, method == "post" || method == "put", op["requestBody"] != nil, path)
			require.NotContains(t, fmt.Sprint(op["responses"]), "ErrorModel")
		}
	}
	require.ElementsMatch(t, []string{
		"POST /v1/jobs", "GET /v1/jobs", "GET /v1/jobs/{id}", "GET /v1/jobs/{id}/result", "GET /v1/jobs/{id}/events",
		"POST /v1/jobs/{id}/answer", "POST /v1/jobs/{id}/kill", "POST /v1/kill-all", "GET /v1/orders", "GET /v1/orders/{id}",
		"POST /v1/orders", "POST /v1/orders/preview", "GET /v1/orders/{id}/events", "POST /v1/blocks", "GET /v1/blocks", "POST /v1/blocks/{id}/lift",
		"GET /v1/fleet", "GET /v1/fleet/events", "GET /v1/me", "POST /v1/fleet/freeze", "POST /v1/fleet/thaw", "POST /v1/fleet/adopt", "GET /v1/audit", "GET /v1/audit/log", "GET /v1/spend", "POST /v1/jobs/{id}/resume", "GET /v1/jobs/{id}/checkpoints", "GET /v1/jobs/{id}/transcript", "GET /v1/jobs/{id}/checkpoints/{seq}",
		"POST /v1/keys", "GET /v1/keys", "POST /v1/keys/{id}/revoke", "POST /v1/drills",
		"GET /v1/budgets", "GET /v1/budgets/fleet", "PUT /v1/budgets/fleet", "DELETE /v1/budgets/fleet",
		"GET /v1/budgets/owners/{owner}", "PUT /v1/budgets/owners/{owner}", "DELETE /v1/budgets/owners/{owner}",
	}, ops)
	require.NotContains(t, doc.Components.Schemas, "ErrorModel")
	require.Equal(t, []any{"kind", "input"}, doc.Components.Schemas["SubmitBody"]["required"])
}

func TestAConfigThatCannotWorkIsRefused(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"Config.Auth is missing":   func(c *Config) { c.Auth = nil },
		"Config.Orders is missing": func(c *Config) { c.Orders = nil },
		"Config.Name":              func(c *Config) { c.Name = "two words" },
		"Config.Partitions":        func(c *Config) { c.Partitions = 0 },
		"Config.CursorKey":         func(c *Config) { c.CursorKey = []byte("short") },
		"Config.Kinds is empty":    func(c *Config) { c.Kinds = nil },
		"Config.StreamFor":         func(c *Config) { c.KeepAlive, c.StreamFor = time.Minute, time.Second },
	} {
		cfg := config(newWorld())
		change(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
	}
}

// What a partition that cannot be reached holds is in no number, and an act that
// it did not take is not said to be done.
func TestAPartitionThatIsAwayIsNamed(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	require.Equal(t, 200, as(post("/v1/fleet/freeze", `{"reason":"r"}`), "operator").on(d).Code)
	w.missing = []int{1, 3}
	away := []any{1.0, 3.0}
	for _, ask := range []call{
		as(post("/v1/fleet/freeze", `{"reason":"r"}`), "operator"), as(post("/v1/fleet/thaw", `{"reason":"r","seen":"1.a,"}`), "admin"),
	} {
		rec := ask.on(d)
		require.Equal(t, 202, rec.Code, rec.Body)
		require.Equal(t, away, fieldsOf(t, rec)["missing_partitions"])
	}
	for _, path := range []string{"/v1/fleet", "/v1/orders"} {
		rec := as(get(path), "operator").on(d)
		require.Equal(t, 200, rec.Code)
		require.Equal(t, away, fieldsOf(t, rec)["missing_partitions"], path)
	}
}
