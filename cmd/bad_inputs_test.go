package cmd_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
)

// Bad inputs against the real binaries on a real Redis; the door alone meets more
// of them in internal/api. docs/bad-inputs.md says which test has which.

// knock is one request at the real door.
type knock struct {
	who, method, path, body string
	code                    int
	problem                 string
}

// answered asks and returns status, problem type and body.
func answered(t *testing.T, f *fleet, k knock) (int, string, string) {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	var body io.Reader
	if k.body != "" {
		body = strings.NewReader(k.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), k.method, f.base+k.path, body)
	require.NoError(t, err, k.path)
	req.Header.Set("Authorization", "Bearer "+secretOf(k.who))
	if k.body != "" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "bad-"+fmt.Sprint(len(k.body)))
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err, k.path)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var p struct{ Type string }
	_ = json.Unmarshal(raw, &p)
	return resp.StatusCode, strings.TrimPrefix(p.Type, "urn:gavel:problem:"), string(raw)
}

// What is wrong is the caller's to mend: a 4xx with a problem, never a 5xx, and
// nothing of it in Redis.
func TestBadInputsAtTheRealDoor(t *testing.T) {
	t.Parallel()
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	require.NoError(t, f.startDispatcher("dispatcher", unset))
	look := f.ground.servers[0].Client(t)
	const last, tooLarge = "18446744073709551615-18446744073709551615", "99999999999999999999-0"
	done, err := f.as("alice").Submit(t.Context(), client.Submission{Kind: "canary", Input: rawJSON(`{"steps":1}`)})
	require.NoError(t, err)
	id := done.ID
	code, _, _ := answered(t, f, knock{who: "bob", method: "POST", path: "/v1/jobs/" + id + "/kill", body: `{"reason":"not his"}`})
	require.Equal(t, 404, code, "the audit has an entry now")
	input := func(in string) knock {
		return knock{"alice", "POST", "/v1/jobs", `{"kind":"deliberation","input":` + in + `}`, 422, "invalid-input"}
	}
	for name, k := range map[string]knock{
		"the last position of all, of the audit":      {"adam", "GET", "/v1/audit/log?after=" + last, "", 200, ""},
		"a position that is none, of the audit":       {"adam", "GET", "/v1/audit/log?after=" + tooLarge, "", 422, "invalid-input"},
		"the last position of all, of the events":     {"alice", "GET", "/v1/jobs/" + id + "/events?after=" + tooLarge, "", 400, "malformed-request"},
		"the last position of all, of the transcript": {"alice", "GET", "/v1/jobs/" + id + "/transcript?after=" + last, "", 200, ""},
		"a position that is none, of the transcript":  {"alice", "GET", "/v1/jobs/" + id + "/transcript?after=" + tooLarge, "", 400, "malformed-request"},
		"a time range that is reversed":               {"adam", "GET", "/v1/audit?since=2026-11-28T11:00:00Z&until=2026-11-28T10:00:00Z", "", 422, "invalid-input"},
		"a year that is none":                         {"adam", "GET", "/v1/audit?since=99999-01-01T00:00:00Z", "", 422, "invalid-input"},
		"a page of a billion":                         {"adam", "GET", "/v1/jobs?limit=1000000000", "", 422, "invalid-input"},
		"a sort":                                      {"adam", "GET", "/v1/jobs?sort=age", "", 422, "invalid-input"},
		"a model with a new line":                     input(`{"problem":"x","model":"a\nb"}`),
		"a model by role with a new line":             input(`{"problem":"x","models":{"lead":"a\nb"}}`),
		"a problem with a zero":                       input(`{"problem":"a\u0000b"}`),
		"an empty problem":                            input(`{"problem":""}`),
		"a deadline":                                  {"alice", "POST", "/v1/jobs", `{"kind":"canary","input":{},"deadline":"9999-12-31T23:59:59Z"}`, 422, "invalid-input"},
		"a priority":                                  {"alice", "POST", "/v1/jobs", `{"kind":"canary","input":{},"priority":99}`, 422, "invalid-input"},
		"a webhook to the metadata service":           {"alice", "POST", "/v1/jobs", `{"kind":"canary","input":{},"webhook":"http://169.254.169.254/"}`, 422, "invalid-input"},
		"an owner of another slot":                    {"alice", "POST", "/v1/jobs", `{"kind":"canary","input":{},"owner":"{other}:1"}`, 422, "invalid-input"},
		"a selector of nothing":                       {"adam", "POST", "/v1/orders/preview", `{"scope":"selector","selector":{}}`, 422, "invalid-input"},
		"a selector of a pattern":                     {"adam", "POST", "/v1/orders/preview", `{"scope":"selector","selector":{"owner":"(a+)+$"}}`, 422, "invalid-input"},
	} {
		code, problem, body := answered(t, f, k)
		assert.Equal(t, k.code, code, "%s: %s", name, body)
		assert.Equal(t, k.problem, problem, "%s: %s", name, body)
	}

	// What is no id is as unknown as one that nobody has, and a kill of it is
	// written down as what it is and not as what it says.
	for _, odd := range []string{
		"%7Bx%7D", "*", "%3F", "a%20b", "a:b", "..%2f..%2fadmin", "%00", "%0d%0aX-Evil:%201", "%ff%fe", strings.ToUpper(id), "%7B" + id + "%7D",
		id + "%00", strings.Repeat("9", 200), "%5Bx%5D", "%E2%80%AE" + id,
	} {
		code, problem, body := answered(t, f, knock{who: "alice", method: "GET", path: "/v1/jobs/" + odd})
		assert.Equal(t, 404, code, odd)
		assert.Contains(t, []string{"not-found", "no-such-route"}, problem, body)
		code, _, body = answered(t, f, knock{who: "adam", method: "POST", path: "/v1/jobs/" + odd + "/kill", body: `{"reason":"odd"}`})
		assert.Equal(t, 404, code, "%s %s", odd, body)
	}
	_, _, text := answered(t, f, knock{who: "adam", method: "GET", path: "/v1/audit?act=kill"})
	require.Contains(t, text, "malformed")
	for _, evil := range []string{"Evil", "{x}", "..", "\\u202e"} {
		require.NotContains(t, strings.ToLower(text), strings.ToLower(evil))
	}
	ids := look.ZCard(t.Context(), "{"+f.name+":0}:index").Val()
	require.Equal(t, int64(1), ids, "no other job came of it")
}

