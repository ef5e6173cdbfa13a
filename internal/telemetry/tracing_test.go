package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func env(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestTracesAreOffUntilTheyAreAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		vars map[string]string
		on   bool
	}{
		"nothing":                  {nil, false},
		"a name alone":             {map[string]string{"OTEL_SERVICE_NAME": "x"}, false},
		"none":                     {map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, false},
		"disabled":                 {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, false},
		"an endpoint":              {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, true},
		"an endpoint for traces":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, true},
		"the exporter":             {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		"gRPC":                     {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true},
		"a share, and a new trace": {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, true},
	} {
		tr, err := telemetry.NewTracing(t.Context(), telemetry.Process{Service: "test"}, env(c.vars), zap.NewNop())
		require.NoError(t, err, name)
		require.Equal(t, c.on, tr.On(), name)
		tr.Close(t.Context(), time.Second)
	}
}

func TestWhatTheSDKWouldPassOverIsRefused(t *testing.T) {
	for want, vars := range map[string]map[string]string{
		`OTEL_SDK_DISABLED is "yes"; want true or false`:              {"OTEL_SDK_DISABLED": "yes"},
		`OTEL_TRACES_EXPORTER is "jaeger"; want otlp or none`:         {"OTEL_TRACES_EXPORTER": "jaeger"},
		`OTEL_EXPORTER_OTLP_PROTOCOL is "http/json"; want`:            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
		`OTEL_TRACES_SAMPLER is "now_and_then"; want always_on`:       {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "now_and_then"},
		`OTEL_TRACES_SAMPLER_ARG is "NaN"; want a share from 0 to 1`:  {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "NaN"},
		`OTEL_TRACES_SAMPLER_ARG is "1.01"; want a share from 0 to 1`: {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.01"},
		`OTEL_TRACES_SAMPLER_ARG is "0,5"; want a share from 0 to 1`:  {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0,5"},
	} {
		_, err := telemetry.NewTracing(t.Context(), telemetry.Process{Service: "test"}, env(vars), zap.NewNop())
		require.ErrorContains(t, err, want)
	}
}

// on is a tracing that sends to nobody: the port is closed.
func on(t *testing.T) *telemetry.Tracing {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
	tr, err := telemetry.NewTracing(t.Context(), telemetry.Process{Service: "test"}, env(map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}), zap.NewNop())
	require.NoError(t, err)
	t.Cleanup(func() { tr.Close(context.WithoutCancel(t.Context()), 5*time.Second) })
	return tr
}

func asking(method string, traceparents ...string) *http.Request {
	r := httptest.NewRequest(method, "/v1/jobs", http.NoBody)
	r.Header["Traceparent"] = traceparents
	return r
}

// A caller's trace is gone on with when it is named once and well; anything else
// begins one, and breaks nothing.
func TestACallersTraceIsGoneOnWith(t *testing.T) {
	tr := on(t)
	r, over := tr.Request(asking("POST", good), "r1", time.Now())
	over("/v1/jobs", 202)
	ctx := r.Context()
	require.Contains(t, telemetry.Traceparent(ctx), "-4bf92f3577b34da6a3ce929d0e0e4736-")
	require.NotContains(t, telemetry.Traceparent(ctx), "00f067aa0ba902b7", "the span is our own")
	require.Len(t, telemetry.Fields(ctx), 2)

	for name, bad := range map[string][]string{
		"none": nil, "twice": {good, good}, "empty": {""}, "short": {"00-4bf92f3577b34da6-00f067aa0ba902b7-01"},
		"upper case": {strings.ToUpper(good)}, "zero trace": {"00-00000000000000000000000000000000-00f067aa0ba902b7-01"},
		"zero span": {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"}, "version ff": {"ff" + good[2:]},
		"more": {good + "-extra"}, "control": {good + "\x00"}, "huge": {strings.Repeat("00-", 1<<16)}, "words": {"drop table; --"},
	} {
		r, over := tr.Request(asking("POST", bad...), "r1", time.Now())
		over("/v1/jobs", 202)
		got := telemetry.Traceparent(r.Context())
		require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, got, name)
		require.NotContains(t, got, "4bf92f3577b34da6a3ce929d0e0e4736", name)
	}
}

// Whoever only looks has no span, unless its caller traces.
func TestALookIsNotTraced(t *testing.T) {
	tr := on(t)
	r, over := tr.Request(asking("GET"), "r1", time.Now())
	over("/v1/jobs", 200)
	require.Empty(t, telemetry.Traceparent(r.Context()))
	require.Nil(t, telemetry.Fields(r.Context()))
	r, over = tr.Request(asking("GET", good), "r1", time.Now())
	over("/v1/jobs", 200)
	require.NotEmpty(t, telemetry.Traceparent(r.Context()))
	require.NotEqual(t, good, telemetry.Traceparent(r.Context()))
}

// While nobody asked for traces nothing is made, and a caller's is passed on.
func TestOffPassesOn(t *testing.T) {
	tr, err := telemetry.NewTracing(t.Context(), telemetry.Process{}, env(nil), zap.NewNop())
	require.NoError(t, err)
	r, over := tr.Request(asking("POST", good), "r1", time.Now())
	over("/v1/jobs", 202)
	require.Equal(t, good, telemetry.Traceparent(r.Context()))
	ctx, end := telemetry.Begin(r.Context(), "order")
	require.Equal(t, good, telemetry.Traceparent(ctx))
	end(errors.New("x"))
	telemetry.ScriptSpan(ctx, "order", 0)(nil)
	telemetry.Note(ctx, "a", "b")
	telemetry.Link(ctx, "nonsense", "why")

	ctx, trail := tr.Run(t.Context(), job.Granted{Job: job.Job{Trace: good}}, time.Now())
	require.Equal(t, good, telemetry.Traceparent(ctx))
	require.Nil(t, trail)
	trail.Event("x")
	trail.Saved(job.Checkpoint{})
	trail.Reserved(job.Call{})
	trail.Settled(job.Usage{})
	trail.Ended("finish", "done", job.Ended{})

	r = asking("POST")
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, over = tr.Request(r, "r1", time.Time{}) }), 0.0)
	require.NotNil(t, over)
}

