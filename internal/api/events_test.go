package api

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// serve runs the real server on a loopback port until the test ends.
func serve(t *testing.T, d *Door) (url string, srv *http.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv = NewServer("", d, d)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
		http.DefaultClient.CloseIdleConnections()
	})
	return "http://" + l.Addr().String(), srv
}

// follow opens an event stream and gives its lines.
func follow(t *testing.T, base, who, last string) (*http.Response, *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/jobs/"+string(aliceJob)+"/events", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+who)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp, bufio.NewScanner(resp.Body)
}

// ids reads the events' ids until n have come, or to the end for n < 0.
func ids(s *bufio.Scanner, n int) []string {
	var out []string
	for len(out) != n && s.Scan() {
		if id, ok := strings.CutPrefix(s.Text(), "id: "); ok {
			out = append(out, id)
		}
	}
	return out
}

func event(id, kind string) job.StreamEvent {
	return job.StreamEvent{ID: id, Type: kind, At: noon, Data: []byte(`{"n":1}`)}
}

func TestEventsFollowAJobToItsEnd(t *testing.T) {
	w := newWorld()
	w.events = []job.StreamEvent{event("1-0", "job.queued"), event("2-0", "round.started")}
	base, _ := serve(t, open(t, w))
	resp, lines := follow(t, base, "owner", "")
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	require.Equal(t, []string{"1-0", "2-0"}, ids(lines, 2))
	w.happen(event("3-0", "contribution"))
	require.Equal(t, []string{"3-0"}, ids(lines, 1))
	w.happen(event("4-0", "vote"), event("4-1", "job.killed"))
	require.Equal(t, []string{"4-0", "4-1"}, ids(lines, -1), "the stream ends after the terminal event")
	require.NoError(t, lines.Err())
}

func TestAnEventIsOneFrame(t *testing.T) {
	w := newWorld()
	e := event("1-0", "job.failed")
	e.Data = []byte("{\"text\":\"a\\nb\"}")
	w.events = []job.StreamEvent{e}
	rec := as(get("/v1/jobs/"+string(aliceJob)+"/events"), "owner").on(open(t, w))
	require.Equal(t, "retry: 2000\n\nid: 1-0\nevent: job.failed\n"+
		`data: {"type":"job.failed","at":"2026-11-23T12:00:00Z","data":{"text":"a\nb"}}`+"\n\n", rec.Body.String())
}

func TestEventsResumeAfterTheLastSeen(t *testing.T) {
	w := newWorld()
	w.events = []job.StreamEvent{event("1-0", "a"), event("2-0", "b"), event("3-0", "job.succeeded")}
	d := open(t, w)
	path := "/v1/jobs/" + string(aliceJob) + "/events"
	body := with(as(get(path), "owner"), "Last-Event-ID", "1-0").on(d).Body.String()
	require.NotContains(t, body, "id: 1-0")
	require.Contains(t, body, "id: 2-0")
	require.NotContains(t, as(get(path+"?after=2-0"), "owner").on(d).Body.String(), "id: 2-0")

	j := w.jobs[aliceJob]
	j.State = job.Succeeded
	w.jobs[aliceJob] = j
	rec := with(as(get(path), "owner"), "Last-Event-ID", "3-0").on(d)
	require.Equal(t, http.StatusNoContent, rec.Code, "an over job has nothing after its last event")
	require.Equal(t, http.StatusNoContent, with(as(get(path), "owner"), "Last-Event-ID", "18446744073709551615-18446744073709551615").on(d).Code)

	j.State, j.Unbooked = job.Killed, true
	w.set(func() { w.jobs[aliceJob] = j })
	time.AfterFunc(20*time.Millisecond, func() { w.set(func() { w.events = append(w.events, event("4-0", "job.killed")) }) })
	rec = with(as(get(path), "owner"), "Last-Event-ID", "3-0").on(d)
	require.Contains(t, rec.Body.String(), "id: 4-0", "the last event of a job that is dead and not booked yet is waited for")
}

