package control

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// presence notes, on this process's own monotonic clock, since when each
// worker's beat has stood still. No clock of Redis or of the worker has a part.
type presence struct {
	mu   sync.Mutex
	seen map[int]map[string]sighting
}

type sighting struct {
	beat int64
	at   time.Time
}

func newPresence() *presence { return &presence{seen: map[int]map[string]sighting{}} }

// note takes what a partition's table says now, and returns since when each
// worker stood still.
func (pr *presence) note(p int, rows []workerRow, now time.Time) map[string]sighting {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	next := make(map[string]sighting, len(rows))
	for _, r := range rows {
		s, ok := pr.seen[p][r.id]
		if !ok || s.beat != r.beat {
			s = sighting{beat: r.beat, at: now}
		}
		next[r.id] = s
	}
	pr.seen[p] = next
	return next
}

// silent is how long a worker's beat has stood still; 0 for an unknown one.
func (pr *presence) silent(p int, worker string, now time.Time) time.Duration {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	s, ok := pr.seen[p][worker]
	if !ok {
		return 0
	}
	return now.Sub(s.at)
}

// row is what a worker writes of itself; lease writes it.
type row struct {
	Host    string `json:"host"`
	Version string `json:"version"`
	Slots   int    `json:"slots"`
	Running int    `json:"running"`
	Deaf    int    `json:"deaf"`
	// DeafJobs names some of the deaf.
	DeafJobs []job.ID `json:"deaf_jobs"`
	// NoProgress, Reclaimed and Lag are counted by the worker itself;
	// NoProgressJobs names those that are silent the longest.
	NoProgress     int      `json:"no_progress"`
	NoProgressJobs []job.ID `json:"no_progress_jobs"`
	Reclaimed      int64    `json:"reclaimed"`
	Lag            int64    `json:"lag"`
	Trust          int64    `json:"trust"`
	Lost           bool     `json:"lost"`
	Drain          bool     `json:"draining"`
	Started        int64    `json:"started"`
	At             int64    `json:"at"`
	Store          string   `json:"store"`
	Mark           string   `json:"store_mark"`
}

// View is the fleet as it is now. A worker takes from every partition, so it is
// told once, by the beat that is the least silent. What cannot be read is
// Missing, and in no number; it is an error only if nothing can.
func (c *Redis) View(ctx context.Context) (job.Fleet, error) {
	asked := time.Now()
	gate, err := c.State(ctx)
	if err != nil {
		return job.Fleet{}, err
	}
	f := job.Fleet{
		Durability: c.run.Durability.String(), Name: c.partitions.Fleet, Partitions: c.partitions.Count, Gate: gate, Jobs: map[job.State]int64{},
		Store: c.store().Place, Losses: c.Losses(), At: asked.UTC(), RedisTook: time.Since(asked),
	}
	if f.Breaker, err = c.breaker(ctx); err != nil && !slices.Contains(gate.Missing, 0) {
		return job.Fleet{}, err
	}
	seen := make([]part, c.partitions.Count)
	there := slices.DeleteFunc(c.partitions.All(), func(p int) bool { return slices.Contains(gate.Missing, p) })
	missing, err := c.each(there, func(p int) (err error) {
		seen[p], err = c.partIn(ctx, p)
		return err
	})
	if err != nil {
		return job.Fleet{}, err
	}
	f.Missing = slices.Sorted(slices.Values(slices.Concat(gate.Missing, missing)))
	workers := map[string]int{}
	for p, in := range seen {
		if !slices.Contains(f.Missing, p) {
			c.add(&f, p, in, workers)
		}
	}
	for _, w := range f.Workers {
		f.Slots += w.Slots
		f.NoProgress += w.NoProgress
		f.Reclaimed += w.Reclaimed
		f.ControlLag = max(f.ControlLag, w.ControlLag)
	}
	return f, nil
}

// part is what a view needs of one partition.
type part struct {
	counts counts
	open   []job.ID // orders that have their home here and are no blocks
	rows   []workerRow
}

