package control

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// Redis is the control plane's side of Redis. It is safe for concurrent use.
type Redis struct {
	run        rediskit.Runner
	partitions rediskit.Partitions
	scripts    map[string]*rediskit.Script
	presence   *presence // of workers
	samplers   *presence // of those who watch the beat and are no workers
	memory     *memory
	chunks     *chunks
	take       time.Duration // T
	log        *zap.Logger

	// Store says where this process keeps or looks for the states of jobs, so that
	// a view can say who keeps them elsewhere; nil says nothing.
	Store func() job.Store
}

// NewRedis returns the control plane of a fleet. take is T of the lease timing:
// how long a silent worker's job may stay under an order.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions, take time.Duration, log *zap.Logger) (*Redis, error) {
	s, err := rediskit.LoadAll(scripts, "order", "horizon", "gate", "sweep", "fence", "bury",
		"select", "scan", "preview", "block", "lift", "unbench", "begin", "adopt", "retire", "drill")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, partitions: ps, scripts: s, presence: newPresence(), samplers: newPresence(), memory: newMemory(), chunks: newChunks(), take: take, log: log}, nil
}

// call runs a script with a deadline and wraps its errors.
func (c *Redis) call(ctx context.Context, script string, at rediskit.Place, args rediskit.Args) (rediskit.Reply, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := c.gated(ctx, at, func() (rediskit.Reply, error) { return c.run.Run(cctx, c.scripts[script], at, args) })
	return reply, rediskit.Unavailable(err)
}

// gated makes a call, and makes it again behind a gate that had to be begun first.
func (c *Redis) gated(ctx context.Context, at rediskit.Place, call func() (rediskit.Reply, error)) (rediskit.Reply, error) {
	reply, err := call()
	if !rediskit.GateGone(err) {
		return reply, err
	}
	if begun := c.begin(ctx, at.Slot.Partition()); begun != nil {
		return reply, errors.Join(err, begun)
	}
	return call()
}

// again records an act as durably as was promised, and repeats it when its reply
// was lost: every script answers the retry of an act with the same success.
func (c *Redis) again(ctx context.Context, script string, at rediskit.Place, args rediskit.Args) (rediskit.Reply, error) {
	reply, err := c.keep(ctx, script, at, args)
	if err != nil && errors.Is(err, job.ErrOutcomeUnknown) && ctx.Err() == nil {
		return c.keep(ctx, script, at, args)
	}
	return reply, err
}

func (c *Redis) keep(ctx context.Context, script string, at rediskit.Place, args rediskit.Args) (rediskit.Reply, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := c.gated(ctx, at, func() (rediskit.Reply, error) { return c.run.Keep(cctx, c.scripts[script], at, args) })
	return reply, rediskit.Unavailable(err)
}

// OpenOrders lists the orders of a partition that are not quiesced there.
func (c *Redis) OpenOrders(ctx context.Context, p int) ([]job.ID, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	ids, err := c.run.Client.SMembers(cctx, c.partitions.Slot(p).Of("open_orders")).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	out := make([]job.ID, len(ids))
	for i, id := range ids {
		out[i] = job.ID(id)
	}
	return out, nil
}

// bury takes a worker off the table unless it has beaten since.
func (c *Redis) bury(ctx context.Context, p int, worker string, beat int64) error {
	_, err := c.call(ctx, "bury", rediskit.Place{Slot: c.partitions.Slot(p), Worker: worker},
		rediskit.Args{"worker": worker, "beat": beat})
	return err
}

// scopesIn reads what kind of order each id is in one partition.
func (c *Redis) scopesIn(ctx context.Context, p int, ids []job.ID) (map[job.ID]string, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := c.run.Client.Pipeline()
	cmds := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		cmds[i] = pipe.HGet(cctx, c.partitions.Slot(p).Of("order", string(id)), "scope")
	}
	if _, err := pipe.Exec(cctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, rediskit.Unread(err)
	}
	out := make(map[job.ID]string, len(ids))
	for i, cmd := range cmds {
		out[ids[i]] = cmd.Val()
	}
	return out, nil
}

// recent lists the last orders recorded in a partition, newest first.
func (c *Redis) recent(ctx context.Context, p, limit int) ([]job.ID, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	ids, err := c.run.Client.ZRevRange(cctx, c.partitions.Slot(p).Of("orders"), 0, int64(limit)-1).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	out := make([]job.ID, len(ids))
	for i, id := range ids {
		out[i] = job.ID(id)
	}
	return out, nil
}

