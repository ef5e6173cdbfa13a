package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rtfm-si/gavel/internal/job"
)

// Metrics is what every process counts. No label holds a job's, an owner's or a
// person's id: their number has no bound, and a metric is read by more people
// than a job.
type Metrics struct {
	registry *prometheus.Registry
	took     *prometheus.HistogramVec
	failed   *prometheus.CounterVec
	// of the store that keeps the states of jobs outside Redis
	stored, away *prometheus.CounterVec
}

func newMetrics(version string) Metrics {
	m := Metrics{
		registry: prometheus.NewRegistry(),
		took: histogram("gavel_redis_script_seconds", "How long a script took, from this process to Redis and back.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}, "script"),
		failed: counter("gavel_redis_script_errors_total", "Calls of a script that failed or were not answered.", "script"),
	}
	m.stored = counter("gavel_checkpoint_store_calls_total", "Calls of the store of states outside Redis that it answered.", "call")
	m.away = counter("gavel_checkpoint_store_errors_total", "Calls of the store of states outside Redis that failed or were not answered in time.", "call")
	for _, call := range []string{"put", "get", "remove", "list"} { // from 0 on, so that the first failure is a rise
		m.stored.WithLabelValues(call)
		m.away.WithLabelValues(call)
	}
	info := gauge("gavel_build_info", "Always 1; the version of this process.", "version")
	info.WithLabelValues(version).Set(1)
	m.registry.MustRegister(m.took, m.failed, m.stored, m.away, info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Script notes one call of a script; it fits rediskit.Clients.
func (m Metrics) Script(name string, took time.Duration, err error) {
	m.took.WithLabelValues(name).Observe(took.Seconds())
	if err != nil {
		m.failed.WithLabelValues(name).Inc()
	}
}

// Stored notes one call of the store of states outside Redis; it fits
// checkpoint.Outside.
func (m Metrics) Stored(call string, _ time.Duration, err error) {
	if err != nil {
		m.away.WithLabelValues(call).Inc()
		return
	}
	m.stored.WithLabelValues(call).Inc()
}

// Handler answers a scrape.
func (m Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// Gather is what a scrape would read.
func (m Metrics) Gather() prometheus.Gatherer { return m.registry }

// WorkerMetrics is what a worker counts.
type WorkerMetrics struct {
	Metrics
	granted, fenced              prometheus.Counter
	ended, reclaimed, calls, usd *prometheus.CounterVec
	kill                         *prometheus.HistogramVec
	lag                          Recent
	taken                        Recent
	models                       names
}

// WorkerState is what a worker is at this moment.
type WorkerState struct {
	Slots, Running, Deaf, NoProgress int
	Draining, Trusted                bool
}

// killBuckets are finest where the promises stand: 100 ms, 250 ms, H, S, T.
func killBuckets() []float64 {
	return []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 4, 10, 15, 30, 60}
}

// NewWorkerMetrics returns them; state is asked at each scrape.
func NewWorkerMetrics(version string, state func() WorkerState) *WorkerMetrics {
	m := &WorkerMetrics{
		Metrics:   newMetrics(version),
		granted:   plain("gavel_jobs_granted_total", "Jobs that this worker was given."),
		fenced:    plain("gavel_fenced_writes_total", "Writes that Redis refused because the claim was no longer valid."),
		ended:     counter("gavel_claims_ended_total", "Claims that this worker ended, by how (finish, retry, release, park), the state of the job after it and the cause.", "how", "state", "cause"),
		reclaimed: counter("gavel_jobs_reclaimed_total", "Jobs that this worker took back from silent ones, by where they went.", "to"),
		calls:     counter("gavel_calls_settled_total", "Paid calls that were booked.", "model", "estimated"),
		usd:       counter("gavel_spent_usd_total", "Dollars booked, as of this worker's calls.", "model", "estimated"),
		kill: histogram("gavel_kill_seconds", "From an order's record to each step of the kill of a job, on Redis's clock. The scope is missed when no hint arrived and a renewal told.",
			killBuckets(), "scope", "step"),
	}
	m.registry.MustRegister(m.granted, m.fenced, m.ended, m.reclaimed, m.calls, m.usd, m.kill)
	for name, say := range map[string]struct {
		help string
		of   func(WorkerState) int
	}{
		"gavel_worker_slots":       {"Jobs that this worker may run at once.", func(s WorkerState) int { return s.Slots }},
		"gavel_worker_running":     {"Jobs that it runs.", func(s WorkerState) int { return s.Running }},
		"gavel_worker_deaf":        {"Killed jobs whose work does not return.", func(s WorkerState) int { return s.Deaf }},
		"gavel_worker_no_progress": {"Running jobs without a sign of life for two minutes.", func(s WorkerState) int { return s.NoProgress }},
		"gavel_worker_draining":    {"1 while it drains.", func(s WorkerState) int { return one(s.Draining) }},
		"gavel_worker_trusted":     {"1 while every partition was renewed within the trust window.", func(s WorkerState) int { return one(s.Trusted) }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: say.help},
			func() float64 { return float64(say.of(state())) }))
	}
	return m
}

// Granted notes jobs that came from the road.
func (m *WorkerMetrics) Granted(n int) { m.granted.Add(float64(n)) }

// Ended notes how a claim ended.
func (m *WorkerMetrics) Ended(how string, s job.State, cause string) {
	m.ended.WithLabelValues(how, string(s), cause).Inc()
}

// Refused notes a write under a claim that is no longer valid.
func (m *WorkerMetrics) Refused() { m.fenced.Inc() }

// Killed notes how long a kill took.
func (m *WorkerMetrics) Killed(scope job.ScopeKind, k job.KillSteps) {
	if scope == "" {
		scope = "missed"
	}
	for step, d := range map[string]time.Duration{"delivered": k.Delivered, "cancelled": k.Cancelled, "returned": k.Returned} {
		m.kill.WithLabelValues(string(scope), step).Observe(d.Seconds())
	}
	m.lag.Add(k.Delivered)
}

// Reclaimed notes a job that was taken back.
func (m *WorkerMetrics) Reclaimed(r job.Reclaimed) {
	m.reclaimed.WithLabelValues(string(r.State)).Inc()
	m.taken.Add(0)
}

// Settled notes what a call cost.
func (m *WorkerMetrics) Settled(u job.Usage) {
	model, estimated := m.models.known(u.Model), strconv.FormatBool(u.Estimated)
	m.calls.WithLabelValues(model, estimated).Inc()
	m.usd.WithLabelValues(model, estimated).Add(float64(u.Cost) / 1e6)
}

// names are those that a label takes, the first so many; the rest are other. A
// program names its models itself.
type names struct {
	mu   sync.Mutex
	seen map[string]bool
}

const maxNames = 64

func (n *names) known(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = map[string]bool{}
	}
	if !n.seen[name] && len(n.seen) == maxNames {
		return "other"
	}
	n.seen[name] = true
	return name
}

