package cmd_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/modelsim"
)

// otelcol is OpenTelemetry's own collector, built of its published modules.
var otelcol = flag.String("otelcol", "", "a collector with the receiver otlp and the exporter otlp_http, see make traces")

// through is how spans come to the collector that tells them: directly, or in one
// of OpenTelemetry's protocols through its own collector, which passes them on.
type through string

const (
	directly    through = ""
	throughHTTP through = "http/protobuf"
	throughGRPC through = "grpc"
)

// The traces again, sent to OpenTelemetry's own collector, in both protocols.
func TestARealCollectorTakesTheTraces(t *testing.T) {
	t.Parallel()
	if *otelcol == "" {
		t.Skip("no collector given; run make traces")
	}
	for _, way := range []through{throughHTTP, throughGRPC} {
		for name, tell := range map[string]func(*testing.T, through){
			"one trace": aDeliberationIsOneTrace, "handed back": aHandedBackJobStaysInItsTrace, "a kill": aKillIsATraceThatItsRunsPointAt,
		} {
			t.Run(string(way)+" "+name, func(t *testing.T) {
				t.Parallel()
				tell(t, way)
			})
		}
	}
}

// span is one that a collector was sent.
type span struct {
	Service, Name, Kind, Trace, ID, Parent, Status, Message string
	Start, End                                              uint64
	Attrs, About                                            map[string]string
	Events                                                  []struct {
		Name  string
		Attrs map[string]string
	}
	Links []struct {
		Trace, ID string
		Attrs     map[string]string
	}
}

func (s span) event(name string) bool {
	for _, e := range s.Events {
		if e.Name == name {
			return true
		}
	}
	return false
}

// traced is a fleet whose processes send their spans to a collector, a process of
// its own.
type traced struct {
	*fleet
	t    *testing.T
	url  string // of the collector
	vars []string
}

func newTraced(t *testing.T, partitions int, way through) *traced {
	t.Helper()
	f := newFleet(t, t.TempDir(), partitions)
	t.Cleanup(f.end)
	p, err := f.start("collector", "collector", nil)
	require.NoError(t, err)
	addr, err := p.logged(regexp.MustCompile(`^127\.`))
	require.NoError(t, err)
	c := &traced{fleet: f, t: t, url: "http://" + addr}
	c.vars = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.url, "OTEL_BSP_SCHEDULE_DELAY=50"}
	if way != directly {
		c.vars = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.between(way), "OTEL_EXPORTER_OTLP_PROTOCOL=" + string(way), "OTEL_BSP_SCHEDULE_DELAY=50"}
	}
	require.NoError(t, f.startDispatcher("dispatcher", unset, c.vars...))
	return c
}

// between starts OpenTelemetry's collector in front of ours, and returns where it
// takes spans.
func (c *traced) between(way through) string {
	c.t.Helper()
	addr, config := "127.0.0.1:"+freePort(c.t), filepath.Join(c.dir, "otelcol.yaml")
	kind, _, _ := strings.Cut(string(way), "/")
	require.NoError(c.t, os.WriteFile(config, fmt.Appendf(nil, `
receivers: {otlp: {protocols: {%s: {endpoint: %q}}}}
exporters: {otlp_http: {endpoint: %q}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}
`, kind, addr, c.url), 0o600))
	p, err := launch("otelcol", *otelcol, []string{"PATH=" + os.Getenv("PATH")}, "--config", "file:"+config)
	require.NoError(c.t, err)
	c.processes["otelcol"], c.order = p, append(c.order, "otelcol")
	_, err = p.logged(regexp.MustCompile("Everything is ready"))
	require.NoError(c.t, err)
	return "http://" + addr
}

func unset(string) string { return "" }

func (c *traced) worker(name string, more ...string) *process {
	c.t.Helper()
	require.NoError(c.t, c.startWorker(name, unset, append(slices.Clone(c.vars), more...)...))
	return c.processes[name]
}