// A thousand who only connect, and one who sends a byte a second, keep nobody
// from killing; none of them is kept for longer than the time for a request's head.
func TestIdleConnectionsKeepNobodyFromKilling(t *testing.T) {
	t.Parallel()
	const idle = 1000
	ours := newAuthority(t, "ours")
	ours.issue("process", 1)
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	require.NoError(t, f.startDispatcher("dispatcher", unset, "GAVEL_TLS_CERT="+ours.file("process.pem"), "GAVEL_TLS_KEY="+ours.file("process.key")))
	require.NoError(t, f.startWorker("w1", unset))
	addr := strings.TrimPrefix(f.base, "http://")
	secure := ours.config("")
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}
	t.Cleanup(web.CloseIdleConnections)
	alice, err := client.New("https://"+addr, client.WithKey(secretOf("alice")), client.WithRetries(1, 0), client.WithHTTPClient(web))
	require.NoError(t, err)
	done, err := alice.Submit(t.Context(), client.Submission{Kind: "canary", Input: rawJSON(`{"steps":10000,"step_ms":20}`)})
	require.NoError(t, err)

	began := time.Now()
	conns := make(chan net.Conn, idle)
	for i := range 20 {
		go func() {
			for range idle / 20 {
				var c net.Conn
				var err error
				if i%2 == 0 {
					c, err = (&tls.Dialer{Config: secure}).DialContext(t.Context(), "tcp", addr)
				} else { // not even a handshake
					c, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
				}
				if err != nil {
					c = nil
				}
				conns <- c
			}
		}()
	}
	open := []net.Conn{}
	for range idle {
		if c := <-conns; c != nil {
			open = append(open, c)
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	require.Len(t, open, idle)
	slow, err := (&tls.Dialer{Config: secure}).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = slow.Close() })
	cut := make(chan time.Duration, 1)
	go func() {
		since := time.Now()
		_, err := io.WriteString(slow, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nX: ")
		for tick := time.NewTicker(200 * time.Millisecond); err == nil; <-tick.C {
			_, err = io.WriteString(slow, "x")
		}
		cut <- time.Since(since)
	}()

	r, err := alice.Kill(t.Context(), done.ID, client.Kill{Reason: "while they wait", Wait: 20 * time.Second})
	require.NoError(t, err)
	require.Equal(t, client.Verdict("stopped"), r.Verdict)
	t.Logf("killed among %d idle connections, %s after the first was opened", idle, time.Since(began).Round(time.Millisecond))
	require.Less(t, <-cut, 20*time.Second)
	for _, c := range open {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		_, err := io.Copy(io.Discard, c)
		var late net.Error
		require.False(t, errors.As(err, &late) && late.Timeout(), "it is still open")
	}
}

// Whoever types kill-all into a pipe that is shut has killed all the same.
func TestAKillAllWhoseReaderHasGoneStands(t *testing.T) {
	t.Parallel()
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	require.NoError(t, f.startDispatcher("dispatcher", unset))
	require.NoError(t, f.startWorker("w1", unset))
	done, err := f.as("alice").Submit(t.Context(), client.Submission{Kind: "canary", Input: rawJSON(`{"steps":10000,"step_ms":20}`)})
	require.NoError(t, err)
	f.becomes(t, done.ID, "running")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, "gavel"), "kill-all", "--reason", "into the dark", "--yes", f.name)
	cmd.Env = append(f.environment("dispatcher", unset, nil), "GAVEL_URL="+f.base, "GAVEL_KEY="+secretOf("adam"))
	cmd.Stdout = w
	err = cmd.Run()
	require.NoError(t, w.Close())
	require.Error(t, err, "it says that it could not say it")
	f.becomes(t, done.ID, "killed")
	orders, _, err := f.as("adam").Orders(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, orders, 1)
}