func (c *Redis) partIn(ctx context.Context, p int) (in part, err error) {
	if in.counts, err = c.countsIn(ctx, p); err != nil {
		return in, err
	}
	open, err := c.OpenOrders(ctx, p)
	if err != nil {
		return in, err
	}
	scopes, err := c.scopesIn(ctx, p, open)
	if err != nil {
		return in, err
	}
	in.open = slices.DeleteFunc(open, func(id job.ID) bool { return id.Partition() != p || scopes[id] == scopeBlock })
	in.rows, err = c.workersIn(ctx, p)
	return in, err
}

// add puts a partition into the view; workers says where in it each one is.
func (c *Redis) add(f *job.Fleet, p int, in part, workers map[string]int) {
	n := in.counts
	for s, k := range n.alive {
		f.Jobs[s] += k
	}
	f.Jobs[job.Killing] += max(0, n.live-sum(n.alive))
	f.Road += n.road
	f.QueuedOldest = max(f.QueuedOldest, n.oldest)
	f.OpenOrders = append(f.OpenOrders, in.open...)
	f.Unlisted = max(f.Unlisted, int(n.workers)-maxListed)
	now := time.Now()
	seen := c.presence.note(p, in.rows, now)
	for _, r := range in.rows {
		v := r.view(now.Sub(seen[r.id].at), c.take, c.store())
		i, known := workers[r.id]
		if !known {
			workers[r.id] = len(f.Workers)
			f.Workers = append(f.Workers, v)
		} else if v.Silent < f.Workers[i].Silent {
			f.Workers[i] = v
		}
	}
}

func (r workerRow) view(silent, take time.Duration, own job.Store) job.WorkerView {
	var w row
	_ = json.Unmarshal(r.row, &w) // an unreadable row is shown as a bare id
	return job.WorkerView{
		ID: r.id, Host: w.Host, Version: w.Version, Slots: w.Slots, Running: w.Running, Deaf: w.Deaf, DeafJobs: w.DeafJobs,
		Draining: w.Drain, Lost: w.Lost, StartedAt: micros(w.Started), SeenAt: micros(w.At), Silent: silent,
		NoProgress: w.NoProgress, NoProgressJobs: w.NoProgressJobs, Reclaimed: w.Reclaimed, ControlLag: time.Duration(w.Lag) * time.Microsecond,
		TrustLeft: max(0, time.Duration(w.Trust)*time.Microsecond-silent), LeaseLeft: max(0, take-silent),
		Store: w.Store, Elsewhere: own.Other(job.Store{Place: w.Store, Mark: w.Mark}),
	}
}

// deafIn says which jobs the workers of a partition report to ignore their
// cancellation, and which worker does.
func (c *Redis) deafIn(ctx context.Context, p int) (map[job.ID]string, error) {
	rows, err := c.workersIn(ctx, p)
	if err != nil {
		return nil, err
	}
	deaf := map[job.ID]string{}
	for _, r := range rows {
		var w row
		_ = json.Unmarshal(r.row, &w) // an unreadable row reports nothing
		for _, id := range w.DeafJobs {
			deaf[id] = r.id
		}
	}
	return deaf, nil
}

func micros(us int64) time.Time {
	at, _ := job.Moment(us)
	return at
}

// byState reads counters in the order of their states; zeros are left out.
func byState(states []job.State, counters []any) map[job.State]int64 {
	out := map[job.State]int64{}
	for i, s := range states {
		if n := rediskit.Number(rediskit.Text(counters[i])); n != 0 {
			out[s] = n
		}
	}
	return out
}

func sum(m map[job.State]int64) int64 {
	var n int64
	for _, k := range m {
		n += k
	}
	return n
}

// counts is how many jobs live in each place of a partition.
type counts struct {
	live, running, road, later int64
	workers                    int64 // on the table
	alive                      map[job.State]int64
	oldest                     time.Duration // of what waits on the road: its stamp is Redis's, the clock ours
}

// workerRow is a worker as a partition's table has it.
type workerRow struct {
	id   string
	beat int64
	row  []byte
}

// store is where this process looks for the states of jobs.
func (c *Redis) store() job.Store {
	if c.Store == nil {
		return job.Store{}
	}
	return c.Store()
}
