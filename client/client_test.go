package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script answers the n-th request with the n-th step, and keeps what it was
// asked.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	seen  []*http.Request
	sent  []string
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	n := min(len(s.seen), len(s.steps)-1)
	s.seen, s.sent = append(s.seen, r), append(s.sent, string(body))
	step := s.steps[n]
	s.mu.Unlock()
	step(w, r)
}

func (s *script) calls() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.seen) }

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func refusal(status int, kind client.ProblemType, more string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("X-Request-Id", "req-12345")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"type":%q,"title":"T","status":%d,"detail":"D"%s}`, kind, status, more)
	}
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func start(t *testing.T, steps ...http.HandlerFunc) (*client.Client, *script) {
	t.Helper()
	s := &script{steps: steps}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, client.WithKey("gvl_x"), client.WithHTTPClient(srv.Client()), client.WithRetries(4, time.Millisecond))
	require.NoError(t, err)
	return c, s
}

var problem = client.Submission{Kind: "deliberation", Input: map[string]any{"problem": "shall we?"}}

func TestSubmitSendsTheSameKeyAgainUntilItIsAnswered(t *testing.T) {
	c, s := start(t, cut,
		refusal(503, client.ErrOutcomeUnknown, ""), answer(502, "<html>"),
		answer(200, `{"id":"j1","created":false}`))
	got, err := c.Submit(t.Context(), problem)
	require.NoError(t, err)
	require.Equal(t, client.Accepted{ID: "j1"}, got)
	require.Len(t, s.seen, 4)
	key := s.seen[0].Header.Get("Idempotency-Key")
	require.NotEmpty(t, key)
	for i, r := range s.seen {
		require.Equal(t, key, r.Header.Get("Idempotency-Key"))
		require.Equal(t, s.sent[0], s.sent[i])
		require.Equal(t, "Bearer gvl_x", r.Header.Get("Authorization"))
	}
	_, err = c.Submit(t.Context(), problem)
	require.NoError(t, err)
	require.NotEqual(t, key, s.seen[4].Header.Get("Idempotency-Key"), "another submission has another key")
}

func TestSubmitGivesUpAfterItsTries(t *testing.T) {
	c, s := start(t, refusal(503, client.ErrRedisUnavailable, ""))
	_, err := c.Submit(t.Context(), problem)
	require.ErrorIs(t, err, client.ErrRedisUnavailable)
	require.Equal(t, 4, s.calls())
}

func TestWhatWouldNotHelpIsNotSentAgain(t *testing.T) {
	for _, kind := range []client.ProblemType{client.ErrFleetFrozen, client.ErrConflict, client.ErrForbidden, client.ErrInvalid, "urn:gavel:problem:internal"} {
		c, s := start(t, refusal(503, kind, `,"incident":"inc-1","errors":[{"location":"query.limit","message":"M"}]`))
		_, err := c.Submit(t.Context(), problem)
		require.ErrorIs(t, err, kind)
		require.NotErrorIs(t, err, client.ErrNotFound)
		var p *client.Problem
		require.ErrorAs(t, err, &p)
		require.Equal(t, "inc-1", p.Incident)
		require.Equal(t, "req-12345", p.RequestID)
		require.Contains(t, err.Error(), "T: D [query.limit: M]")
		require.Equal(t, 1, s.calls())
	}
	c, s := start(t, answer(200, "<html>"))
	_, err := c.Job(t.Context(), "j1")
	require.ErrorContains(t, err, "not a dispatcher's")
	require.Equal(t, 1, s.calls())
}

func TestRetryAfterIsObeyed(t *testing.T) {
	late := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1")
		refusal(503, client.ErrNotReady, "")(w, r)
	}
	c, _ := start(t, late, answer(200, `{"id":"j1"}`))
	begun := time.Now()
	_, err := c.Job(t.Context(), "j1")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(begun), time.Second)
}

func TestTheContextEndsTheRetries(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	mine := errors.New("my own reason")
	c, s := start(t, func(w http.ResponseWriter, r *http.Request) {
		cancel(mine)
		refusal(503, client.ErrRedisUnavailable, "")(w, r)
	})
	_, err := c.Kill(ctx, "j1", client.Kill{Reason: "r"})
	require.Error(t, err)
	require.ErrorIs(t, errors.Join(err, context.Cause(ctx)), mine)
	require.Equal(t, 1, s.calls())
}

func TestKillSaysWhatItWasTold(t *testing.T) {
	c, s := start(t, answer(202, `{"order":"o1","scope":{"kind":"job","job":"j1"},"stage":"accepted","verdict":"waiting","tally":{"targeted":1,"waiting":1}}`),
		answer(200, `{"order":"o1","scope":{"kind":"job"},"verdict":"stopped"}`))
	r, err := c.Kill(t.Context(), "j/../1", client.Kill{Reason: "it loops", Incident: "inc-1", Wait: 1500 * time.Millisecond, IdempotencyKey: "mine"})
	require.NoError(t, err)
	require.False(t, r.Stopped())
	require.JSONEq(t, `{"reason":"it loops","incident":"inc-1","wait_seconds":2}`, s.sent[0])
	require.Equal(t, "/v1/jobs/j%2F..%2F1/kill", s.seen[0].URL.EscapedPath())
	require.Equal(t, "mine", s.seen[0].Header.Get("Idempotency-Key"))
	r, err = c.Kill(t.Context(), "j1", client.Kill{Reason: "it loops"})
	require.NoError(t, err)
	require.True(t, r.Stopped())
}

func TestKillAllSaysWhom(t *testing.T) {
	c, s := start(t, answer(202, `{"order":"o1","scope":{"kind":"fleet"},"stage":"accepted","tally":{"targeted":7}}`))
	no := false
	r, err := c.KillAll(t.Context(), client.KillAll{Reason: "r", Confirm: "prod", Freeze: &no})
	require.NoError(t, err)
	require.False(t, r.Stopped(), "accepted is not stopped")
	require.Equal(t, int64(7), r.Tally.Targeted)
	_, err = c.KillAll(t.Context(), client.KillAll{Owner: "acme", Reason: "r", Confirm: "prod"})
	require.NoError(t, err)
	require.JSONEq(t, `{"scope":"fleet","reason":"r","confirm":"prod","freeze":false}`, s.sent[0])
	require.JSONEq(t, `{"scope":"owner","owner":"acme","reason":"r","confirm":"prod"}`, s.sent[1])
}

func TestListsWalkTheirPages(t *testing.T) {
	c, s := start(t, answer(200, `{"jobs":[{"id":"a"},{"id":"b"}],"next":"n1"}`), answer(200, `{"jobs":[],"next":"n2"}`), answer(200, `{"jobs":[{"id":"c"}]}`))
	q := client.JobQuery{Owner: "acme", States: []client.State{client.Running, client.Killing}, Labels: map[string]string{"a": "b"}, PerPage: 2}
	var got []string
	for j, err := range c.Jobs(t.Context(), q) {
		require.NoError(t, err)
		got = append(got, j.ID)
	}
	require.Equal(t, []string{"a", "b", "c"}, got)
	require.Equal(t, "label=a%3Db&limit=2&owner=acme&state=running&state=killing", s.seen[0].URL.RawQuery)
	require.Equal(t, "n2", s.seen[2].URL.Query().Get("cursor"))

	c, s = start(t, answer(200, `{"entries":[{"n":2},{"n":1}],"next":"n1"}`))
	for e, err := range c.Audit(t.Context(), client.AuditQuery{Act: "kill"}) {
		require.NoError(t, err)
		require.Equal(t, uint64(2), e.N)
		break
	}
	require.Equal(t, 1, s.calls(), "who stops asking is asked for no more")

	c, _ = start(t, answer(200, `{"jobs":[{"id":"a"}],"next":"n1"}`), refusal(400, "urn:gavel:problem:bad-cursor", ""))
	var last error
	for _, err := range c.Jobs(t.Context(), client.JobQuery{}) {
		last = err
	}
	require.Error(t, last)
}

func stream(frames ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, f := range frames {
			_, _ = io.WriteString(w, f)
		}
		_ = http.NewResponseController(w).Flush()
	}
}

func frame(id, kind string) string {
	data, _ := json.Marshal(client.Event{Type: kind, Data: json.RawMessage(`{"n":1}`)})
	return "id: " + id + "\nevent: " + kind + "\ndata: " + string(data) + "\n\n"
}

func both(a, b http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { a(w, r); b(w, r) }
}

func collect(ctx context.Context, t *testing.T, c *client.Client, after string) (ids []string, err error) {
	t.Helper()
	for e, err := range c.Events(ctx, "j1", after) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, e.ID)
	}
	return ids, nil
}

// However the stream breaks, each event comes once and in order.
func TestEventsAreResumedWhereTheyBroke(t *testing.T) {
	c, s := start(t,
		both(stream("retry: 2000\n\n", ": beat\n\n", frame("1-0", "a"), frame("2-0", "b"), "id: 3-0\nda"), cut),
		cut, refusal(503, client.ErrRedisUnavailable, ""),
		stream(frame("3-0", "c")), // ended by the dispatcher, not by the job
		stream(frame("4-0", "job.killed"), frame("5-0", "never")))
	ids, err := collect(t.Context(), t, c, "")
	require.NoError(t, err)
	require.Equal(t, []string{"1-0", "2-0", "3-0", "4-0"}, ids)
	var resumed []string
	for _, r := range s.seen {
		resumed = append(resumed, r.Header.Get("Last-Event-ID"))
	}
	require.Equal(t, []string{"", "2-0", "2-0", "2-0", "3-0"}, resumed)
}

func TestEventsEndOnNoContentAndOnRefusal(t *testing.T) {
	c, s := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	ids, err := collect(t.Context(), t, c, "9-0")
	require.NoError(t, err)
	require.Empty(t, ids)
	require.Equal(t, "9-0", s.seen[0].Header.Get("Last-Event-ID"))

	c, s = start(t, refusal(404, client.ErrNotFound, ""))
	_, err = collect(t.Context(), t, c, "")
	require.ErrorIs(t, err, client.ErrNotFound)
	require.Equal(t, 1, s.calls())

	c, s = start(t, cut)
	_, err = collect(t.Context(), t, c, "")
	require.Error(t, err)
	require.Equal(t, 4, s.calls(), "what keeps failing is given up")

	c, _ = start(t, answer(200, `{}`))
	_, err = collect(t.Context(), t, c, "")
	require.ErrorContains(t, err, "no event stream")
}

func TestEventsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, _ := start(t, both(stream(frame("1-0", "a")), func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	n := 0
	for _, err := range c.Events(ctx, "j1", "") {
		n++
		if n == 1 {
			require.NoError(t, err)
			cancel()
			continue
		}
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, 2, n)
}

func TestWaitFollowsAJobToItsOutcome(t *testing.T) {
	c, s := start(t, stream(frame("1-0", "a")), stream(frame("2-0", "job.succeeded")),
		answer(200, `{"id":"j1","state":"running"}`), // a reader behind the event
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		answer(200, `{"id":"j1","state":"succeeded"}`))
	j, err := c.Wait(t.Context(), "j1")
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, j.State)
	require.Equal(t, "2-0", s.seen[3].Header.Get("Last-Event-ID"))
}

func TestABaseURLThatCannotWorkIsRefused(t *testing.T) {
	for _, base := range []string{"", "gavel.example", "ftp://x", "http://", "https://u:p@x", "https://x?y", "https://x#y", "http://[::1"} {
		_, err := client.New(base)
		require.Error(t, err, base)
		require.NotContains(t, err.Error(), "u:p@")
	}
	_, err := client.New("http://x", client.WithRetries(0, 0))
	require.Error(t, err)
	_, err = client.New("https://x/prefix/")
	require.NoError(t, err)
}

func TestATimeoutOfOneTryIsTriedAgain(t *testing.T) {
	s := &script{steps: []http.HandlerFunc{
		func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		answer(200, `{"id":"j1"}`),
	}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithHTTPClient(srv.Client()), client.WithRetries(2, 0), client.WithTimeout(50*time.Millisecond))
	require.NoError(t, err)
	_, err = c.Job(t.Context(), "j1")
	require.NoError(t, err)
}

func TestATranscriptIsReadToItsEndAndSaysWhenItIsNotWhole(t *testing.T) {
	c, s := start(t,
		answer(200, `{"calls":[{"id":"1-0","call":{"call":"a","reply":"x"}},{"id":"2-0","call":{"call":"b"}}],"next":"2-0"}`),
		answer(200, `{"calls":[{"id":"3-0","call":{"call":"c"}}],"shortened":true}`))
	var got []string
	var last error
	for e, err := range c.Transcript(t.Context(), "j1") {
		if last = err; err == nil {
			got = append(got, e.Call)
		}
	}
	require.Equal(t, []string{"a", "b", "c"}, got)
	require.ErrorIs(t, last, client.ErrTranscriptShortened)
	require.Equal(t, "2-0", s.seen[1].URL.Query().Get("after"))
	for range c.Transcript(t.Context(), "j1") {
		break // whoever has seen enough asks no more
	}
	require.Equal(t, 3, s.calls())
}