// spans waits until those that the collector has are as they should be.
func (c *traced) spans(enough ...func(all []span) error) (all []span) {
	c.t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	require.NoError(c.t, eventually(func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/spans", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		all = nil
		if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
			return err
		}
		errs := []error{}
		for _, is := range enough {
			errs = append(errs, is(all))
		}
		return errors.Join(errs...)
	}))
	return all
}

// find are the spans of a name whose attributes have these values.
func find(all []span, name string, attrs ...string) (out []span) {
	for _, s := range all {
		fits := s.Name == name
		for i := 0; i < len(attrs); i += 2 {
			fits = fits && s.Attrs[attrs[i]] == attrs[i+1]
		}
		if fits {
			out = append(out, s)
		}
	}
	return out
}

// counted waits for so many spans of a name.
func counted(n int, name string, attrs ...string) func([]span) error {
	return func(all []span) error {
		if have := find(all, name, attrs...); len(have) != n {
			return fmt.Errorf("%d spans %s %v, want %d", len(have), name, attrs, n)
		}
		return nil
	}
}

// post asks the dispatcher as one of the people, in the traces of the caller.
func (c *traced) post(who, path, body string, traceparents ...string) map[string]any {
	c.t.Helper()
	return post(c.t, c.fleet, who, path, body, traceparents...)
}

func post(t *testing.T, f *fleet, who, path, body string, traceparents ...string) map[string]any {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.base+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+secretOf(who))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprint(time.Now().UnixNano()))
	req.Header["Traceparent"] = traceparents
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	out := map[string]any{}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&out))
	require.Less(t, resp.StatusCode, 300, "%v", out)
	return out
}

func (c *traced) submit(input string, traceparents ...string) string {
	c.t.Helper()
	return c.post("alice", "/v1/jobs", `{"kind":"canary","input":`+input+`}`, traceparents...)["id"].(string)
}

// becomes waits for a state of a job.
func (f *fleet) becomes(t *testing.T, id, state string) {
	t.Helper()
	require.NoError(t, eventually(func(ctx context.Context) error {
		j, err := f.as("alice").Job(ctx, id)
		if err == nil && string(j.State) != state {
			err = fmt.Errorf("%s is %s", id, j.State)
		}
		return err
	}))
}

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
	traceparent  = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// A deliberation from its caller's own span to its end is one trace, over two
// processes; nothing that anybody wrote is in it.
func TestADeliberationIsOneTrace(t *testing.T) {
	t.Parallel()
	aDeliberationIsOneTrace(t, directly)
}