// recordedBefore lists a chunk of a partition's orders that were recorded before
// a moment, oldest first, from a place in that list on.
func (c *Redis) recordedBefore(ctx context.Context, p int, before time.Time, from int64) ([]job.ID, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	zs, err := c.run.Client.ZRangeWithScores(cctx, c.partitions.Slot(p).Of("orders"), from, from+retireChunk-1).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	var out []job.ID
	for _, z := range zs {
		if int64(z.Score) > before.UnixMicro() {
			break
		}
		out = append(out, job.ID(fmt.Sprint(z.Member)))
	}
	return out, nil
}

// gateIn reads one partition's gate.
func (c *Redis) gateIn(ctx context.Context, p int) (map[string]string, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	g, err := c.run.Client.HGetAll(cctx, c.partitions.Slot(p).Of("gate")).Result()
	return g, rediskit.Unread(err)
}

// breaker reads what the fleet's first partition knows of the breaker.
func (c *Redis) breaker(ctx context.Context) (job.Breaker, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	m, err := c.run.Client.HGetAll(cctx, c.partitions.Slot(0).Of("money")).Result()
	return rediskit.Breaker(m), rediskit.Unread(err)
}

// sightIn looks at one partition's gate, for the memory of it.
func (c *Redis) sightIn(ctx context.Context, p int) (sight, error) {
	slot := c.partitions.Slot(p)
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := c.run.Client.Pipeline()
	g := pipe.HMGet(cctx, slot.Of("gate"), "number", "past", "adopted", "frozen", "reason", "incident", "actor", "rules", "rate", "interval", "rate_until")
	acts := pipe.Get(cctx, slot.Of("audit_n"))
	if _, err := pipe.Exec(cctx); err != nil && !errors.Is(err, redis.Nil) {
		return sight{}, rediskit.Unread(err)
	}
	v := rediskit.Texts(g.Val())
	rules, err := standingIn(v[7])
	if err != nil {
		return sight{}, fmt.Errorf("partition %d: %w", p, err)
	}
	s := sight{number: v[0], past: v[1], frozen: v[3] == "1", reason: v[4], incident: v[5], actor: v[6], pace: pace{v[8], v[9], rediskit.Time(v[10])}}
	s.acts, _ = strconv.ParseUint(acts.Val(), 10, 64)
	s.adopted, _ = strconv.ParseUint(v[2], 10, 64)
	for _, r := range rules {
		s.blocks = append(s.blocks, r.block())
	}
	return s, nil
}

// jobIn reads a record whole.
func (c *Redis) jobIn(ctx context.Context, id job.ID) (job.Job, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	f, err := c.run.Client.HGetAll(cctx, c.partitions.Slot(id.Partition()).Of("job", string(id))).Result()
	if err != nil {
		return job.Job{}, rediskit.Unread(err)
	}
	return job.FromFields(f)
}

// leasedIn lists up to limit running jobs of a partition, from the one of that
// rank on: the most silent first.
func (c *Redis) leasedIn(ctx context.Context, p, from, limit int) ([]leased, error) {
	slot := c.partitions.Slot(p)
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	ids, err := c.run.Client.ZRange(cctx, slot.Of("leases"), int64(from), int64(from+limit)-1).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	pipe := c.run.Client.Pipeline()
	cmds := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		cmds[i] = pipe.HMGet(cctx, slot.Of("job", id), "owner", "worker", "order", "seq")
	}
	if _, err := pipe.Exec(cctx); err != nil {
		return nil, rediskit.Unread(err)
	}
	out := make([]leased, len(ids))
	for i, cmd := range cmds {
		v := rediskit.Texts(cmd.Val())
		seq, _ := strconv.ParseUint(v[3], 10, 64)
		out[i] = leased{id: job.ID(ids[i]), owner: v[0], worker: v[1], order: v[2], seq: seq}
	}
	return out, nil
}

func (c *Redis) countsIn(ctx context.Context, p int) (counts, error) {
	slot := c.partitions.Slot(p)
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := c.run.Client.Pipeline()
	live, running := pipe.ZCard(cctx, slot.Of("live")), pipe.ZCard(cctx, slot.Of("leases"))
	road, later := pipe.XLen(cctx, slot.Of("road")), pipe.ZCard(cctx, slot.Of("later"))
	states := job.States()
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	alive := pipe.HMGet(cctx, slot.Of("alive"), names...)
	workers := pipe.ZCard(cctx, slot.Of("workers"))
	first := pipe.XRangeN(cctx, slot.Of("road"), "-", "+", 1) // no TIME: without a key it may go to a shard that is down
	if _, err := pipe.Exec(cctx); err != nil {
		return counts{}, rediskit.Unread(err)
	}
	n := counts{live: live.Val(), running: running.Val(), road: road.Val(), later: later.Val(), workers: workers.Val(), alive: byState(states, alive.Val())}
	if len(first.Val()) > 0 {
		ms, _ := splitID(first.Val()[0].ID)
		n.oldest = max(0, time.Since(time.UnixMilli(int64(ms)))) //nolint:gosec // a time of Redis's
	}
	return n, nil
}

