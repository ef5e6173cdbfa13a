package control

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Sampler samples the beat of one partition, see package beat.
type Sampler interface {
	Tick(ctx context.Context) (ripe job.Ripe, ok bool, err error)
	Drop()
	Leave(ctx context.Context) error
}

// Clerk does what orders need after they were recorded: it completes them in
// every partition, goes on with the walks of selectors and of lifted blocks,
// books the verdicts behind horizons, fences what is silent, takes dead workers
// off the table and retires old orders. Every dispatcher runs one; all of it may
// be done by several at once.
type Clerk struct {
	Control *Redis
	// Samplers has one sampler for each partition.
	Samplers map[int]Sampler
	// Every is H; SweepEvery is how often open orders are looked at, 0 means
	// 100 ms.
	Every, SweepEvery time.Duration
	// BuryAfter is how long a worker, or another dispatcher, is silent before it
	// leaves the table; 0 means 5 min.
	BuryAfter time.Duration
	// Retention is how long an order that is over is kept, with its receipt; 0
	// means 30 days.
	Retention time.Duration
	// Quiesced is told of each order that nobody is waited for any more, with the
	// time since it was requested; nil for nobody.
	Quiesced func(scope job.ScopeKind, took time.Duration)
	Log      *zap.Logger
}

// Run works until ctx ends.
func (k Clerk) Run(ctx context.Context) {
	if k.SweepEvery == 0 {
		k.SweepEvery = 100 * time.Millisecond
	}
	if k.BuryAfter == 0 {
		k.BuryAfter = 5 * time.Minute
	}
	if k.Retention == 0 {
		k.Retention = 30 * 24 * time.Hour
	}
	var wg sync.WaitGroup
	for p, s := range k.Samplers {
		wg.Go(func() { clock.Every(ctx, k.Every, func() { k.fence(ctx, p, s) }) })
		wg.Go(func() { clock.Every(ctx, k.SweepEvery, func() { k.sweep(ctx, p) }) })
		wg.Go(func() { clock.Every(ctx, k.Every, func() { k.bury(ctx, p) }) })
		wg.Go(func() { clock.Every(ctx, time.Minute, func() { k.retire(ctx, p) }) })
	}
	wg.Wait()
	for _, s := range k.Samplers {
		if err := s.Leave(context.WithoutCancel(ctx)); err != nil {
			k.Log.Warn("sampler not taken off the table", zap.Error(err))
		}
	}
}

// fenceChunk is how many leases one fence looks at.
const fenceChunk = 100

// fence samples always, so that T has passed already when an order comes, and
// fences only while orders are open.
func (k Clerk) fence(ctx context.Context, p int, s Sampler) {
	ripe, ok, err := s.Tick(ctx)
	if err != nil || !ok {
		return
	}
	open, err := k.Control.OpenOrders(ctx, p)
	if err != nil || len(open) == 0 {
		return
	}
	fenced, same, err := k.Control.Fence(ctx, p, ripe, fenceChunk)
	if err != nil || !same {
		s.Drop()
		k.Log.Warn("fence refused; watching anew", zap.Int("partition", p), zap.Error(err))
		return
	}
	for _, f := range fenced {
		k.Log.Warn("job fenced", zap.String("job", string(f.ID)), zap.String("worker", f.Worker))
	}
}

// sweep completes and books every open order of a partition. It books also what
// it cannot complete: an order in force here does not wait for a partition that is
// away, and a partition that does not answer is asked once in a turn.
func (k Clerk) sweep(ctx context.Context, p int) {
	open, err := k.Control.OpenOrders(ctx, p)
	if err != nil {
		return // the next tick tries again; the gate holds meanwhile
	}
	away := false
	for _, id := range open {
		if err := k.Control.note(ctx, p, id); err != nil {
			continue // the next tick tries again
		}
		if k.Control.partitions.Count > 1 && !away {
			if err := k.Control.complete(ctx, p, id); err != nil {
				away = true
				k.Log.Warn("order not complete yet", zap.String("order", string(id)), zap.Error(err))
			}
		}
		k.book(ctx, p, id)
	}
}

// Sweep takes an open order one chunk further in one partition: a selector's
// walk, the jobs of a lifted block, or the verdicts behind a horizon. It returns
// more while there is something left to do at once; waiting, quiesced, done,
// standing or unknown when there is not. It lets go of an order that is over only
// when nobody has to complete it any more from there.
func (c *Redis) Sweep(ctx context.Context, p int, order job.ID) (string, error) {
	keep := ""
	if !c.everyone(p, order) {
		keep = "1"
	}
	reply, err := c.step(ctx, "sweep", p, order, rediskit.Args{"keep": keep})
	if err != nil || reply.Word != "waiting" {
		return reply.Word, err
	}
	switch reply.Str(0) {
	case "scan":
		if reply, err = c.step(ctx, "scan", p, order, nil); reply.Word == "done" {
			return "more", err // the walk is over; the next sweep says what is waited for
		}
	case "block":
		reply, err = c.step(ctx, "unbench", p, order, nil)
	}
	return reply.Word, err
}