func aDeliberationIsOneTrace(t *testing.T, way through) {
	t.Helper()
	c := newTraced(t, 1, way)
	sim, err := modelsim.New(modelsim.Config{Seed: 3})
	require.NoError(t, err)
	model := serve(t, sim.Handler())
	w := c.worker("w1", "GAVEL_MODEL_URL="+model+"/v1")
	const secret = "xyzzy-clandestine-bakery"
	id := c.post("alice", "/v1/jobs", `{"kind":"deliberation","labels":{"note":"`+secret+`-label"},"input":{"problem":"Should the `+secret+` open on Sundays?","max_rounds":1,"max_sub_problems":1}}`,
		traceparent)["id"].(string)
	c.becomes(t, id, "succeeded")

	all := c.spans(counted(1, "run", "gavel.job", id), counted(1, "POST /v1/jobs"), counted(1, "finish.lua"))
	request := find(all, "POST /v1/jobs")[0]
	require.Equal(t, [...]string{callersTrace, callersSpan, "gavel-dispatcher", "SPAN_KIND_SERVER"}, [...]string{request.Trace, request.Parent, request.Service, request.Kind})
	require.Equal(t, [...]string{id, "alice", "deliberation", "202"}, [...]string{request.Attrs["gavel.job"], request.Attrs["gavel.owner"], request.Attrs["gavel.kind"], request.Attrs["http.response.status_code"]})
	require.Equal(t, request.ID, find(all, "submit.lua")[0].Parent)
	require.Equal(t, c.name, request.About["gavel.fleet"])

	road, grant, run := find(all, "road")[0], find(all, "grant")[0], find(all, "run")[0]
	for _, s := range []span{road, grant, run} {
		require.Equal(t, [...]string{callersTrace, request.ID, "gavel-worker"}, [...]string{s.Trace, s.Parent, s.Service}, s.Name)
		require.Equal(t, [...]string{id, "alice", "w1"}, [...]string{s.Attrs["gavel.job"], s.Attrs["gavel.owner"], s.Attrs["gavel.worker"]})
	}
	require.Equal(t, "w1", run.About["service.instance.id"])
	record, err := c.as("alice").Job(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, record.CreatedAt.UnixMicro(), int64(road.Start/1000), "it waits from its submit on")
	require.Less(t, road.Start, road.End)
	require.Equal(t, [...]string{"STATUS_CODE_OK", "succeeded", "done", "finish"}, [...]string{run.Status, run.Attrs["gavel.state"], run.Attrs["gavel.cause"], run.Attrs["gavel.ended_by"]})
	require.Empty(t, run.Links)
	require.True(t, run.event("checkpoint"))
	require.True(t, run.event("decomposed"), "%v", run.Events)
	require.Equal(t, run.ID, find(all, "finish.lua")[0].Parent)
	calls := find(all, "call simulated")
	require.Len(t, calls, len(sim.Records(id)))
	for _, call := range calls {
		require.Equal(t, run.ID, call.Parent)
		require.NotEmpty(t, call.Attrs["gen_ai.usage.output_tokens"])
		require.Equal(t, "false", call.Attrs["gavel.estimated"])
	}

	line, err := w.logged(regexp.MustCompile(`"msg":"job started"`))
	require.NoError(t, err)
	require.Contains(t, line, `"trace_id":"`+callersTrace+`","span_id":"`+run.ID+`"`)

	raw, err := json.Marshal(all)
	require.NoError(t, err)
	for _, word := range []string{secret, "secret-of-", "Sundays"} {
		require.NotContains(t, string(raw), word)
	}
}

// Whoever hands a job back, the next run is in the same trace and points at the
// one before.
func TestAHandedBackJobStaysInItsTrace(t *testing.T) {
	t.Parallel()
	aHandedBackJobStaysInItsTrace(t, directly)
}

func aHandedBackJobStaysInItsTrace(t *testing.T, way through) {
	t.Helper()
	c := newTraced(t, 1, way)
	w1 := c.worker("w1")
	id := c.submit(`{"steps":40,"step_ms":50,"checkpoint":true}`)
	c.becomes(t, id, "running")
	require.NoError(t, w1.signal("TERM"))
	code, err := w1.exits()
	require.NoError(t, err)
	require.Zero(t, code)
	c.spans(counted(1, "run", "gavel.job", id)) // sent at the end
	w2 := c.worker("w2")
	c.becomes(t, id, "running")
	require.NoError(t, w2.signal("KILL"))
	c.worker("w3")
	c.becomes(t, id, "succeeded")

	all := c.spans(counted(2, "run", "gavel.job", id), counted(1, "release.lua"))
	runs := find(all, "run")
	first, third := runs[0], runs[1]
	require.Equal(t, [...]string{"1", "w1", "release", "draining", "queued"}, [...]string{first.Attrs["gavel.grant"], first.Attrs["gavel.worker"], first.Attrs["gavel.ended_by"], first.Attrs["gavel.cause"], first.Attrs["gavel.state"]})
	require.Equal(t, first.ID, find(all, "release.lua")[0].Parent)
	require.Equal(t, "3", third.Attrs["gavel.grant"], "the second died with its worker, and was never sent")
	require.Equal(t, [...]string{first.Trace, first.Parent}, [...]string{third.Trace, third.Parent})
	require.Len(t, third.Links, 1)
	require.Equal(t, [...]string{first.Trace, "the run before"}, [...]string{third.Links[0].Trace, third.Links[0].Attrs["gavel.link"]})
	require.NotEqual(t, first.ID, third.Links[0].ID, "it points at the second")
	roads := find(all, "road")
	require.GreaterOrEqual(t, len(roads), 2)

	again := c.submit(`{"steps":40,"step_ms":50,"checkpoint":true}`)
	c.becomes(t, again, "running")
	require.NoError(t, c.processes["w3"].signal("TERM"))
	c.worker("w4")
	c.becomes(t, again, "succeeded")
	all = c.spans(counted(2, "run", "gavel.job", again))
	runs = find(all, "run", "gavel.job", again)
	require.Equal(t, runs[0].ID, runs[1].Links[0].ID)
}

