package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
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

// raw sends bytes as they are and reads the answers that come back.
func raw(t *testing.T, base, text string) []*http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, _ = io.WriteString(conn, text) // a server that refuses may have hung up
	_ = conn.(*net.TCPConn).CloseWrite()
	var out []*http.Response
	r := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return out
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(strings.NewReader(string(body)))
		out = append(out, resp)
	}
}

const auth = "Host: x\r\nAuthorization: Bearer owner\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"

// Two readers of one connection could take these for different requests: each
// gets one answer, a refusal, and nothing behind it is run.
func TestNoRequestIsSmuggled(t *testing.T) {
	kill := "POST /v1/jobs/" + string(aliceJob) + "/kill HTTP/1.1\r\n"
	behind := kill + auth + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(goodKill)) + goodKill
	for name, c := range map[string]struct {
		text string
		code int
	}{
		"CL and TE":       {kill + auth + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + behind, 411},
		"chunked":         {kill + auth + "Transfer-Encoding: chunked\r\n\r\n13\r\n" + goodKill + "\r\n0\r\n\r\n" + behind, 411},
		"bare LF chunk":   {kill + auth + "Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n" + behind, 411},
		"chunk extension": {kill + auth + "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 4<<10) + "\r\n{}\r\n0\r\n\r\n" + behind, 411},
		"TE by halves":    {kill + auth + "Content-Length: 2\r\nTransfer-Encoding: xchunked\r\n\r\n{}" + behind, 501},
		"TE twice":        {kill + auth + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + behind, 501},
		"TE with a tab":   {kill + auth + "Content-Length: 2\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + behind, 411},
		"TE in HTTP/1.0":  {strings.Replace(kill, "1.1", "1.0", 1) + auth + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + behind, 400},
		"space in name":   {kill + auth + "Content-Length : 2\r\n\r\n{}" + behind, 400},
		"hex length":      {kill + auth + "Content-Length: 0x2\r\n\r\n{}" + behind, 400},
		"minus length":    {kill + auth + "Content-Length: -2\r\n\r\n{}" + behind, 400},
		"lengths in one":  {kill + auth + "Content-Length: 2, 2\r\n\r\n{}" + behind, 400},
		"NUL in a header": {kill + auth + "X: a\x00b\r\nContent-Length: 2\r\n\r\n{}" + behind, 400},
		"no host":         {kill + strings.Replace(auth, "Host: x\r\n", "", 1) + "Content-Length: 2\r\n\r\n{}" + behind, 400},
		"two credentials": {kill + auth + "Authorization: Bearer admin\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}" + behind, 400},
		"two lengths":     {kill + auth + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}" + behind, 400},
		"signed length":   {kill + auth + "Content-Length: +4\r\n\r\n{}" + behind, 400},
		"two hosts":       {kill + "Host: y\r\n" + auth + "Content-Length: 2\r\n\r\n{}", 400},
		"absolute target": {"GET http://evil/v1/fleet HTTP/1.1\r\n" + auth + "\r\n" + behind, 400},
		"GET with a body": {"GET /v1/fleet HTTP/1.1\r\n" + auth + "Content-Length: 2\r\n\r\n{}" + behind, 400},
		"huge headers":    {"GET /v1/fleet HTTP/1.1\r\n" + auth + "X: " + strings.Repeat("x", 16<<10) + "\r\n\r\n" + behind, 431},
		"bare path":       {"GET v1/fleet HTTP/1.1\r\n" + auth + "\r\n" + behind, 400},
		"asterisk":        {"OPTIONS * HTTP/1.1\r\n" + auth + "Connection: close\r\n\r\n", 200},
	} {
		w := newWorld()
		base, _ := serve(t, open(t, w))
		got := raw(t, base, c.text)
		require.NotEmpty(t, got, name)
		require.Equal(t, c.code, got[0].StatusCode, name)
		require.Len(t, got, 1, name)
		require.Empty(t, w.kills, name)
	}
}

func TestABodyCutShortIsRefused(t *testing.T) {
	w := newWorld()
	base, _ := serve(t, open(t, w))
	got := raw(t, base, "POST /v1/jobs HTTP/1.1\r\n"+auth+"Content-Length: 500\r\n\r\n"+goodSubmit)
	require.Len(t, got, 1)
	require.Equal(t, 400, got[0].StatusCode)
	require.Empty(t, w.submitted)
}

func TestTheServerHasItsLimits(t *testing.T) {
	srv := NewServer("127.0.0.1:0", open(t, newWorld()), nil)
	require.Equal(t, 5*time.Second, srv.ReadHeaderTimeout)
	require.Equal(t, 15*time.Second, srv.ReadTimeout)
	require.Equal(t, 60*time.Second, srv.IdleTimeout)
	require.Equal(t, 8<<10, srv.MaxHeaderBytes)
	require.Zero(t, srv.WriteTimeout, "the door sets one for each answer")
}

// The read timeout of the server is for reading: it must not end a stream, nor
// a kill that waits.
func TestAStreamOutlivesTheReadTimeout(t *testing.T) {
	w := newWorld()
	d := open(t, w, func(c *Config) { c.KeepAlive = 20 * time.Millisecond })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := NewServer("", d, d)
	srv.ReadTimeout = 60 * time.Millisecond
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	defer func() { _ = srv.Close(); <-done; http.DefaultClient.CloseIdleConnections() }()
	_, lines := follow(t, "http://"+l.Addr().String(), "owner", "")
	begun, beats := time.Now(), 0
	for time.Since(begun) < 200*time.Millisecond && lines.Scan() {
		if lines.Text() == ": beat" {
			beats++
		}
	}
	require.Greater(t, beats, 4)
}

// impatient is a connection to a server that waits less than the real one.
func impatient(t *testing.T, d *Door, less func(*http.Server)) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := NewServer("", d, d)
	less(srv)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestASlowBodyIsGivenUp(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	conn := impatient(t, d, func(srv *http.Server) { srv.ReadTimeout = 100 * time.Millisecond })
	_, err := io.WriteString(conn, "POST /v1/jobs HTTP/1.1\r\n"+auth+"Content-Length: 500\r\n\r\n{")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestTimeout, resp.StatusCode)
}

// Who sends headers a byte at a time is left when the time for all of them is up.
func TestSlowHeadersAreGivenUp(t *testing.T) {
	d := open(t, newWorld())
	conn := impatient(t, d, func(srv *http.Server) { srv.ReadHeaderTimeout = 100 * time.Millisecond })
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	_, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
	for n := 0; err == nil; n++ {
		require.Less(t, n, 500, "it is waited for")
		<-tick.C
		_, err = io.WriteString(conn, "x")
	}
}

// Whoever waits for the end of a kill and leaves keeps nothing of the door's.
func TestWhoLeavesWhileWaitingIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		still := w.receipts[anOrder]
		still.Verdict, still.Stage = job.Waiting, job.Accepted
		w.receipts[anOrder] = still
		d := open(t, w)
		ctx, leave := context.WithTimeout(t.Context(), 2*time.Second)
		defer leave()
		begun := time.Now()
		d.ServeHTTP(httptest.NewRecorder(), post("/v1/jobs/"+string(aliceJob)+"/kill", `{"reason":"it loops","wait_seconds":30}`).request().WithContext(ctx))
		require.Less(t, time.Since(begun), 3*time.Second)
		require.Len(t, w.kills, 1, "the kill stands")
	})
}
