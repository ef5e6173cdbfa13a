package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/job"
)

// tokenFor previews a scope.
func tokenFor(t *testing.T, d *Door, who, scope string) string {
	t.Helper()
	rec := as(post("/v1/orders/preview", "{"+scope+"}"), who).on(d)
	require.Equal(t, http.StatusOK, rec.Code, rec.Body)
	return fieldsOf(t, rec)["token"].(string)
}

func issueWith(scope, token string) call {
	return as(post("/v1/orders", fmt.Sprintf(`{%s,"reason":"it loops","token":%q}`, scope, token)), "admin")
}

const (
	bySelector = `"scope":"selector","selector":{"submitter":"svc","kind":"deliberation","labels":{"team":"red"},"min_spend_micro_usd":5}`
	byOwner    = `"scope":"owner","owner":"acme"`
	byFleet    = `"scope":"fleet"`
)

func TestAPreviewCountsAndChangesNothing(t *testing.T) {
	w := newWorld()
	rec := as(post("/v1/orders/preview", "{"+bySelector+"}"), "admin").on(open(t, w))
	require.JSONEq(t, fmt.Sprintf(`{"scope":{"kind":"selector","selector":{"submitter":"svc","kind":"deliberation","labels":{"team":"red"},"min_spend_micro_usd":5}},
		"jobs":7,"spent_micro_usd":1000000,"micro_usd_per_minute":50,"owners":1,
		"by_owner":[{"name":"acme","jobs":7,"spent_micro_usd":1000000,"micro_usd_per_minute":50}],
		"by_kind":[{"name":"deliberation","jobs":7,"spent_micro_usd":0,"micro_usd_per_minute":0}],
		"by_state":[{"name":"running","jobs":7,"spent_micro_usd":0,"micro_usd_per_minute":0}],
		"covered_before":2,"token":%q,"expires_at":"2026-11-23T12:01:00Z"}`, fieldsOf(t, rec)["token"]), rec.Body.String())
	require.Empty(t, w.kills)
	require.Empty(t, w.denials)
	require.Equal(t, job.Selector{Submitter: "svc", Kind: "deliberation", Labels: map[string]string{"team": "red"}, MinSpend: 5}, *w.previews[0].Scope().Selector)
}

func TestAnOrderIsIssuedOnTheStrengthOfItsPreview(t *testing.T) {
	for _, scope := range []string{bySelector, byOwner, byFleet} {
		w := newWorld()
		d := open(t, w)
		rec := issueWith(scope, tokenFor(t, d, "admin", scope)).on(d)
		require.Equal(t, http.StatusAccepted, rec.Code, rec.Body)
		require.Len(t, w.kills, 1)
		o := w.kills[0].order
		require.Equal(t, "preview", o.Check)
		require.Equal(t, int64(7), o.Expected, "what the preview had counted goes into the audit")
		require.Equal(t, "root", o.Actor)
		require.Equal(t, noon, o.RequestedAt)
		require.Equal(t, scope == byFleet, o.Freeze)
		require.Equal(t, "key-1", w.kills[0].key)
		require.Equal(t, w.previews[0].Scope(), w.kills[0].permit.Scope())
	}
}

func TestATokenIsGoodForItsScopeItsPersonAndAMinute(t *testing.T) {
	now := noon
	w := newWorld()
	d := open(t, w, func(c *Config) { c.Now = func() time.Time { return now } })
	token := tokenFor(t, d, "admin", bySelector)
	refused := func(c call, says string) {
		t.Helper()
		rec := c.on(d)
		require.Equal(t, http.StatusPreconditionRequired, rec.Code, rec.Body)
		require.Equal(t, typePreview, kind(t, rec))
		require.Contains(t, rec.Body.String(), says)
		require.Empty(t, w.kills)
	}
	refused(issueWith(byFleet, token), "not given to you")
	refused(issueWith(byOwner, token), "not given to you")
	refused(issueWith(strings.Replace(bySelector, "red", "blue", 1), token), "not given to you")
	refused(issueWith(strings.Replace(bySelector, "5}", "4}", 1), token), "not given to you")
	refused(as(issueWith(bySelector, token), "break-glass"), "not given to you")
	refused(issueWith(bySelector, token[:len(token)-2]+"xx"), "not given to you")
	refused(issueWith(bySelector, "nonsense"), "not given to you")
	refused(issueWith(bySelector, ""), "say break_glass")
	now = noon.Add(previewGood)
	refused(issueWith(bySelector, token), "expired")
	now = noon.Add(previewGood - time.Millisecond)
	require.Equal(t, http.StatusAccepted, issueWith(bySelector, token).on(d).Code)
}

