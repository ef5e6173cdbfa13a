package client

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A beat is a sign of life: it keeps the stream open.
func TestAStreamThatBeatsIsKept(t *testing.T) {
	var streams atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		streams.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range 15 {
			<-tick.C
			_, _ = w.Write([]byte(": beat\n\n"))
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write([]byte("id: 1-0\ndata: {\"type\":\"job.failed\"}\n\n"))
	}))
	defer srv.Close()
	c, err := New(srv.URL, WithHTTPClient(srv.Client()), WithRetries(3, time.Millisecond))
	require.NoError(t, err)
	c.idle = 200 * time.Millisecond
	for _, err := range c.Events(t.Context(), "j1", "") {
		require.NoError(t, err)
	}
	require.Equal(t, int32(1), streams.Load())
}

// A stream that says nothing, not even that it is alive, is a dead link.
func TestASilentStreamIsOpenedAgain(t *testing.T) {
	var streams atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if streams.Add(1) == 1 {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte("id: 1-0\ndata: {\"type\":\"job.failed\"}\n\n"))
	}))
	defer srv.Close()
	c, err := New(srv.URL, WithHTTPClient(srv.Client()), WithRetries(3, time.Millisecond))
	require.NoError(t, err)
	c.idle = 30 * time.Millisecond
	for e, err := range c.Events(t.Context(), "j1", "") {
		require.NoError(t, err)
		require.Equal(t, "job.failed", e.Type)
	}
	require.Equal(t, int32(2), streams.Load())
}
