package client

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The fleet is watched over as many connections as it takes, trouble included.
func TestTheFleetIsWatchedOverBrokenStreams(t *testing.T) {
	var streams atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/fleet/events" {
			http.NotFound(w, r)
			return
		}
		n := streams.Add(1)
		if n == 2 {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, ": beat\n\nid: 1\nevent: fleet\ndata: {\"at\":\"2026-03-01T12:00:0%dZ\",\"fleet\":{\"name\":\"prod\",\"jobs\":{\"running\":%d}}}\n\n", n, n)
		if n == 3 {
			_, _ = fmt.Fprint(w, "id: 2\nevent: trouble\ndata: {\"type\":\"urn:gavel:problem:redis-unavailable\",\"status\":503,\"title\":\"Redis is away\"}\n\n")
			_, _ = fmt.Fprint(w, "id: 3\nevent: fleet\ndata: {\"fleet\":{\"name\":\"again\"}}\n\n")
		}
	}))
	defer srv.Close()
	c, err := New(srv.URL, WithHTTPClient(srv.Client()), WithRetries(3, time.Millisecond))
	require.NoError(t, err)
	var got []string
	for n, err := range c.WatchFleet(t.Context()) {
		require.NoError(t, err)
		switch {
		case n.Trouble != nil:
			require.ErrorIs(t, n.Trouble, ErrRedisUnavailable)
			got = append(got, "trouble")
		default:
			got = append(got, fmt.Sprint(n.Fleet.Name, " ", n.Fleet.Jobs[Running], " ", n.At.Second()))
		}
		if n.Fleet.Name == "again" {
			break
		}
	}
	require.Equal(t, []string{"prod 1 1", "prod 3 3", "trouble", "again 0 0"}, got)
}

func TestWatchingTheFleetEndsWithItsContextAndOnRefusal(t *testing.T) {
	status := http.StatusForbidden
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != http.StatusOK {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, `{"type":"urn:gavel:problem:forbidden","status":403}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "event: fleet\ndata: {\"fleet\":{\"name\":\"prod\"}}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	c, err := New(srv.URL, WithHTTPClient(srv.Client()), WithRetries(2, time.Millisecond))
	require.NoError(t, err)
	for _, err := range c.WatchFleet(t.Context()) {
		require.ErrorIs(t, err, ErrForbidden)
	}
	status = http.StatusOK
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for n, err := range c.WatchFleet(ctx) {
		if last = err; err == nil {
			require.Equal(t, "prod", n.Fleet.Name)
			cancel()
		}
	}
	require.ErrorIs(t, last, context.Canceled)
}
