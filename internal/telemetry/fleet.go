package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rtfm-si/gavel/internal/job"
)

// fleetCollector asks for the view of the fleet once per scrape. Every
// dispatcher tells the same: take the max over them.
type fleetCollector struct {
	view   func(context.Context) (job.Fleet, error)
	gauges []fleetGauge
}

// fleetGauge is one number of the view, with the states as label where it has
// one for each.
type fleetGauge struct {
	desc *prometheus.Desc
	of   func(job.Fleet) float64
	by   func(job.Fleet) map[job.State]int64
}

// silentAfter is from when on a worker counts as silent: two beats missed.
const silentAfter = 7 * time.Second

// scrapeWithin bounds the view of one scrape.
const scrapeWithin = 5 * time.Second

func fleetGauges() []fleetGauge {
	g := func(name, help string, of func(job.Fleet) float64) fleetGauge {
		return fleetGauge{desc: prometheus.NewDesc(name, help, nil, nil), of: of}
	}
	return []fleetGauge{
		{
			desc: prometheus.NewDesc("gavel_jobs", "Live jobs, by state; killing is those that an order waits for.", []string{"state"}, nil),
			by:   func(f job.Fleet) map[job.State]int64 { return f.Jobs },
		},
		g("gavel_runnable", "Jobs that wait for a worker and may start: 0 while frozen. Scale on this.", runnable),
		g("gavel_road_entries", "Entries on the road, dead ones that are not swept yet included.", func(f job.Fleet) float64 { return float64(f.Road) }),
		g("gavel_road_oldest_seconds", "How long the first entry on the road has waited.", func(f job.Fleet) float64 { return f.QueuedOldest.Seconds() }),
		g("gavel_frozen", "1 while the gate is frozen.", func(f job.Fleet) float64 { return float64(one(f.Gate.Frozen)) }),
		g("gavel_breaker_tripped", "1 while the breaker is tripped: the fleet burnt more than its limit.", func(f job.Fleet) float64 { return float64(one(f.Breaker.Tripped)) }),
		g("gavel_burn_usd_per_minute", "What counts against the breaker's limit: booked in the last 60 s, and reserved for calls in flight.", func(f job.Fleet) float64 { return float64(f.Breaker.Burn) / 1e6 }),
		g("gavel_authority_losses", "Partitions whose gate this dispatcher no longer trusts: Redis lost data.", func(f job.Fleet) float64 { return float64(len(f.Losses)) }),
		g("gavel_partitions_missing", "Partitions that this dispatcher cannot read: no other number of the fleet counts what they hold.", func(f job.Fleet) float64 { return float64(len(f.Missing)) }),
		g("gavel_orders_open", "Orders that are not quiesced.", func(f job.Fleet) float64 { return float64(len(f.OpenOrders)) }),
		g("gavel_waiting", "Jobs under an order that somebody may still hold.", func(f job.Fleet) float64 { return float64(f.Jobs[job.Killing]) }),
		g("gavel_deaf", "Killed jobs whose work does not return.", func(f job.Fleet) float64 { return sumOf(f, func(w job.WorkerView) int { return w.Deaf }) }),
		g("gavel_no_progress", "Running jobs without a sign of life for two minutes.", func(f job.Fleet) float64 { return float64(f.NoProgress) }),
		g("gavel_workers", "Workers on the table.", func(f job.Fleet) float64 { return float64(len(f.Workers) + f.Unlisted) }),
		g("gavel_workers_silent", "Workers whose beat stands still.", func(f job.Fleet) float64 {
			return sumOf(f, func(w job.WorkerView) int { return one(w.Silent > silentAfter) })
		}),
		g("gavel_checkpoint_stores_apart", "Workers that keep the states of jobs in another store than this dispatcher looks in.", func(f job.Fleet) float64 {
			return sumOf(f, func(w job.WorkerView) int { return one(w.Elsewhere) })
		}),
		g("gavel_slots", "Jobs that all workers may run at once.", func(f job.Fleet) float64 { return float64(f.Slots) }),
		g("gavel_leases", "Jobs that workers say they run.", func(f job.Fleet) float64 { return sumOf(f, func(w job.WorkerView) int { return w.Running }) }),
		g("gavel_control_lag_seconds", "The latest arrival of an order at a worker in the last five minutes.", func(f job.Fleet) float64 { return f.ControlLag.Seconds() }),
		g("gavel_redis_seconds", "One round trip from this dispatcher to Redis.", func(f job.Fleet) float64 { return f.RedisTook.Seconds() }),
		g("gavel_fleet_seen", "1 when Redis answered this scrape; the other numbers of the fleet are missing otherwise.", nil),
	}
}

func runnable(f job.Fleet) float64 {
	if f.Gate.Frozen {
		return 0
	}
	return float64(f.Jobs[job.Queued])
}

func sumOf(f job.Fleet, of func(job.WorkerView) int) float64 {
	n := 0
	for _, w := range f.Workers {
		n += of(w)
	}
	return float64(n)
}

// Describe implements [prometheus.Collector].
func (c *fleetCollector) Describe(out chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		out <- g.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *fleetCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin) //nolint:forbidigo // a scrape has no context
	defer cancel()
	f, err := c.view(ctx)
	tell := func(g fleetGauge, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, v, labels...)
	}
	for _, g := range c.gauges {
		switch {
		case g.of == nil && g.by == nil:
			tell(g, float64(one(err == nil)))
		case err != nil:
		case g.by != nil:
			states := g.by(f)
			for _, s := range append(job.States(), job.Killing) {
				if !s.Over() {
					tell(g, float64(states[s]), string(s))
				}
			}
		default:
			tell(g, g.of(f))
		}
	}
}