func TestAnOrderWithoutAPreviewBreaksGlassLoudly(t *testing.T) {
	w := newWorld()
	require.Equal(t, http.StatusAccepted, as(post("/v1/orders", goodIssue), "admin").on(open(t, w)).Code)
	require.Equal(t, "break-glass", w.kills[0].order.Check)
	loud := w.logs.FilterMessageSnippet("BREAK GLASS").All()
	require.Len(t, loud, 1)
	require.Equal(t, zap.WarnLevel, loud[0].Level)
	require.Equal(t, "root", loud[0].ContextMap()["actor"])
	require.Equal(t, 1, w.logs.FilterMessage("order").Len())
}

func TestBadOrdersAreRefused(t *testing.T) {
	order := func(text string) call {
		return as(post("/v1/orders", `{"reason":"r","break_glass":true,`+text+`}`), "admin")
	}
	cases := []bad{
		{"empty selector", order(`"scope":"selector","selector":{}`), 422, typeInvalid, "selector is empty"},
		{"no selector", order(`"scope":"selector"`), 422, typeInvalid, "selector is missing"},
		{"misspelt selector", order(`"scope":"selector","selector":{"kind":"x","lables":{"a":"b"}}`), 422, typeInvalid, "lables"},
		{"null in selector", order(`"scope":"selector","selector":{"kind":"x","owner":null}`), 422, typeInvalid, "null"},
		{"selector no object", order(`"scope":"selector","selector":"all"`), 422, typeInvalid, "object"},
		{"negative age", order(`"scope":"selector","selector":{"min_age_seconds":-1}`), 422, typeInvalid, "min_age_seconds"},
		{"overflowing age", order(`"scope":"selector","selector":{"min_age_seconds":9223372037}`), 422, typeInvalid, "min_age_seconds"},
		{"a model of two lines", order(`"scope":"selector","selector":{"model":"a\nb"}`), 422, typeInvalid, "model"},
		{"negative spend", order(`"scope":"selector","selector":{"min_spend_micro_usd":-1}`), 422, typeInvalid, "spend"},
		{"bad owner", order(`"scope":"selector","selector":{"owner":"a b"}`), 422, typeInvalid, "owner"},
		{"an unknown criterion", order(`"scope":"selector","selector":{"colour":"red"}`), 422, typeInvalid, "colour"},
		{"selector with fleet", order(`"scope":"fleet","selector":{"kind":"x"}`), 422, typeInvalid, "Only the scope selector"},
		{"owner with fleet", order(`"scope":"fleet","owner":"acme"`), 422, typeInvalid, "Only the scope owner"},
		{"owner beside selector", order(`"scope":"selector","owner":"acme","selector":{"kind":"x"}`), 422, typeInvalid, "Only the scope owner"},
		{"no owner", order(`"scope":"owner"`), 422, typeInvalid, "owner"},
		{"one job", order(`"scope":"job"`), 422, typeInvalid, "own route"},
		{"freeze", order(`"scope":"selector","selector":{"kind":"x"},"freeze":true`), 422, typeInvalid, "close the gate"},
		{"both", order(`"scope":"fleet","token":"x"`), 422, typeInvalid, "not both"},
		{"no reason", as(post("/v1/orders", `{"scope":"fleet","break_glass":true}`), "admin"), 422, typeInvalid, "reason"},
		{"wait", order(`"scope":"fleet","wait_seconds":31`), 422, typeInvalid, "wait_seconds"},
		{"preview of nothing", as(post("/v1/orders/preview", `{"scope":"selector","selector":{}}`), "admin"), 422, typeInvalid, "selector is empty"},
		{"preview of one job", as(post("/v1/orders/preview", `{"scope":"job"}`), "admin"), 422, typeInvalid, "own route"},
		{"block on nothing", as(post("/v1/blocks", `{"on":"model","value":"x","reason":"r"}`), "admin"), 422, typeInvalid, "on"},
		{"block without value", as(post("/v1/blocks", `{"on":"kind","reason":"r"}`), "admin"), 422, typeInvalid, "kind"},
		{"block without label", as(post("/v1/blocks", `{"on":"label","value":"x","reason":"r"}`), "admin"), 422, typeInvalid, "label"},
		{"block with a label too many", as(post("/v1/blocks", `{"on":"owner","label":"a","value":"x","reason":"r"}`), "admin"), 422, typeInvalid, "label"},
		{"block without reason", as(post("/v1/blocks", `{"on":"kind","value":"x"}`), "admin"), 422, typeInvalid, "reason"},
		{"lift without head", as(post("/v1/blocks/"+string(anOrder)+"/lift", `{"reason":"r"}`), "admin"), 422, typeInvalid, "seen"},
	}
	refuseAll(t, cases)
}

