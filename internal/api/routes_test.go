package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// Every route against everybody: the status each one gets, and whether a denial
// is in the audit afterwards (a + behind the status).
func TestEveryRouteForEverybody(t *testing.T) {
	jobs, orders := "/v1/jobs/", "/v1/orders/"
	//                                                       anonymous stranger owner service operator admin other-service break-glass
	for line, body := range map[string]string{
		"POST /v1/jobs                                          401 202 202 422 422 202 422 403+":       goodSubmit,
		"POST /v1/jobs {acme}                                   401 403+ 202 202 403+ 403+ 202 403+":    strings.Replace(goodSubmit, "{", `{"owner":"acme",`, 1),
		"GET /v1/jobs                                           401 200 200 422 200 200 422 200":        "",
		"GET /v1/jobs?owner=acme                                401 403 200 200 200 200 200 200":        "",
		"GET " + jobs + string(aliceJob) + "                    401 404 200 200 200 200 404 200":        "",
		"GET " + jobs + string(noJob) + "                       401 404 404 404 404 404 404 404":        "",
		"GET " + jobs + string(farJob) + "                      401 404 404 404 404 404 404 404":        "",
		"GET " + jobs + "nonsense                               401 404 404 404 404 404 404 404":        "",
		"GET " + jobs + string(overJob) + "/result              401 404 200 200 200 200 404 200":        "",
		"GET " + jobs + string(aliceJob) + "/result             401 404 409 409 409 409 404 409":        "",
		"GET " + jobs + string(overJob) + "/events              401 404 204 204 204 204 404 204":        "",
		"POST " + jobs + string(aliceJob) + "/kill              401 404+ 202 202 202 202 404+ 202":      goodKill,
		"POST " + jobs + string(overJob) + "/kill               401 404+ 200 200 200 200 404+ 200":      goodKill,
		"POST " + jobs + string(noJob) + "/kill                 401 404+ 404+ 404+ 404+ 404+ 404+ 404+": goodKill,
		"POST " + jobs + string(farJob) + "/kill                401 404+ 404+ 404+ 404+ 404+ 404+ 404+": goodKill,
		"POST " + jobs + "nonsense/kill                         401 404+ 404+ 404+ 404+ 404+ 404+ 404+": goodKill,
		"POST " + jobs + string(askJob) + "/answer              401 404+ 200 200 404+ 200 404+ 404+":    goodAnswer,
		"POST " + jobs + string(aliceJob) + "/answer            401 404+ 409 409 404+ 409 404+ 404+":    goodAnswer,
		"POST " + jobs + string(noJob) + "/answer               401 404+ 404+ 404+ 404+ 404+ 404+ 404+": goodAnswer,
		"POST " + jobs + "nonsense/answer                       401 404+ 404+ 404+ 404+ 404+ 404+ 404+": goodAnswer,
		"POST /v1/orders/preview                                401 403+ 403+ 403+ 403+ 200 403+ 200":   selected,
		"POST /v1/orders/preview {owner}                        401 403+ 403+ 403+ 403+ 200 403+ 200":   `{"scope":"owner","owner":"acme"}`,
		"POST /v1/orders/preview {fleet}                        401 403+ 403+ 403+ 403+ 200 403+ 200":   `{"scope":"fleet"}`,
		"POST /v1/orders                                        401 403+ 403+ 403+ 403+ 202 403+ 202":   goodIssue,
		"POST /v1/orders {unseen}                               401 403+ 403+ 403+ 403+ 428 403+ 428":   `{"scope":"fleet","reason":"r"}`,
		"POST /v1/blocks                                        401 403+ 403+ 403+ 200 200 403+ 200":    goodBlock,
		"GET /v1/blocks                                         401 403 403 403 200 200 403 200":        "",
		"POST /v1/blocks/" + string(anOrder) + "/lift          401 403+ 403+ 403+ 403+ 200 403+ 200":    goodLift,
		"POST /v1/blocks/" + string(noJob) + "/lift            401 403+ 403+ 403+ 403+ 404+ 403+ 404+":  goodLift,
		"POST /v1/blocks/nonsense/lift                          401 403+ 403+ 403+ 403+ 404+ 403+ 404+": goodLift,
		"GET " + orders + string(anOrder) + "/events           401 404 200 200 200 200 404 200":         "",
		"GET " + orders + string(allOrder) + "/events          401 404 404 404 200 200 404 200":         "",
		"GET " + orders + string(noJob) + "/events             401 404 404 404 404 404 404 404":         "",
		"GET /v1/orders                                         401 403 403 403 200 200 403 200":        "",
		"GET " + orders + string(anOrder) + "                   401 404 200 200 200 200 404 200":        "",
		"GET " + orders + string(allOrder) + "                  401 404 404 404 200 200 404 200":        "",
		"GET " + orders + string(noJob) + "                     401 404 404 404 404 404 404 404":        "",
		"POST /v1/kill-all                                      401 403+ 403+ 403+ 403+ 202 403+ 202":   goodAll,
		"POST /v1/kill-all {owner}                              401 403+ 403+ 403+ 403+ 202 403+ 202":   `{"scope":"owner","owner":"acme","reason":"r","confirm":"prod"}`,
		"GET /v1/fleet                                          401 403 403 403 200 200 403 200":        "",
		"POST " + jobs + string(aliceJob) + "/resume            401 404+ 409 409 404+ 409 404+ 404+":    `{"budget_micro_usd":9000000}`,
		"POST " + jobs + string(deadJob) + "/resume             401 404+ 202 202 404+ 202 404+ 404+":    `{}`,
		"POST " + jobs + string(fellJob) + "/resume             401 404+ 403+ 403+ 404+ 202 404+ 404+":  `{}`,
		"POST " + jobs + string(overJob) + "/resume             401 404+ 409 409 404+ 409 404+ 404+":    `{}`,
		"POST " + jobs + string(noJob) + "/resume               401 404+ 404+ 404+ 404+ 404+ 404+ 404+": `{}`,
		"POST " + jobs + "nonsense/resume                       401 404+ 404+ 404+ 404+ 404+ 404+ 404+": `{}`,
		"GET " + jobs + string(aliceJob) + "/checkpoints        401 404 200 200 200 200 404 200":        "",
		"GET " + jobs + string(noJob) + "/checkpoints           401 404 404 404 404 404 404 404":        "",
		"GET " + jobs + "nonsense/checkpoints                   401 404 404 404 404 404 404 404":        "",
		"GET " + jobs + string(overJob) + "/checkpoints/3       401 404 200 200 200 200 404 200":        "",
		"GET " + jobs + string(overJob) + "/checkpoints/9       401 404 404 404 404 404 404 404":        "",
		"GET " + jobs + string(overJob) + "/checkpoints/5       401 404 409 409 409 409 404 409":        "",
		"GET " + jobs + string(noJob) + "/checkpoints/3         401 404 404 404 404 404 404 404":        "",
		"GET " + jobs + string(overJob) + "/transcript          401 404 200 200 200 200 404 200":        "",
		"GET " + jobs + string(noJob) + "/transcript            401 404 404 404 404 404 404 404":        "",
		"GET " + jobs + "nonsense/transcript                    401 404 404 404 404 404 404 404":        "",
		"GET /v1/spend                                          401 200 200 403 200 200 403 200":        "",
		"GET /v1/spend?by=label:batch                           401 200 200 403 200 200 403 200":        "",
		"GET /v1/budgets                                        401 403 403 403 200 200 403 200":        "",
		"GET /v1/budgets/fleet                                  401 403 403 403 200 200 403 200":        "",
		"PUT /v1/budgets/fleet                                  401 403+ 403+ 403+ 403+ 200 403+ 403+":  goodBudget,
		"DELETE /v1/budgets/fleet?reason=over                   401 403+ 403+ 403+ 403+ 200 403+ 403+":  "",
		"GET /v1/budgets/owners/acme                            401 404 200 403 200 200 403 200":        "",
		"PUT /v1/budgets/owners/acme                            401 403+ 403+ 403+ 403+ 200 403+ 403+":  goodBudget,
		"DELETE /v1/budgets/owners/acme?reason=over             401 403+ 403+ 403+ 403+ 200 403+ 403+":  "",
		"POST /v1/fleet/freeze                                  401 403+ 403+ 403+ 200 200 403+ 200":    `{"reason":"r"}`,
		"POST /v1/fleet/thaw                                    401 403+ 403+ 403+ 403+ 200 403+ 200":   `{"reason":"r","seen":"1.a"}`,
		"GET /v1/me                                             401 200 200 200 200 200 200 200":        "",
		"POST /v1/fleet/adopt                                   401 403+ 403+ 403+ 403+ 200 403+ 200":   `{"reason":"r"}`,
		"POST /v1/drills                                        401 403+ 403+ 403+ 403+ 200 403+ 200":   goodDrill,
		"GET /v1/audit                                          401 403+ 403+ 403+ 403+ 200 403+ 200":   "",
		"GET /v1/audit/log                                      401 403+ 403+ 403+ 403+ 200 403+ 200":   "",
		"POST /v1/keys                                          401 403+ 403+ 403+ 403+ 201 403+ 403+":  goodKey,
		"GET /v1/keys                                           401 403 403 403 403 200 403 200":        "",
		"POST /v1/keys/" + aKey + "/revoke                      401 403+ 403+ 403+ 403+ 200 403+ 200":   `{"reason":"leaked"}`,
		"POST /v1/keys/key-00000000/revoke                      401 403+ 403+ 403+ 403+ 404+ 403+ 404+": `{"reason":"leaked"}`,
		"POST /v1/keys/nonsense/revoke                          401 403+ 403+ 403+ 403+ 404+ 403+ 404+": `{"reason":"leaked"}`,
		"GET /openapi.json                                      200 200 200 200 200 200 200 200":        "",
		"GET /healthz                                           200 200 200 200 200 200 200 200":        "",
		"GET /readyz                                            200 200 200 200 200 200 200 200":        "",
		"GET /v1/nothing                                        404 404 404 404 404 404 404 404":        "",
		"GET /                                                  404 404 404 404 404 404 404 404":        "",
	} {
		words := strings.Fields(line)
		want := words[len(words)-len(people):]
		for i, who := range people {
			w := newWorld()
			rec := call{method: words[0], path: words[1], body: body, as: who.secret}.on(open(t, w))
			got := http.StatusText(rec.Code)
			status, denied := strings.CutSuffix(want[i], "+")
			require.Equal(t, status, itoa(rec.Code), "%s %s as %s: %s %s", words[0], words[1], who.name, got, rec.Body)
			require.Equal(t, denied, len(w.denials) == 1, "%s %s as %s: audit %v", words[0], words[1], who.name, w.denials)
			require.LessOrEqual(t, len(w.denials), 1)
			require.NotEmpty(t, rec.Header().Get("X-Request-Id"))
			if rec.Code >= 400 {
				require.NotEmpty(t, kind(t, rec))
			}
			if rec.Code == http.StatusUnauthorized {
				require.Contains(t, rec.Header().Get("WWW-Authenticate"), "Bearer")
				require.Empty(t, w.kills)
			}
		}
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

// What is not yours looks, byte for byte, like what does not exist.
func TestAStrangerLearnsNothing(t *testing.T) {
	for _, c := range []call{
		{method: "GET", path: "/v1/jobs/{}"},
		{method: "GET", path: "/v1/jobs/{}/result"},
		{method: "GET", path: "/v1/jobs/{}/events"},
		{method: "GET", path: "/v1/jobs/{}/transcript"},
		{method: "GET", path: "/v1/jobs/{}/checkpoints"},
		{method: "GET", path: "/v1/jobs/{}/checkpoints/3"},
		{method: "POST", path: "/v1/jobs/{}/kill", body: goodKill},
		{method: "POST", path: "/v1/jobs/{}/answer", body: goodAnswer},
		{method: "POST", path: "/v1/jobs/{}/resume", body: `{}`},
		{method: "GET", path: "/v1/orders/{}"},
		{method: "GET", path: "/v1/orders/{}/events"},
	} {
		var seen []string
		for _, id := range []job.ID{aliceJob, overJob, deadJob, fellJob, noJob, farJob, anOrder, allOrder, "nonsense"} {
			c := c
			c.path, c.as = strings.Replace(c.path, "{}", string(id), 1), "stranger"
			c.head = map[string]string{"X-Request-Id": "the-same-one"}
			rec := c.on(open(t, newWorld()))
			require.Equal(t, http.StatusNotFound, rec.Code)
			head := rec.Header().Clone()
			head.Del("Date")
			seen = append(seen, rec.Body.String()+strings.Join(head.Values("Content-Type"), ""))
			require.NotContains(t, rec.Body.String(), string(id))
		}
		for _, s := range seen {
			require.Equal(t, seen[0], s)
		}
	}
}

// An owner's kill goes to the script with the owner it must find; nobody reads
// the record before it.
func TestKillCarriesWhatTheScriptMustCheck(t *testing.T) {
	want := map[string]string{"owner": "acme", "stranger": "evil", "service": "acme", "operator": "", "admin": ""}
	for as, mustOwn := range want {
		w := newWorld()
		call{method: "POST", path: "/v1/jobs/" + string(aliceJob) + "/kill", body: `{"reason":"it loops","incident":"inc-1"}`, as: as}.on(open(t, w))
		require.Len(t, w.kills, 1)
		k := w.kills[0]
		require.Equal(t, mustOwn, k.permit.MustOwn(), as)
		require.True(t, k.permit.Allows("kill"))
		require.Equal(t, aliceJob, k.order.Scope.Job)
		require.Equal(t, "it loops", k.order.Reason)
		require.Equal(t, "inc-1", k.order.Incident)
		require.Equal(t, noon, k.order.RequestedAt)
		require.Equal(t, k.permit.Actor().Subject, k.order.Actor)
		require.Equal(t, "key-1", k.key)
		require.Contains(t, string(k.permit.Who()), `"from":"192.0.2.1"`)
	}
}

func TestKillsAreLoggedAndKillAllWarnsWithTheCount(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	call{method: "POST", path: "/v1/jobs/" + string(aliceJob) + "/kill", body: goodKill, as: "owner"}.on(d)
	kill := w.logs.FilterMessage("kill").All()
	require.Len(t, kill, 1)
	require.Equal(t, "alice", kill[0].ContextMap()["actor"])
	require.Equal(t, "it loops", kill[0].ContextMap()["reason"])
	require.Equal(t, noon, kill[0].ContextMap()["at"])

	rec := call{method: "POST", path: "/v1/kill-all", body: goodAll, as: "admin"}.on(d)
	all := w.logs.FilterMessage("kill-all").All()
	require.Len(t, all, 1)
	require.Equal(t, zap.WarnLevel, all[0].Level)
	require.Equal(t, int64(7), all[0].ContextMap()["targeted"])
	require.Equal(t, map[string]any{
		"targeted": 7.0, "waiting": 3.0, "not_running": 4.0, "stopped": 0.0, "already_over": 0.0, "fenced": 0.0,
		"deaf": 0.0, "covered_before": 0.0, "unbooked": 0.0, "spent_after_micro_usd": 0.0,
	}, fieldsOf(t, rec)["tally"])
}

func TestKillAllFreezesTheFleetUnlessToldNotTo(t *testing.T) {
	for body, want := range map[string]bool{
		goodAll: true,
		`{"scope":"fleet","reason":"r","confirm":"prod","freeze":false}`:               false,
		`{"scope":"owner","owner":"acme","reason":"r","confirm":"prod"}`:               false,
		`{"scope":"owner","owner":"acme","reason":"r","confirm":"prod","freeze":true}`: true,
	} {
		w := newWorld()
		require.Equal(t, 202, call{method: "POST", path: "/v1/kill-all", body: body, as: "admin"}.on(open(t, w)).Code)
		require.Equal(t, want, w.kills[0].order.Freeze)
	}
	w := newWorld()
	rec := call{method: "POST", path: "/v1/kill-all", body: strings.Replace(goodAll, "prod", "Prod", 1), as: "admin"}.on(open(t, w))
	require.Equal(t, "confirm-mismatch", kind(t, rec))
	require.Empty(t, w.kills)
}

func TestBreakGlassIsLoud(t *testing.T) {
	w := newWorld()
	call{method: "GET", path: "/v1/fleet", as: "break-glass"}.on(open(t, w))
	require.Equal(t, 1, w.logs.FilterMessage("a break-glass credential is in use").Len())
}

// A denied act whose audit entry cannot be written is not answered as denied.
func TestADenialThatCannotBeWrittenIs503(t *testing.T) {
	for _, c := range []call{
		{method: "POST", path: "/v1/kill-all", body: goodAll, as: "owner"},
		{method: "POST", path: "/v1/jobs/nonsense/kill", body: goodKill, as: "owner"},
		{method: "POST", path: "/v1/fleet/thaw", body: `{"reason":"r","seen":"1.a"}`, as: "operator"},
	} {
		w := newWorld()
		w.denyErr = job.ErrUnavailable
		require.Equal(t, "redis-unavailable", kind(t, c.on(open(t, w))))
	}
}

func TestTheDeniedKeepTheirWordsInTheAudit(t *testing.T) {
	w := newWorld()
	call{method: "POST", path: "/v1/jobs/%7Bx%7D:*/kill", body: `{"reason":"r","incident":"i"}`, as: "owner"}.on(open(t, w))
	require.Equal(t, map[string]string{"scope": "job", "subject": "malformed", "reason": "r", "incident": "i"}, w.denials[0].Fields)
	require.Equal(t, "unknown", w.denials[0].Rule)
	require.Equal(t, "denied", w.denials[0].Decision)
	require.Contains(t, string(w.denials[0].Who), `"subject":"alice"`)

	w = newWorld()
	call{method: "POST", path: "/v1/jobs/" + string(farJob) + "/kill", body: goodKill, as: "owner"}.on(open(t, w))
	require.Equal(t, string(farJob), w.denials[0].Fields["subject"])
	require.Empty(t, w.kills, "no script can audit an id of a partition that does not exist")

	w = newWorld()
	call{method: "POST", path: "/v1/jobs/" + string(aliceJob) + "/kill", body: goodKill, as: "other-service"}.on(open(t, w))
	require.Equal(t, "foreign", w.denials[0].Rule)
	require.Empty(t, w.kills)
}
