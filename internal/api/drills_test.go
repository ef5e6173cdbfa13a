package api

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/job"
)

func TestADrillIsWrittenDownMeasuredAndCounted(t *testing.T) {
	w := newWorld()
	srv := httptest.NewServer(open(t, w))
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithKey("admin"), client.WithRetries(1, 0))
	require.NoError(t, err)
	got, err := c.Drill(t.Context(), client.Drill{Reason: "weekly", Workers: 3, Canaries: []client.Drilled{
		{Scope: "job", Worker: "w1", Stopped: true, Took: 9000},
		{Scope: "job", Worker: "w2", Stopped: true, Took: 4000},
		{Scope: "selector", Worker: "w1", Stopped: true, Took: 5000},
	}})
	require.NoError(t, err)
	require.Equal(t, client.DrillResult{
		Passed: true, Canaries: 3, Stopped: 3, Workers: 3, Reached: 2, Slowest: "w1",
		Scopes: []client.DrillScope{{Scope: "job", Stopped: 2, P50: 4000, P99: 9000, Max: 9000}, {Scope: "selector", Stopped: 1, P50: 5000, P99: 5000, Max: 5000}},
	}, got)
	require.Len(t, w.drills, 1)
	require.Equal(t, "weekly", w.drills[0].Reason)
	require.Equal(t, []time.Duration{4 * time.Millisecond, 9 * time.Millisecond}, w.drills[0].Took(job.ScopeJob))
	require.Equal(t, 1, w.drilled)

	w.set(func() { w.fail = job.ErrUnavailable })
	_, err = c.Drill(t.Context(), client.Drill{Reason: "weekly", Workers: 1, Canaries: []client.Drilled{{Scope: "job", Worker: "w1"}}})
	require.ErrorIs(t, err, client.ErrRedisUnavailable)
	require.Equal(t, 1, w.drilled, "what is not in the audit is not in the metrics")
}

func TestABadDrillIsRefusedBeforeItIsWritten(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	for name, body := range map[string]string{
		"no reason":   `{"workers":1,"canaries":[{"scope":"job","worker":"w1","stopped":true}]}`,
		"no canaries": `{"reason":"r","workers":1,"canaries":[]}`,
		"no workers":  `{"reason":"r","workers":0,"canaries":[{"scope":"job","worker":"w1","stopped":true}]}`,
		"scope":       `{"reason":"r","workers":1,"canaries":[{"scope":"fleet","worker":"w1","stopped":true}]}`,
		"worker":      `{"reason":"r","workers":1,"canaries":[{"scope":"job","worker":"","stopped":true}]}`,
		"time":        `{"reason":"r","workers":1,"canaries":[{"scope":"job","worker":"w1","stopped":true,"took_us":-5}]}`,
		"for ever":    `{"reason":"r","workers":1,"canaries":[{"scope":"job","worker":"w1","stopped":true,"took_us":9000000000000000000}]}`,
	} {
		rec := call{method: "POST", path: "/v1/drills", body: body, as: "admin"}.on(d)
		require.Equal(t, typeInvalid, kind(t, rec), "%s: %s", name, rec.Body)
	}
	require.Empty(t, w.drills)
}