// A denied order keeps what it would have reached in the audit.
func TestADeniedOrderIsAuditedWithItsSelector(t *testing.T) {
	w := newWorld()
	as(post("/v1/orders", goodIssue), "operator").on(open(t, w))
	require.Equal(t, "kill-selector", w.denials[0].Act)
	require.Equal(t, "selector", w.denials[0].Fields["scope"])
	require.Contains(t, w.denials[0].Fields["subject"], `kind="deliberation"`)
	require.Equal(t, "it loops", w.denials[0].Fields["reason"])
	require.Empty(t, w.kills)
}

func TestBlocksAreMadeListedAndLifted(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	rec := as(post("/v1/blocks", goodBlock), "operator").on(d)
	require.JSONEq(t, `{"id":"`+string(anOrder)+`","on":"kind","value":"deliberation","actor":"oncall","reason":"it loops","recorded_at":"2026-11-23T12:00:00Z"}`, rec.Body.String())
	require.Equal(t, 1, w.logs.FilterMessage("block").Len())
	require.Equal(t, "2.b,3.c", fieldsOf(t, as(get("/v1/blocks"), "operator").on(d))["head"])
	rec = as(post("/v1/blocks/"+string(anOrder)+"/lift", goodLift), "admin").on(d)
	require.Equal(t, true, fieldsOf(t, rec)["lifted"])
	w.set(func() { w.thawErr = &job.StaleGate{Now: "9.z"} })
	rec = as(post("/v1/blocks/"+string(anOrder)+"/lift", goodLift), "admin").on(d)
	require.Equal(t, typeGateChanged, kind(t, rec))
	require.Equal(t, "9.z", fieldsOf(t, rec)["head"])
	w.set(func() { w.blockErr = job.ErrTooManyBlocks })
	require.Equal(t, typeTooManyBlocks, kind(t, as(post("/v1/blocks", goodBlock), "admin").on(d)))
}

func accepted(waiting, stopped int64) job.Receipt {
	r := job.Receipt{
		Order: job.Order{ID: allOrder, Scope: job.Scope{Kind: job.ScopeFleet}, Reason: "r"}, Stage: job.Accepted,
		Tally: job.Tally{Targeted: waiting + stopped, Waiting: waiting, Stopped: stopped},
		Open:  []job.Open{{Job: aliceJob, Worker: "w1", Verdict: job.Waiting, LeaseEnds: time.Now()}},
	}
	if waiting == 0 {
		r.Stage, r.Open = job.Quiesced, nil
	}
	return r
}