// step calls one of the scripts that take an order a chunk further.
func (c *Redis) step(ctx context.Context, script string, p int, order job.ID, more rediskit.Args) (rediskit.Reply, error) {
	n := c.chunks.size(script)
	args := rediskit.Args{"id": string(order), "limit": n}
	maps.Copy(args, more)
	began := time.Now()
	reply, err := c.call(ctx, script, rediskit.Place{Slot: c.partitions.Slot(p), Order: string(order)}, args)
	if reply.Word == "more" {
		c.chunks.took(script, n, time.Since(began))
	}
	return reply, err
}

// bookFor is how long one order is booked before the next has its turn.
const bookFor = 300 * time.Millisecond

// book sweeps one order until there is nothing to book, or its turn is over. It
// rests for as long as each chunk took: half of Redis is for those who run jobs
// and confirm kills.
func (k Clerk) book(ctx context.Context, p int, id job.ID) {
	for end := time.Now().Add(bookFor); time.Now().Before(end); {
		began := time.Now()
		word, err := k.Control.Sweep(ctx, p, id)
		if err != nil {
			return
		}
		if word == "quiesced" {
			k.Log.Info("order quiesced", zap.String("order", string(id)), zap.Int("partition", p))
			k.tell(ctx, p, id)
		}
		if word != "more" || ctx.Err() != nil {
			return
		}
		rest(ctx, time.Since(began))
	}
}

// tell says how long an order took, at its home.
func (k Clerk) tell(ctx context.Context, p int, id job.ID) {
	if k.Quiesced == nil || id.Partition() != p {
		return
	}
	rec, err := k.Control.orderIn(ctx, p, id)
	if err != nil {
		return // a number less
	}
	o := rec.order
	end := rediskit.Number(o["quiesced_at"])
	from := min(rediskit.Number(o["requested"]), rediskit.Number(o["at"]))
	if end > from && from > 0 {
		k.Quiesced(job.ScopeKind(o["scope"]), time.Duration(end-from)*time.Microsecond)
	}
}

// bury takes off the tables who has been silent for very long: workers, and
// dispatchers among the beat samplers.
func (k Clerk) bury(ctx context.Context, p int) {
	rows, err := k.Control.workersIn(ctx, p)
	if err != nil {
		return
	}
	k.buryThese(ctx, p, k.Control.presence, rows)
	known := map[string]bool{}
	for _, r := range rows {
		known[r.id] = true // a worker's sampler goes with it
	}
	samplers, err := k.Control.samplersIn(ctx, p)
	if err != nil {
		return
	}
	k.buryThese(ctx, p, k.Control.samplers, slices.DeleteFunc(samplers, func(r workerRow) bool { return known[r.id] }))
}

func (k Clerk) buryThese(ctx context.Context, p int, presence *presence, rows []workerRow) {
	now := time.Now()
	seen := presence.note(p, rows, now)
	for _, r := range rows {
		if now.Sub(seen[r.id].at) < k.BuryAfter {
			continue
		}
		if err := k.Control.bury(ctx, p, r.id, r.beat); err == nil {
			k.Log.Warn("silent process taken off the table", zap.String("process", r.id), zap.Int("partition", p))
		}
	}
}

// Fence ends the jobs under an order whose leases are ripe, looking at limit of
// them per call until it has seen all. ok is false when the server is not the
// one that was watched.
func (c *Redis) Fence(ctx context.Context, p int, ripe job.Ripe, limit int) (fenced []job.Reclaimed, ok bool, err error) {
	for skip, looked := 0, limit; looked == limit; {
		reply, err := c.call(ctx, "fence", rediskit.Place{Slot: c.partitions.Slot(p)}, rediskit.Args{
			"reaper": ripe.Sampler, "nonce": ripe.Nonce, "run_id": ripe.RunID, "before": ripe.Before,
			"skip": skip, "limit": limit,
		})
		if err != nil || reply.Word == "other_server" {
			return fenced, false, err
		}
		looked = int(reply.Int(0))
		skip += looked
		for i := 1; i < len(reply.Rest); i++ {
			if v := rediskit.Texts(reply.List(i)); len(v) == 3 {
				fenced = append(fenced, job.Reclaimed{ID: job.ID(v[0]), Worker: v[1], State: job.Killed})
				skip--
			}
		}
	}
	return fenced, true, nil
}