// A kill is a trace of its own, and each run that it ended points at it: of one
// job, and of a whole fleet in four partitions.
func TestAKillIsATraceThatItsRunsPointAt(t *testing.T) {
	t.Parallel()
	aKillIsATraceThatItsRunsPointAt(t, directly)
}

func aKillIsATraceThatItsRunsPointAt(t *testing.T, way through) {
	t.Helper()
	c := newTraced(t, 4, way)
	c.worker("w1", "GAVEL_SLOTS=8")
	const forever = `{"steps":1000,"step_ms":20,"checkpoint":true}`
	one, two, three := c.submit(forever, traceparent), c.submit(forever), c.submit(forever, "00-"+callersTrace+"-zzf067aa0ba902b7-01")
	four := c.submit(forever, traceparent, traceparent)
	for _, id := range []string{one, two, three, four} {
		c.becomes(t, id, "running")
	}
	const killers, killersSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	order := c.post("alice", "/v1/jobs/"+one+"/kill", `{"reason":"enough-of-it","wait_seconds":5}`, "00-"+killers+"-"+killersSpan+"-01")
	require.Equal(t, "stopped", order["verdict"])
	all := c.spans(counted(1, "run", "gavel.job", one), counted(1, "POST /v1/jobs/{id}/kill"))
	run, request := find(all, "run", "gavel.job", one)[0], find(all, "POST /v1/jobs/{id}/kill")[0]
	require.Equal(t, [...]string{killers, killersSpan}, [...]string{request.Trace, request.Parent})
	recorded := find(all, "order")[0]
	require.Equal(t, [...]string{request.ID, "job", order["order"].(string)}, [...]string{recorded.Parent, recorded.Attrs["gavel.scope"], recorded.Attrs["gavel.order"]})
	require.Equal(t, recorded.ID, find(all, "order.lua")[0].Parent)
	killedBy(t, run, recorded)
	require.Equal(t, callersTrace, run.Trace)

	require.Equal(t, "quiesced", c.post("adam", "/v1/kill-all", `{"scope":"fleet","reason":"all","wait_seconds":20,"confirm":"`+c.name+`","freeze":false}`)["stage"])
	all = c.spans(counted(4, "run"), counted(4, "horizon.lua"), counted(1, "POST /v1/kill-all"))
	whole := find(all, "order", "gavel.scope", "fleet")[0]
	var parts []string
	for _, s := range find(all, "horizon.lua") {
		require.Equal(t, whole.ID, s.Parent)
		parts = append(parts, s.Attrs["gavel.partition"])
	}
	require.ElementsMatch(t, []string{"0", "1", "2", "3"}, parts)
	traces := []string{callersTrace, whole.Trace, killers}
	for _, id := range []string{two, three, four} {
		run := find(all, "run", "gavel.job", id)[0]
		killedBy(t, run, whole)
		require.NotContains(t, traces, run.Trace, "what is no traceparent, or more than one, begins a trace")
		traces = append(traces, run.Trace)
	}
}

func killedBy(t *testing.T, run, order span) {
	t.Helper()
	require.Equal(t, [...]string{"STATUS_CODE_ERROR", "killed", "killed", "killed", order.Attrs["gavel.order"]},
		[...]string{run.Status, run.Message, run.Attrs["gavel.cause"], run.Attrs["gavel.state"], run.Attrs["gavel.order"]})
	require.True(t, run.event("kill.delivered"))
	require.Len(t, run.Links, 1)
	require.Equal(t, [...]string{order.Trace, order.ID, "the kill"}, [...]string{run.Links[0].Trace, run.Links[0].ID, run.Links[0].Attrs["gavel.link"]})
}