// samplersIn lists who watches a partition's beat, each with the beat of its last
// tick.
func (c *Redis) samplersIn(ctx context.Context, p int) ([]workerRow, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	all, err := c.run.Client.HGetAll(cctx, c.partitions.Slot(p).Of("reapers")).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	out := make([]workerRow, 0, len(all))
	for id, row := range all {
		_, beat, _ := strings.Cut(row, " ")
		out = append(out, workerRow{id: id, beat: rediskit.Number(beat)})
	}
	return out, nil
}

// line is what one worker hears: the hints for all, and its own.
type line struct {
	*Redis
	worker string
}

// Line returns the [Line] of a worker. Blocking reads go through c's client.
func (c *Redis) Line(worker string) Line { return line{c, worker} }

func (l line) streams(p int) [2]string {
	slot := l.partitions.Slot(p)
	return [2]string{slot.Of("control"), slot.Of("hints", l.worker)}
}

// Tip implements [Line].
func (l line) Tip(ctx context.Context, p int) (at Cursor, err error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	for i, stream := range l.streams(p) {
		last, err := l.run.Client.XRevRangeN(cctx, stream, "+", "-", 1).Result()
		if err != nil {
			return Cursor{}, rediskit.Unread(err)
		}
		at[i] = start
		if len(last) > 0 {
			at[i] = last[0].ID
		}
	}
	return at, nil
}

// Hints implements [Line]: a blocking read of one second with a deadline of two.
func (l line) Hints(ctx context.Context, p int, after Cursor) ([]job.Hint, Cursor, error) {
	cctx, cancel := context.WithTimeout(ctx, rediskit.ReadDeadline)
	defer cancel()
	streams := l.streams(p)
	got, err := l.run.Client.XRead(cctx, &redis.XReadArgs{
		Streams: append(streams[:], after[:]...), Count: 1000, Block: rediskit.BlockFor,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, after, nil
	}
	if err != nil {
		return nil, after, rediskit.Unread(err)
	}
	var hints []job.Hint
	for _, s := range got {
		i := slices.Index(streams[:], s.Stream)
		for _, m := range s.Messages {
			hints = append(hints, hintFrom(p, m.Values))
			after[i] = m.ID
		}
	}
	return hints, after, nil
}

// How many workers of a partition are read: the longest silent, if there are more;
// and how many rows in one round trip.
const (
	maxListed   = 10_000
	rowsPerCall = 1_000
)

// workersIn reads the table of a partition, the longest silent first.
func (c *Redis) workersIn(ctx context.Context, p int) ([]workerRow, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	zs, err := c.run.Client.ZRangeWithScores(cctx, c.partitions.Slot(p).Of("workers"), 0, maxListed-1).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	out := make([]workerRow, len(zs))
	for i, z := range zs {
		out[i] = workerRow{id: fmt.Sprint(z.Member), beat: int64(z.Score)}
	}
	for from := 0; from < len(out); from += rowsPerCall {
		if err := c.fillRows(ctx, p, out[from:min(from+rowsPerCall, len(out))]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fillRows reads what workers say of themselves; nothing, for those that have
// left meanwhile.
func (c *Redis) fillRows(ctx context.Context, p int, rows []workerRow) error {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := c.run.Client.Pipeline()
	cmds := make([]*redis.StringCmd, len(rows))
	for i, r := range rows {
		cmds[i] = pipe.HGet(cctx, c.partitions.Slot(p).Of("worker", r.id), "row")
	}
	if _, err := pipe.Exec(cctx); err != nil && !errors.Is(err, redis.Nil) {
		return rediskit.Unread(err)
	}
	for i := range rows {
		rows[i].row = []byte(cmds[i].Val())
	}
	return nil
}

// workerIn is the row of one worker; empty, when it has left.
func (c *Redis) workerIn(ctx context.Context, p int, worker string) ([]byte, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	all, err := c.run.Client.HGetAll(cctx, c.partitions.Slot(p).Of("worker", worker)).Result()
	return []byte(all["row"]), rediskit.Unread(err)
}
