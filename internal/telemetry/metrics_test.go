package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

func get(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	require.Equal(t, http.StatusOK, rec.Code)
	body, err := io.ReadAll(rec.Body)
	require.NoError(t, err)
	return string(body)
}

func TestADispatcherTellsWhatTheFleetIs(t *testing.T) {
	fleet, fail := job.Fleet{
		Jobs: map[job.State]int64{job.Queued: 7, job.Killing: 2}, NoProgress: 3, QueuedOldest: 4 * time.Minute, Road: 9,
		Workers: []job.WorkerView{{ID: "w1", Running: 5, Deaf: 1, Silent: 38 * time.Second}, {ID: "w2", Running: 1, Elsewhere: true}},
	}, error(nil)
	m := NewDispatcherMetrics("v1", func(context.Context) (job.Fleet, error) { return fleet, fail })
	m.Answered("/v1/jobs/{id}/kill", "POST", 200, 30*time.Millisecond)
	m.Answered("", "PROPFIND", 404, 0)
	m.Quiesced(job.ScopeFleet, 200*time.Millisecond)
	m.Script("order", time.Millisecond, errors.New("gone"))
	m.Stored("get", time.Millisecond, nil)
	m.Stored("list", time.Second, errors.New("gone"))
	m.Swept(3)
	m.Reserved(2_500_000)
	text := get(t, m.Handler(), "/metrics")
	for _, line := range []string{
		`gavel_jobs{state="queued"} 7`, `gavel_jobs{state="killing"} 2`, `gavel_jobs{state="running"} 0`, "gavel_runnable 7",
		"gavel_road_entries 9", "gavel_road_oldest_seconds 240", "gavel_no_progress 3", "gavel_workers 2", "gavel_workers_silent 1",
		"gavel_leases 6", "gavel_deaf 1", "gavel_waiting 2", "gavel_frozen 0", "gavel_fleet_seen 1", "gavel_reserved_usd 2.5",
		`gavel_http_requests_total{method="POST",route="/v1/jobs/{id}/kill",status="200"} 1`,
		`gavel_http_requests_total{method="any",route="none",status="404"} 1`,
		`gavel_order_quiesced_seconds_bucket{scope="fleet",le="0.25"} 1`, `gavel_order_quiesced_seconds_bucket{scope="fleet",le="0.1"} 0`,
		`gavel_checkpoint_store_calls_total{call="get"} 1`, `gavel_checkpoint_store_errors_total{call="get"} 0`,
		`gavel_checkpoint_store_errors_total{call="list"} 1`, "gavel_checkpoint_orphans_total 3", "gavel_checkpoint_stores_apart 1",
		`gavel_redis_script_errors_total{script="order"} 1`, `gavel_build_info{version="v1"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
	fleet.Gate.Frozen = true
	text = get(t, m.Handler(), "/metrics")
	require.Contains(t, text, "gavel_runnable 0\n", "nothing may start while frozen: nothing to scale for")
	require.Contains(t, text, "gavel_frozen 1\n")
	fail = errors.New("redis is gone")
	text = get(t, m.Handler(), "/metrics")
	require.Contains(t, text, "gavel_fleet_seen 0\n")
	require.NotContains(t, text, "gavel_runnable ", "an unknown number is missing, not 0")
}

func TestAWorkerTellsHowItsClaimsEnd(t *testing.T) {
	m := NewWorkerMetrics("v1", func() WorkerState { return WorkerState{Slots: 8, Running: 3, NoProgress: 1, Trusted: true} })
	m.Granted(3)
	m.Ended("release", job.Queued, "draining")
	m.Refused()
	m.Killed(job.ScopeFleet, job.KillSteps{Delivered: 20 * time.Millisecond, Cancelled: 20 * time.Millisecond, Returned: 3 * time.Second})
	m.Killed("", job.KillSteps{})
	m.Reclaimed(job.Reclaimed{State: job.Queued})
	m.Settled(job.Usage{Model: "gpt", Cost: 2_500_000, Estimated: true})
	text := get(t, m.Handler(), "/metrics")
	for _, line := range []string{
		"gavel_jobs_granted_total 3", `gavel_claims_ended_total{cause="draining",how="release",state="queued"} 1`, "gavel_fenced_writes_total 1",
		`gavel_kill_seconds_bucket{scope="fleet",step="delivered",le="0.025"} 1`, `gavel_kill_seconds_bucket{scope="fleet",step="returned",le="2"} 0`,
		`gavel_kill_seconds_count{scope="missed",step="cancelled"} 1`, `gavel_jobs_reclaimed_total{to="queued"} 1`,
		`gavel_spent_usd_total{estimated="true",model="gpt"} 2.5`, `gavel_calls_settled_total{estimated="true",model="gpt"} 1`,
		"gavel_worker_slots 8", "gavel_worker_running 3", "gavel_worker_no_progress 1", "gavel_worker_trusted 1", "gavel_worker_draining 0",
	} {
		require.Contains(t, text, line+"\n")
	}
	reclaimed, lag := m.Recently(time.Minute)
	require.Equal(t, 1, reclaimed)
	require.Equal(t, 20*time.Millisecond, lag)
}

// What has no bound, jobs, owners, people, is no label, and what a program calls
// its models makes no more than so many.
func TestLabelsHaveABound(t *testing.T) {
	d := NewDispatcherMetrics("v1", func(context.Context) (job.Fleet, error) { return job.Fleet{Workers: []job.WorkerView{{ID: "w1"}}}, nil })
	d.Answered("/v1/jobs/{id}", "GET", 200, 0)
	d.Quiesced(job.ScopeOwner, 0)
	d.Tripped("park")
	d.Drilled(time.Now(), true, job.ScopeJob, []time.Duration{1})
	w := NewWorkerMetrics("v1", func() WorkerState { return WorkerState{} })
	w.Ended("finish", job.Killed, "killed")
	w.Killed(job.ScopeJob, job.KillSteps{})
	w.Reclaimed(job.Reclaimed{State: job.Queued})
	for i := range 1000 {
		w.Settled(job.Usage{Model: "model-" + strconv.Itoa(i), Cost: 1})
	}
	w.Script("order", 0, errors.New("gone"))
	known := []string{"state", "scope", "step", "route", "method", "status", "script", "how", "cause", "to", "model", "estimated", "mode", "call", "version"}
	for _, from := range []Metrics{d.Metrics, w.Metrics} {
		all, err := from.Gather().Gather()
		require.NoError(t, err)
		for _, family := range all {
			require.LessOrEqual(t, len(family.GetMetric()), maxNames+1, family.GetName())
			for _, m := range family.GetMetric() {
				for _, l := range m.GetLabel() {
					require.True(t, slices.Contains(known, l.GetName()) || !strings.HasPrefix(family.GetName(), "gavel_"), "%s has the label %s", family.GetName(), l.GetName())
				}
			}
		}
	}
	require.Contains(t, get(t, w.Handler(), "/metrics"), `gavel_calls_settled_total{estimated="false",model="other"} 936`)
}

func TestOperatorsChangeTheLogLevelAtRunTime(t *testing.T) {
	level := zap.NewAtomicLevelAt(zap.InfoLevel)
	mux := Private(http.NotFoundHandler(), &level)
	require.Contains(t, get(t, mux, "/log-level"), `"info"`)
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/log-level", strings.NewReader(`{"level":"debug"}`)))
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, zap.DebugLevel, level.Level())
	require.Contains(t, get(t, mux, "/debug/pprof/"), "goroutine")
}