// A collector that takes connections and never answers, or is not there, costs
// nobody anything: neither a job, nor a kill, nor more than a second at the end.
func TestADeadCollectorCostsNothing(t *testing.T) {
	t.Parallel()
	hole, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = hole.Close() }) // its backlog takes them
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for name, vars := range map[string][]string{
		"never answers":           {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + hole.Addr().String()},
		"never answers over gRPC": {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + hole.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
		"is not there":            {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + closed.Addr().String(), "OTEL_EXPORTER_OTLP_TIMEOUT=200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, t.TempDir(), 1)
			t.Cleanup(f.end)
			vars = append(vars, "OTEL_BSP_SCHEDULE_DELAY=20", "OTEL_BSP_EXPORT_TIMEOUT=400")
			require.NoError(t, f.startDispatcher("dispatcher", unset, vars...))
			require.NoError(t, f.startWorker("w1", unset, vars...))
			c := &traced{fleet: f, t: t}
			c.becomes(t, c.submit(`{"steps":2,"step_ms":5}`), "succeeded")
			id := c.submit(`{"steps":1000,"step_ms":20}`)
			c.becomes(t, id, "running")
			require.Equal(t, "stopped", c.post("alice", "/v1/jobs/"+id+"/kill", `{"reason":"enough","wait_seconds":5}`)["verdict"])
			_, err := f.processes["w1"].logged(regexp.MustCompile(`"level":"warn".*"msg":"spans lost`))
			require.NoError(t, err)
			c.submit(`{"steps":1000,"step_ms":20}`)
			for _, name := range []string{"w1", "dispatcher"} {
				began := time.Now()
				require.NoError(t, f.processes[name].signal("TERM"))
				code, err := f.processes[name].exits()
				require.NoError(t, err)
				require.Zero(t, code)
				require.Less(t, time.Since(began), 4*time.Second, name)
				require.Equal(t, 1, strings.Count(f.processes[name].log.text(), "spans lost"), "it is said once in a while")
			}
		})
	}
}

// Nobody who did not ask for traces has any; what was asked for in a way that the
// SDK would pass over is refused.
func TestTracesAreAskedFor(t *testing.T) {
	t.Parallel()
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	require.NoError(t, f.startDispatcher("dispatcher", unset))
	require.NoError(t, f.startWorker("w1", unset))
	c := &traced{fleet: f, t: t}
	plain, carried := c.submit(`{"steps":1}`), c.submit(`{"steps":1}`, traceparent)
	c.becomes(t, plain, "succeeded")
	c.becomes(t, carried, "succeeded")
	look := f.ground.servers[0].Client(t)
	key := "{" + f.name + ":0}:job:"
	require.False(t, look.HExists(t.Context(), key+plain, "trace").Val())
	require.Equal(t, traceparent, look.HGet(t.Context(), key+carried, "trace").Val(), "who does not trace passes on")
	line, err := f.processes["w1"].logged(regexp.MustCompile(`"msg":"job started".*"job":"` + carried))
	require.NoError(t, err)
	require.Contains(t, line, callersTrace)
	require.NotContains(t, f.processes["w1"].log.text(), "spans are sent")

	for _, bad := range []string{
		"OTEL_TRACES_SAMPLER=sometimes", "OTEL_TRACES_EXPORTER=zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL=carrier-pigeon", "OTEL_SDK_DISABLED=perhaps",
	} {
		for _, binary := range []string{"dispatcher", "worker"} {
			p, err := launch("bad", filepath.Join(binaries, binary), f.environment(binary, unset, []string{bad, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}))
			require.NoError(t, err)
			code, err := p.exits()
			require.NoError(t, err)
			require.Equal(t, 1, code, bad)
			name, value, _ := strings.Cut(bad, "=")
			require.Regexp(t, name+` is "`+value+`"; want `, p.log.text())
		}
	}
}

// serve serves a handler for the length of a test.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return "http://" + ln.Addr().String()
}
