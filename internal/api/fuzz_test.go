package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// What passes the strict reader is one object that every reader of JSON
// understands alike: no key twice, nothing behind it, and not too deep.
func FuzzWhatPassesIsOneObjectThatAllReadAlike(f *testing.F) {
	for _, seed := range []string{
		`{}`, goodSubmit, goodKill, goodAll, `{"a":1,"a":2}`, `{"a":{"b":[1,{"c":null}]}}`, `{} {}`, `{"a":"\ud800"}`, `{"a":"\ud83d\ude00"}`,
		"\xef\xbb\xbf{}", "{\"a\":\"\xff\"}", `null`, `[]`, `{"a":1e400}`, `{"a":9223372036854775808}`, ` {"a":"\u0000"} `,
		strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if checkJSON(raw) != nil {
			return
		}
		require.True(t, utf8.Valid(raw))
		require.True(t, json.Valid(raw))
		var first map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &first), "it is an object")
		again, err := json.Marshal(first)
		require.NoError(t, err)
		require.NoError(t, checkJSON(again), "what was read and written passes again")
		require.LessOrEqual(t, nesting(raw), maxDepth)
	})
}

// nesting counts brackets outside of strings.
func nesting(raw []byte) (deepest int) {
	depth, text := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case !text && bytes.IndexByte([]byte("{["), c) >= 0:
			depth++
			deepest = max(deepest, depth)
		case !text && bytes.IndexByte([]byte("}]"), c) >= 0:
			depth--
		}
	}
	return deepest
}

// A cursor opens for whom and what it was given, unchanged, and for nothing else.
func FuzzACursorOpensForNothingElse(f *testing.F) {
	f.Add("0.17", "jobs", "acme", "")
	f.Add("1764000000000-0,", "audit", "", "AAAA")
	f.Add("18446744073709551615-18446744073709551615", "a", "b", "!!!")
	f.Fuzz(func(t *testing.T, cursor, list, owner, forged string) {
		d := open(t, newWorld())
		sealed := d.seal(cursor, list, owner)
		if len(cursor) > 0 && len(cursor) < 900 {
			got, err := d.unseal(sealed, list, owner)
			require.NoError(t, err)
			require.Equal(t, cursor, got)
			_, err = d.unseal(sealed, list, owner, "more")
			require.Error(t, err)
			_, err = d.unseal(sealed, list+"x", owner)
			require.Error(t, err)
		}
		if got, err := d.unseal(forged, list, owner); forged != "" && forged != sealed {
			require.Error(t, err, "%q opened as %q", forged, got)
		}
	})
}

// acts are the routes that take a body, each with one that is fine.
func acts() []call {
	return []call{
		post("/v1/jobs", goodSubmit),
		post("/v1/jobs/"+string(aliceJob)+"/kill", goodKill),
		post("/v1/jobs/"+string(askJob)+"/answer", goodAnswer),
		post("/v1/jobs/"+string(deadJob)+"/resume", `{"checkpoint":3}`),
		as(post("/v1/kill-all", goodAll), "admin"),
		as(post("/v1/orders/preview", selected), "admin"),
		as(post("/v1/orders", goodIssue), "admin"),
		as(post("/v1/blocks", goodBlock), "admin"),
		as(post("/v1/blocks/"+string(anOrder)+"/lift", goodLift), "admin"),
		as(post("/v1/fleet/freeze", goodAll), "admin"),
		as(post("/v1/fleet/thaw", goodLift), "admin"),
		as(post("/v1/fleet/adopt", goodKill), "admin"),
		as(post("/v1/drills", goodDrill), "admin"),
		as(post("/v1/keys", goodKey), "admin"),
		as(post("/v1/keys/"+aKey+"/revoke", goodKill), "admin"),
		as(call{method: http.MethodPut, path: "/v1/budgets/owners/acme", body: goodBudget}, "admin"),
	}
}

