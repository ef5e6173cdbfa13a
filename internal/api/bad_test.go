package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// bad is a request that must be refused as such, with nothing written.
type bad struct {
	name string
	call call
	code int
	kind string
	says string // in the detail
}

func post(path, body string) call {
	return call{method: "POST", path: path, body: body, as: "owner"}
}

func with(c call, head, value string) call { c.head = map[string]string{head: value}; return c }

func as(c call, who string) call { c.as = who; return c }

func refuseAll(t *testing.T, cases []bad) {
	t.Helper()
	for _, b := range cases {
		w := newWorld()
		rec := b.call.on(open(t, w))
		require.Equal(t, b.code, rec.Code, "%s: %s", b.name, rec.Body)
		require.Equal(t, b.kind, kind(t, rec), b.name)
		require.Contains(t, rec.Body.String(), b.says, b.name)
		require.Empty(t, w.submitted, b.name)
		require.Empty(t, w.kills, b.name)
		require.Empty(t, w.queries, b.name)
		require.False(t, w.gate.Frozen, b.name)
	}
}

func TestBadBodiesAreRefused(t *testing.T) {
	refuseAll(t, []bad{
		{"empty", post("/v1/jobs", " "), 400, typeMalformed, "empty"},
		{"null", post("/v1/jobs", "null"), 400, typeMalformed, "not a JSON object"},
		{"array", post("/v1/jobs", "[]"), 400, typeMalformed, "not a JSON object"},
		{"string", post("/v1/jobs", `"x"`), 400, typeMalformed, "not a JSON object"},
		{"truncated", post("/v1/jobs", goodSubmit[:40]), 400, typeMalformed, "not valid JSON"},
		{"trailing garbage", post("/v1/jobs", goodSubmit+"x"), 400, typeMalformed, "follows"},
		{"two objects", post("/v1/jobs", goodSubmit+goodSubmit), 400, typeMalformed, "follows"},
		{"duplicate key", post("/v1/jobs", `{"kind":"a","kind":"b"}`), 400, typeMalformed, `"kind\" is there twice`},
		{"duplicate key by escape", post("/v1/jobs", `{"kind":"a","\u006bind":"b"}`), 400, typeMalformed, "twice"},
		{"duplicate key inside", post("/v1/jobs", `{"kind":"deliberation","input":{"problem":1,"a":[{"b":1,"b":2}]}}`), 400, typeMalformed, "twice"},
		{"case variant", post("/v1/jobs", strings.Replace(goodSubmit, "kind", "Kind", 1)), 422, typeInvalid, `no field \"Kind\"`},
		{"unknown field", post("/v1/jobs", strings.Replace(goodSubmit, "{", `{"priority":1,`, 1)), 422, typeInvalid, "priority"},
		{"null field", post("/v1/jobs", strings.Replace(goodSubmit, "{", `{"owner":null,`, 1)), 422, typeInvalid, "null"},
		{"20,000 deep", post("/v1/jobs", `{"input":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+"}"), 400, typeMalformed, "deeper"},
		{"gzip", with(post("/v1/jobs", goodSubmit), "Content-Encoding", "gzip"), 415, typeMedia, "Content-Encoding"},
		{"no content type", with(post("/v1/jobs", goodSubmit), "Content-Type", ""), 415, typeMedia, "application/json"},
		{"wrong content type", with(post("/v1/jobs", goodSubmit), "Content-Type", "text/plain"), 415, typeMedia, ""},
		{"wrong charset", with(post("/v1/jobs", goodSubmit), "Content-Type", "application/json; charset=utf-16"), 415, typeMedia, ""},
		{"byte order mark", post("/v1/jobs", "\xef\xbb\xbf"+goodSubmit), 400, typeMalformed, "byte order mark"},
		{"UTF-16", post("/v1/jobs", "\xff\xfe{\x00}\x00"), 400, typeMalformed, "UTF-8"},
		{"invalid UTF-8", post("/v1/jobs", "{\"kind\":\"\xff\"}"), 400, typeMalformed, "UTF-8"},
		{"lone surrogate", post("/v1/jobs", `{"kind":"\ud800"}`), 400, typeMalformed, "half a character"},
		{"two high surrogates", post("/v1/jobs", `{"kind":"\ud83d\ud83d"}`), 400, typeMalformed, "half a character"},
		{"low surrogate first", post("/v1/jobs", `{"kind":"\udc00\ud83d"}`), 400, typeMalformed, "half a character"},
		{"over the limit", post("/v1/jobs", `{"input":"`+strings.Repeat("x", maxBody)+`"}`), 413, typeTooLarge, "At most"},
		{"input over 1 MiB", post("/v1/jobs", `{"kind":"deliberation","input":{"problem":"`+strings.Repeat("x", job.MaxInput)+`"}}`), 413, typeTooLarge, "1048576"},
	})
}

func TestBadSubmissionsAreRefused(t *testing.T) {
	field := func(text string) call { return post("/v1/jobs", strings.Replace(goodSubmit, "{", "{"+text+",", 1)) }
	labels := func(text string) call {
		return post("/v1/jobs", `{"kind":"deliberation","input":{"problem":"x"},"labels":`+text+`}`)
	}
	many := []string{}
	for i := range 17 {
		many = append(many, fmt.Sprintf(`"k%d":"v"`, i))
	}
	refuseAll(t, []bad{
		{"missing problem", post("/v1/jobs", `{"kind":"deliberation","input":{}}`), 422, typeInvalid, "problem is missing"},
		{"no input", post("/v1/jobs", `{"kind":"deliberation"}`), 422, typeInvalid, "input is missing"},
		{"input no object", post("/v1/jobs", `{"kind":"deliberation","input":"problem"}`), 422, typeInvalid, "no JSON object"},
		{"no kind", post("/v1/jobs", `{"input":{"problem":"x"}}`), 422, typeUnknownKind, "deliberation"},
		{"unknown kind", post("/v1/jobs", strings.Replace(goodSubmit, "deliberation", "rm", 1)), 422, typeUnknownKind, "deliberation"},
		{"negative budget", field(`"budget_micro_usd":-1`), 422, typeInvalid, "budget_micro_usd"},
		{"budget 2^63", field(`"budget_micro_usd":9223372036854775808`), 422, typeInvalid, "whole number"},
		{"budget 0.1", field(`"budget_micro_usd":0.1`), 422, typeInvalid, "whole number"},
		{"budget 1e400", field(`"budget_micro_usd":1e400`), 422, typeInvalid, "whole number"},
		{"budget NaN", field(`"budget_micro_usd":"NaN"`), 422, typeInvalid, "is a string"},
		{"budget too dear", field(`"budget_micro_usd":1000000000001`), 422, typeInvalid, "1000000000000"},
		{"attempts", field(`"max_attempts":101`), 422, typeInvalid, "max_attempts"},
		{"negative attempts", field(`"max_attempts":-1`), 422, typeInvalid, "max_attempts"},
		{"timeout overflow", field(`"timeout_seconds":9223372037`), 422, typeInvalid, "timeout_seconds"},
		{"owner traversal", field(`"owner":"../{x}"`), 422, typeInvalid, "owner"},
		{"too many labels", labels("{" + strings.Join(many, ",") + "}"), 422, typeInvalid, "16"},
		{"label key", labels(`{"a b":"v"}`), 422, typeInvalid, "label key"},
		{"long label key", labels(`{"` + strings.Repeat("k", 64) + `":"v"}`), 422, typeInvalid, "63"},
		{"long label", labels(`{"k":"` + strings.Repeat("v", 256) + `"}`), 422, typeInvalid, "255"},
		{"control in label", labels(`{"k":"a\u0000b"}`), 422, typeInvalid, "control character"},
		{"bidi in label", labels(`{"k":"a\u202eb"}`), 422, typeInvalid, "control character"},
		{"label not text", labels(`{"k":1}`), 422, typeInvalid, "is a number"},
		{"no key", with(post("/v1/jobs", goodSubmit), "Idempotency-Key", ""), 400, typeMalformed, "Idempotency-Key"},
		{"long key", with(post("/v1/jobs", goodSubmit), "Idempotency-Key", strings.Repeat("k", 256)), 422, typeInvalid, "255"},
		{"key with CR", with(post("/v1/jobs", goodSubmit), "Idempotency-Key", "a\rb"), 422, typeInvalid, "control character"},
	})
}

func TestBadControlActsAreRefused(t *testing.T) {
	kill, all := "/v1/jobs/"+string(aliceJob)+"/kill", "/v1/kill-all"
	reason := func(r string) call { return post(kill, `{"reason":"`+r+`"}`) }
	admin := func(path, body string) call { return as(post(path, body), "admin") }
	refuseAll(t, []bad{
		{"no reason", post(kill, `{}`), 422, typeInvalid, "reason is empty"},
		{"empty reason", reason(""), 422, typeInvalid, "reason is empty"},
		{"huge reason", reason(strings.Repeat("x", 1025)), 422, typeInvalid, "1024"},
		{"ANSI escape", reason(`\u001b[31m`), 422, typeInvalid, "control character"},
		{"newline", reason(`a\nb`), 422, typeInvalid, "control character"},
		{"bidi", reason(`\u202e`), 422, typeInvalid, "control character"},
		{"reason no text", post(kill, `{"reason":1}`), 422, typeInvalid, "is a number"},
		{"incident", post(kill, `{"reason":"r","incident":"`+strings.Repeat("i", 129)+`"}`), 422, typeInvalid, "incident"},
		{"wait", post(kill, `{"reason":"r","wait_seconds":31}`), 422, typeInvalid, "wait_seconds"},
		{"negative wait", post(kill, `{"reason":"r","wait_seconds":-1}`), 422, typeInvalid, "wait_seconds"},
		{"two keys", twice(post(kill, goodKill), "Idempotency-Key"), 400, typeMalformed, "more than one"},
		{"all: no confirm", admin(all, `{"scope":"fleet","reason":"r"}`), 422, typeConfirm, "nothing was killed"},
		{"all: no scope", admin(all, `{"reason":"r","confirm":"prod"}`), 422, typeInvalid, "scope"},
		{"all: fleet with owner", admin(all, `{"scope":"fleet","owner":"acme","reason":"r","confirm":"prod"}`), 422, typeInvalid, "takes no owner"},
		{"all: owner missing", admin(all, `{"scope":"owner","reason":"r","confirm":"prod"}`), 422, typeInvalid, "owner is empty"},
		{"all: owner glob", admin(all, `{"scope":"owner","owner":"*","reason":"r","confirm":"prod"}`), 422, typeInvalid, "owner"},
		{"all: freeze no bool", admin(all, `{"scope":"fleet","reason":"r","confirm":"prod","freeze":"no"}`), 422, typeInvalid, "true or false"},
		{"freeze: no reason", admin("/v1/fleet/freeze", `{}`), 422, typeInvalid, "reason"},
		{"thaw: nothing seen", admin("/v1/fleet/thaw", `{"reason":"r"}`), 422, typeInvalid, "seen"},
		{"thaw: for how long, but no rate", admin("/v1/fleet/thaw", `{"reason":"r","seen":"1.a","for_seconds":60}`), 422, typeInvalid, "no rate"},
		{"thaw: at a rate of nothing", admin("/v1/fleet/thaw", `{"reason":"r","seen":"1.a","rate_per_second":-1}`), 422, typeInvalid, "jobs per second"},
	})
}

func get(path string) call { return call{method: "GET", path: path, as: "admin"} }

func TestBadQueriesAreRefused(t *testing.T) {
	refuseAll(t, []bad{
		{"limit 0", get("/v1/jobs?limit=0"), 422, typeInvalid, "query.limit"},
		{"limit -1", get("/v1/jobs?limit=-1"), 422, typeInvalid, "query.limit"},
		{"limit 10^9", get("/v1/jobs?limit=1000000000"), 422, typeInvalid, "query.limit"},
		{"limit word", get("/v1/jobs?limit=many"), 422, typeInvalid, "query.limit"},
		{"unknown parameter", get("/v1/jobs?sort=age"), 422, typeInvalid, "sort"},
		{"unknown state", get("/v1/jobs?state=dead"), 422, typeInvalid, "query.state"},
		{"label without value", get("/v1/jobs?label=batch"), 422, typeInvalid, "key=value"},
		{"label twice", get("/v1/jobs?label=a%3D1&label=a%3D2"), 422, typeInvalid, "once"},
		{"label with control", get("/v1/jobs?label=a%3D%00"), 422, typeInvalid, "control character"},
		{"kind", get("/v1/jobs?kind=%7Bx%7D"), 422, typeInvalid, "kind"},
		{"owner", get("/v1/jobs?owner=%7Bx%7D"), 422, typeInvalid, "owner"},
		{"cursor", get("/v1/jobs?cursor=0-0"), 400, typeBadCursor, ""},
		{"cursor of no length", get("/v1/jobs?cursor=AAAA"), 400, typeBadCursor, ""},
		{"cursor forged", get("/v1/jobs?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 400, typeBadCursor, ""},
		{"audit job", get("/v1/audit?job=x"), 422, typeInvalid, "UUIDv7"},
		{"audit act", get("/v1/audit?act=%2A"), 422, typeInvalid, "act"},
		{"audit cursor", get("/v1/audit?cursor=0-0"), 400, typeBadCursor, ""},
		{"event id", with(get("/v1/jobs/"+string(aliceJob)+"/events"), "Last-Event-ID", "$"), 400, typeMalformed, "Last-Event-ID"},
		{"event id sign", get("/v1/jobs/" + string(aliceJob) + "/events?after=%2B1-0"), 400, typeMalformed, ""},
		{"event id past 2^64", get("/v1/jobs/" + string(aliceJob) + "/events?after=18446744073709551616-0"), 400, typeMalformed, ""},
	})
}

// twice sends a header two times.
func twice(c call, head string) call { c.head = map[string]string{"twice": head}; return c }

func TestBadRequestsAsSuchAreRefused(t *testing.T) {
	fleet := get("/v1/fleet")
	refuseAll(t, []bad{
		{"HEAD", call{method: "HEAD", path: "/v1/fleet", as: "admin"}, 405, typeMethod, "GET"},
		{"TRACE", call{method: "TRACE", path: "/v1/fleet", as: "admin"}, 405, typeMethod, "GET"},
		{"OPTIONS", call{method: "OPTIONS", path: "/v1/jobs", as: "admin"}, 405, typeMethod, "GET and POST"},
		{"PUT", call{method: "PUT", path: "/v1/kill-all", as: "admin"}, 405, typeMethod, "POST"},
		{"GET with a body", call{method: "GET", path: "/v1/fleet", body: "{}", as: "admin"}, 400, typeMalformed, "body"},
		{"dots", get("/v1/../v1/fleet"), 404, typeNoRoute, ""},
		{"double slash", get("//v1/fleet"), 404, typeNoRoute, ""},
		{"trailing slash", get("/v1/fleet/"), 404, typeNoRoute, ""},
		{"long path", get("/v1/jobs/" + strings.Repeat("x", 1100)), 414, typeMalformed, ""},
		{"no bearer", with(fleet, "Authorization", "Basic YTpi"), 401, typeUnauthenticated, "not known"},
		{"unknown", as(fleet, "nobody"), 401, typeUnauthenticated, "not known"},
		{"expired", as(fleet, "old"), 401, typeUnauthenticated, "expired"},
		{"two credentials", twice(fleet, "Authorization"), 400, typeMalformed, "more than one"},
	})
}

func TestAForeignHostIsMisdirected(t *testing.T) {
	d := open(t, newWorld(), func(c *Config) { c.Hosts = []string{"gavel.example"} })
	for host, want := range map[string]int{"gavel.example": 200, "GAVEL.example:8443": 200, "evil.example": 421, "": 421} {
		r := get("/v1/fleet").request()
		r.Host = host
		rec := record(d, r)
		require.Equal(t, want, rec.Code, host)
	}
}

// A cursor opens for the one who got it, for the same list, and unchanged.
func TestACursorIsBoundToItsList(t *testing.T) {
	w := newWorld()
	w.page.Next, w.nextAudit = "41", "40-1"
	d := open(t, w)
	first := fieldsOf(t, as(get("/v1/jobs?owner=acme&state=running&label=a%3D1"), "owner").on(d))
	cursor, _ := first["next"].(string)
	require.NotEmpty(t, cursor)
	ask := func(who, query string) int {
		return as(get("/v1/jobs?cursor="+url.QueryEscape(cursor)+query), who).on(d).Code
	}
	require.Equal(t, 200, ask("owner", "&owner=acme&state=running&label=a%3D1"))
	require.Equal(t, "41", w.queries[1].Cursor)
	require.Equal(t, 200, ask("owner", "&state=running&label=a%3D1&limit=3"), "acme is alice's own")
	require.Equal(t, 400, ask("owner", "&owner=acme"))
	require.Equal(t, 400, ask("owner", "&owner=acme&state=running&label=a%3D2"))
	require.Equal(t, 400, ask("admin", "&owner=acme&state=running&label=a%3D1"))
	for i := range cursor {
		bent := cursor[:i] + string(cursor[i]^1) + cursor[i+1:]
		rec := as(get("/v1/jobs?owner=acme&state=running&label=a%3D1&cursor="+url.QueryEscape(bent)), "owner").on(d)
		require.Equal(t, 400, rec.Code, "byte %d", i)
	}
	audit := fieldsOf(t, get("/v1/audit").on(d))
	rec := get("/v1/jobs?cursor=" + url.QueryEscape(audit["next"].(string))).on(d)
	require.Equal(t, http.StatusBadRequest, rec.Code, "an audit cursor is none for jobs")
	require.Equal(t, 200, get("/v1/audit?cursor="+url.QueryEscape(audit["next"].(string))).on(d).Code)
	require.Equal(t, []string{"", "40-1"}, w.asked)
	require.NotEqual(t, d.mac("1", []string{"a", "b"}), d.mac("1", []string{"a:b"}))
}