// A run's own span follows from job and grant, so that the next can point at it;
// without a caller's trace the trace follows from the job.
func TestTheRunsOfAJobFindEachOther(t *testing.T) {
	tr := on(t)
	run := func(j job.Job) string {
		ctx, trail := tr.Run(t.Context(), job.Granted{Job: j, Claim: job.Claim{Worker: "w"}}, time.Now())
		trail.Reserved(job.Call{ID: "c1", Model: "m"})
		trail.Reserved(job.Call{ID: "c1", Model: "m"})
		trail.Settled(job.Usage{CallID: "c1"})
		trail.Settled(job.Usage{CallID: "never reserved"})
		trail.Reserved(job.Call{ID: "c2", Model: "m"})
		trail.Ended("finish", "done", job.Ended{State: job.Succeeded})
		trail.Ended("finish", "done", job.Ended{State: job.Failed})
		trail.Reserved(job.Call{ID: "c3", Model: "m"})
		return telemetry.Traceparent(ctx)
	}
	first := run(job.Job{ID: "j1", Grants: 1})
	require.Equal(t, first, run(job.Job{ID: "j1", Grants: 1}))
	second := run(job.Job{ID: "j1", Grants: 2})
	require.Equal(t, first[:36], second[:36], "one trace")
	require.NotEqual(t, first, second)
	require.NotEqual(t, first[:36], run(job.Job{ID: "j2", Grants: 1})[:36])
	require.Equal(t, good[:36], run(job.Job{ID: "j1", Grants: 1, Trace: good})[:36])
	require.Equal(t, first[:36], run(job.Job{ID: "j1", Grants: 1, Trace: "nonsense"})[:36])
}

func TestSecretsAndWhatATerminalActsOnStayOutOfTheLog(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		var out bytes.Buffer
		log, _, err := telemetry.NewLogger(telemetry.Log{Level: "info", Format: format}, &out)
		require.NoError(t, err)
		key := "gvl_" + strings.Repeat("0af1", 16)
		log.Info("redis away", zap.Error(errors.New("parse redis://worker:hunter2@redis:6379/0: no")),
			zap.String("header", "Authorization: Bearer abc.def-ghi_jkl"), zap.Strings("keys", []string{key}), zap.String("model", "sk-proj-0123456789abcdef"),
			zap.String("actor", "a\nb\x1b[31m\u202e\u2028\u009b\x7f€"))
		text := out.String()
		for _, secret := range []string{"hunter2", "abc.def", key[8:], "0123456789abcdef"} {
			require.NotContains(t, text, secret)
		}
		require.Contains(t, text, "redis://[redacted]@redis:6379/0")
		require.Contains(t, text, "Bearer [redacted]")
		require.Contains(t, text, `a\nb\u001b[31m\u202e\u2028\u009b\u007f€`)
		require.Equal(t, 1, strings.Count(text, "\n"))
	}
	require.Equal(t, "https://example.org/a:b@c", telemetry.Redact("https://example.org/a:b@c"))
}