// The stream shows a receipt when it changed and only then, and ends with the
// quiesced one.
func TestAnOrderIsFollowedToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.receipts[allOrder] = accepted(3, 0)
		for after, r := range map[time.Duration]func() job.Receipt{
			time.Second:      func() job.Receipt { return accepted(3, 0) }, // another estimate is no news
			20 * time.Second: func() job.Receipt { return accepted(1, 2) },
			21 * time.Second: func() job.Receipt { return accepted(0, 3) },
		} {
			time.AfterFunc(after, func() { now := r(); w.set(func() { w.receipts[allOrder] = now }) })
		}
		begun := time.Now()
		rec := as(get("/v1/orders/"+string(allOrder)+"/events"), "operator").on(open(t, w))
		require.InDelta(t, 21, time.Since(begun).Seconds(), 0.5)
		require.Equal(t, "text/event-stream", rec.Header().Get("Content-Type"))
		var waiting []float64
		last := ""
		for line := range strings.Lines(rec.Body.String()) {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				last = strings.TrimSpace(id)
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				var v map[string]any
				require.NoError(t, json.Unmarshal([]byte(data), &v))
				waiting = append(waiting, v["tally"].(map[string]any)["waiting"].(float64))
			}
		}
		require.Equal(t, []float64{3, 1, 0}, waiting)
		require.Equal(t, 1, strings.Count(rec.Body.String(), ": beat"), "an idle stream says that it is alive")
		again := with(as(get("/v1/orders/"+string(allOrder)+"/events"), "operator"), "Last-Event-ID", last).on(open(t, w))
		require.Equal(t, http.StatusNoContent, again.Code)
	})
}

func TestAFollowedOrderEndsWithTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.receipts[allOrder] = accepted(3, 0)
		d := open(t, w)
		time.AfterFunc(time.Second, d.CloseStreams)
		begun := time.Now()
		rec := as(get("/v1/orders/"+string(allOrder)+"/events"), "operator").on(d)
		require.InDelta(t, 1, time.Since(begun).Seconds(), 0.1)
		require.Equal(t, 1, strings.Count(rec.Body.String(), "event: receipt"))
	})
}

// The client speaks of previews, orders and blocks in the door's words.
func TestTheClientIssuesFollowsAndBlocks(t *testing.T) {
	w := newWorld()
	base, _ := serve(t, open(t, w))
	c, err := client.New(base, client.WithKey("admin"), client.WithRetries(1, 0))
	require.NoError(t, err)
	ctx := t.Context()
	scope := client.Scope{Kind: "selector", Selector: &client.Selector{Kind: "deliberation", Labels: map[string]string{"a": "b"}, MinAge: 60, MinSpend: 1}}
	p, err := c.Preview(ctx, scope)
	require.NoError(t, err)
	require.Equal(t, int64(7), p.Jobs)
	require.Equal(t, scope, p.Scope)
	require.Equal(t, []client.Count{{Name: "acme", Jobs: 7, Spent: client.USD, PerMinute: 50}}, p.ByOwner)
	r, err := c.Issue(ctx, client.Order{Scope: p.Scope, Reason: "r", Incident: "i", Token: p.Token})
	require.NoError(t, err)
	require.Equal(t, "selector", r.Scope.Kind)
	require.Equal(t, scope.Selector, r.Scope.Selector)
	_, err = c.Issue(ctx, client.Order{Scope: client.Scope{Kind: "fleet"}, Reason: "r"})
	require.ErrorIs(t, err, client.ErrPreview)
	var stages []client.Stage
	for r, err := range c.Follow(ctx, string(allOrder)) {
		require.NoError(t, err)
		stages = append(stages, r.Stage)
	}
	require.Equal(t, []client.Stage{client.Quiesced}, stages)
	b, err := c.Block(ctx, client.NewBlock{On: "label", Label: "team", Value: "red", Reason: "r"})
	require.NoError(t, err)
	require.Equal(t, "team", b.Label)
	all, head, err := c.Blocks(ctx)
	require.NoError(t, err)
	require.Equal(t, []client.Block{b}, all)
	b, err = c.Lift(ctx, b.ID, head, "over")
	require.NoError(t, err)
	require.True(t, b.Lifted)
	w.set(func() { w.blockErr = job.ErrTooManyBlocks })
	_, err = c.Block(ctx, client.NewBlock{On: "kind", Value: "deliberation", Reason: "r"})
	require.ErrorIs(t, err, client.ErrTooManyBlocks)
}

// A token is pasted into a command line: it must not look like a flag there.
func TestATokenDoesNotBeginWithADash(t *testing.T) {
	d := open(t, newWorld())
	for n := range 500 {
		require.NotEqual(t, byte('-'), d.seal(strconv.Itoa(n)+" 7", "bound", strconv.Itoa(n))[0])
	}
}
