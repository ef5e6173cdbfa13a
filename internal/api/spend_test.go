package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// What the console and scripts build on.
func TestSpendIsToldInTheseWords(t *testing.T) {
	w := newWorld()
	rec := call{method: "GET", path: "/v1/spend?by=label:batch", as: "operator"}.on(open(t, w))
	require.JSONEq(t, `{"at":"2026-11-23T12:00:00Z",
		"now":{"micro_usd_per_minute":600,"baseline_micro_usd_per_minute":9,"last_5m_micro_usd":3000,"today_micro_usd":5000,
			"reserved_micro_usd":61,"estimated_micro_usd":14},
		"window":{"cap_micro_usd":8000,"spent_micro_usd":5000,"reserved_micro_usd":61,"length_seconds":86400,"ends_at":"2026-11-24T00:00:00Z","seconds_to_cap":293.9},
		"breaker":{"mode":"freeze","limit_micro_usd_per_minute":500,"burn_micro_usd_per_minute":661,"tripped":true,"tripped_at":"2026-11-23T12:00:00Z","reason":"it burns"},
		"minutes":[{"at":"2026-11-23T12:00:00Z","micro_usd":600}],
		"by":"label:batch",
		"top":[{"name":"acme","micro_usd_per_minute":600,"last_5m_micro_usd":3000,"today_micro_usd":5000,"running":2}]}`, rec.Body.String())
	require.Equal(t, []job.SpendQuery{{By: "label", Label: "batch", Top: 20}}, w.spends)
}

func TestAnOwnerIsToldTheirOwnSpendAlone(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	rec := call{method: "GET", path: "/v1/spend?by=model", as: "owner"}.on(d)
	require.Equal(t, "owner", fieldsOf(t, rec)["by"])
	call{method: "GET", path: "/v1/spend?by=model&top=3", as: "operator"}.on(d)
	require.Equal(t, []job.SpendQuery{{Owner: "acme", By: "owner", Top: 20}, {By: "model", Top: 3}}, w.spends)
}

// What a deploy made dearer shows as its version's share.
func TestSpendByVersionIsThatOfTheWorkersThatRunIt(t *testing.T) {
	w := newWorld()
	w.workers = []job.WorkerView{{ID: "w2", Version: "v1"}, {ID: "w3", Version: "v2"}, {ID: "w4", Version: "v2"}}
	w.tops = []job.Spender{
		{Name: "w2", PerMinute: 1000, LastFive: 50, Today: 500, Running: 1},
		{Name: "w3", PerMinute: 900, LastFive: 40, Today: 40, Running: 2},
		{Name: "w4", PerMinute: 800, LastFive: 30, Today: 30, Running: 3},
	}
	rec := call{method: "GET", path: "/v1/spend?by=version&top=3", as: "operator"}.on(open(t, w))
	f := fieldsOf(t, rec)
	require.Equal(t, "version", f["by"])
	require.Equal(t, []any{
		map[string]any{"name": "v2", "micro_usd_per_minute": 1700.0, "last_5m_micro_usd": 70.0, "today_micro_usd": 70.0, "running": 5.0},
		map[string]any{"name": "v1", "micro_usd_per_minute": 1000.0, "last_5m_micro_usd": 50.0, "today_micro_usd": 500.0, "running": 1.0},
		map[string]any{"name": "(gone)", "micro_usd_per_minute": 600.0, "last_5m_micro_usd": 3000.0, "today_micro_usd": 5000.0, "running": 2.0},
	}, f["top"], "the dearest first, those of one version together, and no more than asked for")
	require.Equal(t, job.ByWorker, w.spends[0].By)
}

func TestSpendByNothingThatExistsIsRefused(t *testing.T) {
	for _, by := range []string{"colour", "label", "label:", "label:a%20b", "owner:acme"} {
		w := newWorld()
		rec := call{method: "GET", path: "/v1/spend?by=" + by, as: "operator"}.on(open(t, w))
		require.Equal(t, 422, rec.Code, "%s: %s", by, rec.Body)
		require.Empty(t, w.spends)
	}
}