// Recently is how many jobs were taken back, and how late the latest order
// arrived, within a time.
func (m *WorkerMetrics) Recently(within time.Duration) (reclaimed int, lag time.Duration) {
	reclaimed, _ = m.taken.Last(within)
	_, lag = m.lag.Last(within)
	return reclaimed, lag
}

// DispatcherMetrics is what a dispatcher counts.
type DispatcherMetrics struct {
	Metrics
	requests       *prometheus.CounterVec
	answered       *prometheus.HistogramVec
	stopped, drill *prometheus.HistogramVec
	drilled        prometheus.Gauge
	reserved       prometheus.Gauge
	trips          *prometheus.CounterVec
	orphans        prometheus.Counter
}

// NewDispatcherMetrics returns them; the fleet is looked at once per scrape.
func NewDispatcherMetrics(version string, view func(context.Context) (job.Fleet, error)) *DispatcherMetrics {
	m := &DispatcherMetrics{
		Metrics:  newMetrics(version),
		requests: counter("gavel_http_requests_total", "Requests answered, by route, method and status.", "route", "method", "status"),
		answered: histogram("gavel_http_request_seconds", "How long an answer took, streams included.",
			[]float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}, "route", "method"),
		stopped: histogram("gavel_order_quiesced_seconds", "From the request of an order to nobody holding authority over what it covers. The request is timed by a dispatcher's clock, the end by Redis's.",
			killBuckets(), "scope"),
		drill: histogram("gavel_drill_stopped_seconds", "From the request of a drill's kill to each canary having stopped, as the one who drilled saw it.",
			killBuckets(), "scope"),
		drilled: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gavel_drill_last_timestamp_seconds", Help: "When the last drill passed that this dispatcher knows of; 0 for never."}),
	}
	m.reserved = prometheus.NewGauge(prometheus.GaugeOpts{Name: "gavel_reserved_usd", Help: "Dollars set aside for calls in flight, as this dispatcher last saw all partitions."})
	m.orphans = plain("gavel_checkpoint_orphans_total", "States outside Redis that no record named, removed by this dispatcher.")
	m.trips = counter("gavel_breaker_trips_total", "Trips of the breaker that this dispatcher found first, by mode.", "mode")
	m.registry.MustRegister(m.reserved, m.orphans, m.trips, m.requests, m.answered, m.stopped, m.drill, m.drilled, &fleetCollector{view: view, gauges: fleetGauges()})
	return m
}

// Answered notes one request; the route is a pattern, never a path.
func (m *DispatcherMetrics) Answered(route, method string, status int, took time.Duration) {
	if route == "" {
		route, method = "none", "any" // or a scanner could make metrics of its own
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.answered.WithLabelValues(route, method).Observe(took.Seconds())
}

// Quiesced notes an order that is over.
func (m *DispatcherMetrics) Quiesced(scope job.ScopeKind, took time.Duration) {
	m.stopped.WithLabelValues(string(scope)).Observe(took.Seconds())
}

// Tripped notes a trip of the breaker.
func (m *DispatcherMetrics) Tripped(mode string) { m.trips.WithLabelValues(mode).Inc() }

// Reserved notes what is set aside for calls in flight.
func (m *DispatcherMetrics) Reserved(all job.MicroUSD) { m.reserved.Set(float64(all) / 1e6) }

// Swept notes states that no record named and that were removed.
func (m *DispatcherMetrics) Swept(n int) { m.orphans.Add(float64(n)) }

// Drilled notes a drill; took is empty for one that was found in the audit.
func (m *DispatcherMetrics) Drilled(at time.Time, passed bool, scope job.ScopeKind, took []time.Duration) {
	for _, d := range took {
		m.drill.WithLabelValues(string(scope)).Observe(d.Seconds())
	}
	if passed {
		m.drilled.Set(float64(at.UnixMilli()) / 1000)
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func plain(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}