// Whatever is sent to whichever act is done, or refused as the sender's fault, with
// nothing done.
func FuzzNoBodyIsTheDoorsFault(f *testing.F) {
	for i, c := range acts() {
		f.Add(uint8(i), []byte(c.body))
		f.Add(uint8(i), []byte(strings.Replace(c.body, "\"", "\"\\u0000", 2)))
	}
	f.Add(uint8(4), []byte(`{"scope":"owner","owner":"acme","reason":"x","confirm":"acme"}`))
	f.Add(uint8(5), []byte(`{"scope":"selector","selector":{"labels":{"a":"b"},"min_age_seconds":99999999999}}`))
	f.Add(uint8(10), []byte(`{"seen":"1.a","reason":"x","per_second":1e308,"for_seconds":-1}`))
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		all := acts()
		c := all[int(which)%len(all)]
		c.body = string(body)
		w := newWorld()
		rec := c.on(open(t, w))
		require.Less(t, rec.Code, 500, "%s", rec.Body)
		require.True(t, json.Valid(rec.Body.Bytes()))
		if rec.Code < 400 {
			require.NoError(t, checkJSON(body), "it was done")
			return
		}
		require.NotEmpty(t, kind(t, rec))
		require.Empty(t, w.submitted)
		require.Empty(t, w.made)
		require.Empty(t, w.revoked)
		require.Empty(t, w.raises)
		require.Empty(t, w.limits)
		require.Empty(t, w.blocks)
		require.False(t, w.gate.Frozen)
	})
}

// Where to go on is what the stream gave, or refused: it goes into a command.
func FuzzAPlaceInAStreamIsOneOrRefused(f *testing.F) {
	for _, s := range []string{"", "0-0", "1764000000000-0", "18446744073709551615-18446744073709551615", "$", "+", "1-", "-1", "+1-1", "1-1-1", "1-0\n", " 1-0"} {
		f.Add(s, "")
		f.Add("", s)
	}
	f.Fuzz(func(t *testing.T, last, after string) {
		for _, s := range []string{last, after} {
			if isPosition(s) {
				require.Regexp(t, `^[0-9]+-[0-9]+$`, s)
				require.NotContains(t, s, "\n")
			}
		}
		w := newWorld()
		r := call{method: http.MethodGet, path: "/v1/jobs/" + string(overJob) + "/events", as: "owner"}.request()
		r.Header["Last-Event-Id"] = []string{last}
		q := r.URL.Query()
		q.Set("after", after)
		r.URL.RawQuery = q.Encode()
		rec := record(open(t, w), r)
		from := last
		if from == "" {
			from = after
		}
		if from != "" && !isPosition(from) {
			require.Equal(t, http.StatusBadRequest, rec.Code)
			require.Equal(t, typeMalformed, kind(t, rec))
			return
		}
		require.Contains(t, []int{http.StatusOK, http.StatusNoContent}, rec.Code)
	})
}

// What a job writes as its event stays one event on the wire: it can neither end
// it early nor begin another.
func FuzzAnEventIsOneFrame(f *testing.F) {
	f.Add("contribution", "admin", []byte(`{"text":"so\nthere"}`), int64(1_764_000_000_000_000))
	f.Add("x\n\ndata: {}", "\n", []byte("{\n\n}"), int64(0))
	f.Add("\r", "\u2028", []byte(`null`), int64(-1))
	f.Fuzz(func(t *testing.T, name, audience string, data []byte, us int64) {
		var buf bytes.Buffer
		frame(&buf, job.StreamEvent{ID: "5-1", Type: name, Audience: audience, Data: data, At: time.UnixMicro(us)})
		if buf.Len() == 0 {
			return // a moment that JSON has no word for
		}
		text, ended := strings.CutSuffix(buf.String(), "\n\n")
		require.True(t, ended)
		require.NotContains(t, text, "\r")
		lines := strings.Split(text, "\n")
		require.LessOrEqual(t, len(lines), 3)
		require.Equal(t, "id: 5-1", lines[0])
		last, ok := strings.CutPrefix(lines[len(lines)-1], "data: ")
		require.True(t, ok)
		require.True(t, json.Valid([]byte(last)))
		if len(lines) == 3 {
			require.True(t, strings.HasPrefix(lines[1], "event: "))
		}
	})
}