func TestEventsForAdminsAreShownToAdminsOnly(t *testing.T) {
	for who, sees := range map[string]bool{"owner": false, "service": false, "operator": false, "admin": true, "break-glass": true} {
		w := newWorld()
		secret := event("1-0", "cost")
		secret.Audience = "admin"
		w.events = []job.StreamEvent{secret, event("2-0", "job.succeeded")}
		body := as(get("/v1/jobs/"+string(aliceJob)+"/events"), who).on(open(t, w)).Body.String()
		require.Equal(t, sees, strings.Contains(body, "cost"), who)
		require.Contains(t, body, "job.succeeded")
	}
}

func TestAnIdleStreamBeatsAndNoticesTheEnd(t *testing.T) {
	w := newWorld()
	w.events = []job.StreamEvent{event("1-0", "a")}
	base, _ := serve(t, open(t, w, func(c *Config) { c.KeepAlive = 10 * time.Millisecond }))
	_, lines := follow(t, base, "owner", "")
	beats := 0
	for beats < 3 && lines.Scan() {
		if lines.Text() == ": beat" {
			beats++
		}
	}
	require.Equal(t, 3, beats)
	w.set(func() { // its last event was trimmed away, or never written
		j := w.jobs[aliceJob]
		j.State = job.Killed
		w.jobs[aliceJob] = j
	})
	for lines.Scan() {
	}
	require.NoError(t, lines.Err(), "the stream ended by itself")
}

// A room that comes back empty before its time is asked again: the client hears
// a beat, and the record is read, once per heartbeat and no more often.
func TestABeatComesOncePerKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.events = []job.StreamEvent{event("1-0", "a")}
		d := open(t, w)
		rec := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.ServeHTTP(rec, as(get("/v1/jobs/"+string(aliceJob)+"/events"), "owner").request())
		}()
		<-time.After(40 * time.Second)
		d.CloseStreams()
		<-done
		require.Equal(t, 2, strings.Count(rec.Body.String(), ": beat"))
	})
}

func TestAStreamEndsAfterItsTime(t *testing.T) {
	w := newWorld()
	w.events = []job.StreamEvent{event("1-0", "a")}
	base, _ := serve(t, open(t, w, func(c *Config) { c.KeepAlive, c.StreamFor = 10*time.Millisecond, 50*time.Millisecond }))
	_, lines := follow(t, base, "owner", "")
	require.Equal(t, []string{"1-0"}, ids(lines, -1))
	require.NoError(t, lines.Err())
}

func TestAStreamEndsWhenRedisGoes(t *testing.T) {
	w := newWorld()
	w.events = []job.StreamEvent{event("1-0", "a")}
	base, _ := serve(t, open(t, w, func(c *Config) { c.KeepAlive = 10 * time.Millisecond }))
	_, lines := follow(t, base, "owner", "")
	require.Len(t, ids(lines, 1), 1)
	w.set(func() { w.fail = job.ErrUnavailable })
	require.Empty(t, ids(lines, -1))
}

// Shutdown does not wait for the streams' clients: it ends them.
func TestShutdownEndsTheStreams(t *testing.T) {
	w := newWorld()
	w.events = []job.StreamEvent{event("1-0", "a")}
	d := open(t, w)
	base, srv := serve(t, d)
	_, lines := follow(t, base, "owner", "")
	require.Len(t, ids(lines, 1), 1)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.NoError(t, srv.Shutdown(ctx))
	require.Empty(t, ids(lines, -1))
	d.CloseStreams()
}

// A panic in the middle of an answer cuts it off.
func TestAPanicInAStreamCutsItOff(t *testing.T) {
	w := newWorld()
	w.events = []job.StreamEvent{event("1-0", "a")}
	d := open(t, w, func(c *Config) { c.KeepAlive = 10 * time.Millisecond })
	srv := httptest.NewServer(d)
	defer srv.Close()
	_, lines := follow(t, srv.URL, "owner", "")
	require.Len(t, ids(lines, 1), 1)
	w.set(func() { w.panics = true })
	for lines.Scan() {
	}
	require.Error(t, lines.Err())
	http.DefaultClient.CloseIdleConnections()
}
