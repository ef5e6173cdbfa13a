package client_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
)

// said answers the first request with something, and every other with the end.
type said struct {
	status     int
	kind, body string
	asked      []*http.Request
}

func (s *said) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, r)
	if len(s.asked) > 1 {
		return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Header: http.Header{"Content-Type": {s.kind}},
		Body: io.NopCloser(strings.NewReader(s.body)), Request: r,
	}, nil
}

func asking(t *testing.T, s *said) *client.Client {
	t.Helper()
	c, err := client.New("http://fleet.example", client.WithKey("k"), client.WithRetries(2, time.Microsecond), client.WithHTTPClient(&http.Client{Transport: s}))
	require.NoError(t, err)
	return c
}

// Whatever comes is events in their order or an error, and who goes on does so
// behind the last event that was handed out.
func FuzzAnyStreamOfEventsIsReadOrRefused(f *testing.F) {
	for _, s := range []string{
		"id: 1-0\nevent: job.queued\ndata: {\"type\":\"job.queued\"}\n\nid: 2-0\ndata: {\"type\":\"job.killed\"}\n\n", ": beat\n\n", "data: {\n\n",
		"id: 1-0\ndata: {\"type\":\ndata: \"x\"}\n\n", "id:1-0\r\ndata:{}\r\n\r\n", "data: {}\n", "\n\n\n", "data: null\n\n", "retry: 5\ndata: {\"at\":7}\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		s := &said{status: http.StatusOK, kind: "text/event-stream", body: string(stream)}
		var last *client.Event
		for e, err := range asking(t, s).Events(t.Context(), "j", "0-7") {
			if err != nil {
				require.Equal(t, client.Event{}, e)
				break
			}
			require.True(t, last == nil || !last.Last(), "nothing follows the last event")
			require.True(t, e.ID == "" || bytes.Contains(stream, []byte(e.ID)))
			if len(e.Data) > 0 {
				require.True(t, json.Valid(e.Data))
			}
			last = &e
		}
		require.Equal(t, "0-7", s.asked[0].Header.Get("Last-Event-ID"))
		if len(s.asked) > 1 && last != nil {
			require.Equal(t, last.ID, s.asked[1].Header.Get("Last-Event-ID"))
		}
	})
}

// An answer that is none of ours, from a proxy or half of one, is an error that
// says so, and never a job.
func FuzzAnyAnswerIsAJobOrAnError(f *testing.F) {
	f.Add(uint16(200), "application/json", []byte(`{"id":"j","state":"running"}`))
	f.Add(uint16(404), "application/problem+json", []byte(`{"type":"urn:gavel:problem:not-found","title":"T","status":200}`))
	f.Add(uint16(502), "text/html", []byte(`<html>`))
	f.Add(uint16(200), "text/html", []byte(`<html>`))
	f.Add(uint16(200), "application/json", []byte(`{"id":7}`))
	f.Add(uint16(409), "application/problem+json", []byte(`{"errors":[{"location":5}]}`))
	f.Fuzz(func(t *testing.T, status uint16, kind string, body []byte) {
		if status < 200 || status > 599 || status >= 300 && status < 400 {
			return // net/http keeps those
		}
		s := &said{status: int(status), kind: kind, body: string(body)}
		j, err := asking(t, s).Job(t.Context(), "j")
		if err != nil {
			require.Equal(t, client.Job{}, j)
			require.NotEmpty(t, err.Error())
			return
		}
		if len(s.asked) == 1 && status != http.StatusNoContent {
			require.True(t, json.Valid(body), "%q was taken for a job", body)
		}
		require.True(t, status < 300 || len(s.asked) > 1)
	})
}
