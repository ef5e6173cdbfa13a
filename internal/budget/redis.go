package budget

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// ErrNoCall is returned by [Redis.Settle] for a call of a job that is not there.
var ErrNoCall = errors.New("no such job's call")

// ErrNoPermit is returned for a permit of another act: a fault of the caller.
var ErrNoPermit = errors.New("budget: the permit is for another act")

// Redis books the money of a fleet. It is safe for concurrent use.
type Redis struct {
	run        rediskit.Runner
	partitions rediskit.Partitions
	scripts    map[string]*rediskit.Script
}

// NewRedis returns the books of a fleet.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions) (*Redis, error) {
	s, err := rediskit.LoadAll(scripts, "reserve", "settle", "tick", "set_budget", "readmit", "unhold", "breaker", "parking")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, partitions: ps, scripts: s}, nil
}

// Reserve asks for the worst case of one call. See the package for its errors.
func (b *Redis) Reserve(ctx context.Context, id job.ID, claim job.Claim, c job.Call) error {
	slot, err := b.partitions.SlotOf(id)
	if err != nil {
		return job.ErrFenced
	}
	if c.Max < 0 || c.ID == "" {
		return fmt.Errorf("reserve: call %q for %d micro-USD; want an id and no negative amount", c.ID, c.Max)
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := b.run.Run(cctx, b.scripts["reserve"], rediskit.Place{Slot: slot, Job: string(id)}, rediskit.Args{
		"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch,
		"call": c.ID, "model": c.Model, "max": int64(c.Max),
	})
	if err != nil {
		return rediskit.Unavailable(err)
	}
	switch reply.Word {
	case "reserved":
		return nil
	case "killed":
		return &job.Stop{Kind: job.StopKilled, Order: job.ID(reply.Str(0)), Actor: reply.Str(1), Reason: reply.Str(2)}
	case "budget":
		return &job.Park{Reason: "budget", Detail: shortage(reply, c.Max)}
	default:
		return job.ErrFenced
	}
}

// Settle books what a call cost. It needs no valid claim: money is a fact.
func (b *Redis) Settle(ctx context.Context, id job.ID, u job.Usage) error {
	slot, err := b.partitions.SlotOf(id)
	if err != nil {
		return ErrNoCall
	}
	if u.Cost < 0 {
		return fmt.Errorf("settle: call %q cost %d micro-USD; a cost is never negative", u.CallID, u.Cost)
	}
	estimated := "0"
	if u.Estimated {
		estimated = "1"
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := b.run.Run(cctx, b.scripts["settle"], rediskit.Place{Slot: slot, Job: string(id)}, rediskit.Args{
		"id": string(id), "call": u.CallID, "cost": int64(u.Cost), "estimated": estimated, "model": u.Model,
	})
	if err != nil {
		return rediskit.Unavailable(err)
	}
	if reply.Word == "unknown" {
		return fmt.Errorf("%w: %s", ErrNoCall, u.CallID)
	}
	return nil
}

// shortage says what a call did not fit.
func shortage(reply rediskit.Reply, asked job.MicroUSD) string {
	of := reply.Str(0)
	if of == "breaker" {
		return "the breaker parks what runs until the fleet is thawed"
	}
	text := fmt.Sprintf("the %s's budget: %s spent and %s reserved of %s; the next call may cost %s",
		of, job.MicroUSD(reply.Int(1)), job.MicroUSD(reply.Int(2)), job.MicroUSD(reply.Int(3)), asked)
	if of != "job" {
		text += "; the window ends at " + rediskit.Time(reply.Str(4)).Format(time.RFC3339)
	}
	return text
}

// Burn is what burns in one partition at a moment of the money's clock.
type Burn struct {
	At time.Time
	// PerMinute was booked in the last 60 s; Reserved is set aside for calls in
	// flight.
	PerMinute, Reserved job.MicroUSD
}

// Tick pushes a partition's clock on to now, and never back, keeps the settings
// there and tells the burn.
func (b *Redis) Tick(ctx context.Context, p int, now time.Time, s Settings) (Burn, error) {
	length := cmp.Or(s.Window, 24*time.Hour)
	own := "-"
	if p != home {
		if caps, err := b.capsOf(ctx, home, fleetCaps); err == nil { // else the clock goes on, and the next tick tries again
			own = caps
		}
	}
	reply, err := b.call(ctx, "tick", rediskit.Place{Slot: b.partitions.Slot(p)}, rediskit.Args{
		"now": rediskit.Micros(now), "length": length.Microseconds(), "cap": money(s.OwnerCap), "running": number(s.OwnerRunning),
		"fleet": money(s.FleetCap), "mode": s.mode(), "limit": money(s.limit()), "shares": b.partitions.Count, "own": own,
	})
	if err != nil {
		return Burn{}, err
	}
	at := reply.Int(0)
	burnt := newBurn(at)
	return Burn{
		At:        time.UnixMicro(at).UTC(),
		PerMinute: burnt.of(job.MicroUSD(reply.Int(1)), 0, 1) + burnt.of(job.MicroUSD(reply.Int(2)), 1, 1),
		Reserved:  job.MicroUSD(reply.Int(3)),
	}, nil
}

// How many parked jobs one call of readmit looks at, and how many it brings back
// at most: with four ticks a second some dozens a second, not all at once.
const (
	readmitLooks = 200
	readmitMost  = 10
)

// Readmit brings back jobs of a partition that a window or the breaker had
// parked, as far as there is room, and says where the next call goes on; "" and
// "0" are the start.
func (b *Redis) Readmit(ctx context.Context, p int, after string) (back int, next string, err error) {
	reply, err := b.call(ctx, "readmit", rediskit.Place{Slot: b.partitions.Slot(p)}, rediskit.Args{
		"after": cmp.Or(after, "0"), "limit": readmitLooks, "most": readmitMost,
	})
	if err != nil {
		return 0, after, err
	}
	return int(reply.Int(0)), reply.Str(1), nil
}

// How many owners one call of unhold looks at, and how many jobs it moves.
const (
	unholdOwners = 50
	unholdMost   = 100
)

// Unhold brings back jobs of a partition that waited behind their owner's cap of
// running jobs, as far as there is room.
func (b *Redis) Unhold(ctx context.Context, p int) (int, error) {
	reply, err := b.call(ctx, "unhold", rediskit.Place{Slot: b.partitions.Slot(p)}, rediskit.Args{"owners": unholdOwners, "most": unholdMost})
	return int(reply.Int(0)), err
}

// call runs a script with a deadline and wraps its errors.
func (b *Redis) call(ctx context.Context, script string, at rediskit.Place, args rediskit.Args) (rediskit.Reply, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := b.run.Run(cctx, b.scripts[script], at, args)
	return reply, rediskit.Unavailable(err)
}

// money writes an amount that may be none.
func money(m *job.MicroUSD) string {
	if m == nil {
		return ""
	}
	return strconv.FormatInt(int64(*m), 10)
}

func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// moneyIn reads a partition's clock, settings and breaker.
func (b *Redis) moneyIn(ctx context.Context, p int) (map[string]string, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	m, err := b.run.Client.HGetAll(cctx, b.partitions.Slot(p).Of("money")).Result()
	return m, rediskit.Unread(err)
}

// capsOf reads the limits of a name, as they were set, in one partition.
func (b *Redis) capsOf(ctx context.Context, p int, name string) (string, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	caps, err := b.run.Client.HGet(cctx, b.partitions.Slot(p).Of("caps"), name).Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return caps, rediskit.Unread(err)
}

// allCaps reads the limits that were set in one partition, by name.
func (b *Redis) allCaps(ctx context.Context, p int) (map[string]string, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	caps, err := b.run.Client.HGetAll(cctx, b.partitions.Slot(p).Of("caps")).Result()
	return caps, rediskit.Unread(err)
}

// usage reads how far the windows of some names ("owner:ann", "total") are used
// up, and how many of their jobs run and are held.
func (b *Redis) usage(ctx context.Context, p int, m map[string]string, names []string) ([]usage, error) {
	at, length := rediskit.Number(m["at"]), cmp.Or(rediskit.Number(m["length"]), day)
	slot := b.partitions.Slot(p)
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := b.run.Client.Pipeline()
	spent := pipe.HMGet(cctx, slot.Of("window", strconv.FormatInt(at-at%length, 10)), names...)
	set := pipe.HMGet(cctx, slot.Of("holding"), names...)
	var counters []string
	for _, name := range names {
		who := strings.TrimPrefix(strings.TrimPrefix(name, "total"), "owner:")
		counters = append(counters, strings.TrimSpace("running "+who), strings.TrimSpace("held "+who))
	}
	alive := pipe.HMGet(cctx, slot.Of("alive"), counters...)
	if _, err := pipe.Exec(cctx); err != nil {
		return nil, rediskit.Unread(err)
	}
	out, n := make([]usage, len(names)), rediskit.Texts(alive.Val())
	for i := range names {
		out[i] = usage{
			spent: amount(rediskit.Texts(spent.Val())[i]), reserved: amount(rediskit.Texts(set.Val())[i]),
			running: int(rediskit.Number(n[2*i])), held: int(rediskit.Number(n[2*i+1])),
		}
	}
	return out, nil
}

// mostLeases bounds how many running jobs a view looks at in one partition.
const mostLeases = 1000

// sheet reads what one partition has to say to a query.
func (b *Redis) sheet(ctx context.Context, p int, q job.SpendQuery) (sheet, error) {
	money, err := b.moneyIn(ctx, p)
	if err != nil {
		return sheet{}, err
	}
	s := sheet{at: rediskit.Number(money["at"]), owner: q.Owner, dim: q.By + ":", home: p == home, money: money}
	if q.By == job.ByLabel {
		s.dim += q.Label + "="
	}
	total, capsOf := "total", fleetCaps
	if q.Owner != "" {
		total, capsOf = "owner:"+q.Owner, q.Owner
	}
	slot, last := b.partitions.Slot(p), s.at/minute
	bucket := func(name string, n int64) string { return slot.Of(name, strconv.FormatInt(n, 10)) }
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := b.run.Client.Pipeline()
	minutes, recent := map[int64]*redis.StringCmd{}, map[int64]*redis.MapStringStringCmd{}
	for n := last - shown + 1; n <= last; n++ {
		minutes[n] = pipe.HGet(cctx, bucket("minute", n), total)
	}
	for n := last - 5; n <= last; n++ {
		recent[n] = pipe.HGetAll(cctx, bucket("minute", n))
	}
	length := cmp.Or(rediskit.Number(money["length"]), day)
	today, window := pipe.HGetAll(cctx, bucket("day", s.at/day)), pipe.HMGet(cctx, bucket("window", s.at-s.at%length), total)
	holding, caps := pipe.HMGet(cctx, slot.Of("holding"), total), pipe.HGet(cctx, slot.Of("caps"), capsOf)
	leases := pipe.ZRange(cctx, slot.Of("leases"), 0, mostLeases-1)
	if _, err := pipe.Exec(cctx); err != nil && !errors.Is(err, redis.Nil) {
		return sheet{}, rediskit.Unread(err)
	}
	s.minutes, s.recent, s.today, s.caps = map[int64]job.MicroUSD{}, map[int64]map[string]string{}, today.Val(), caps.Val()
	s.window, s.holding = named(total, window.Val()), named(total, holding.Val())
	for n, c := range minutes {
		s.minutes[n] = amount(c.Val())
	}
	for n, c := range recent {
		s.recent[n] = c.Val()
	}
	s.running, err = b.running(ctx, slot, leases.Val(), q)
	return s, err
}

func named(name string, v []any) map[string]string {
	return map[string]string{name: rediskit.Texts(v)[0]}
}

// running counts jobs by the names of a query's dimension.
func (b *Redis) running(ctx context.Context, slot rediskit.Slot, ids []string, q job.SpendQuery) (map[string]int, error) {
	n := map[string]int{}
	if q.By == job.ByModel || len(ids) == 0 {
		return n, nil
	}
	field := q.By
	if q.By == job.ByLabel {
		field = "labels"
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := b.run.Client.Pipeline()
	cmds := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		cmds[i] = pipe.HGet(cctx, slot.Of("job", id), field)
	}
	if _, err := pipe.Exec(cctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, rediskit.Unread(err)
	}
	for _, c := range cmds {
		name := c.Val()
		if q.By == job.ByLabel {
			var labels map[string]string
			_ = json.Unmarshal([]byte(name), &labels) // labels that are none have no value
			value, ok := labels[q.Label]
			if !ok {
				continue
			}
			name = q.Label + "=" + value
		}
		n[q.By+":"+name]++
	}
	return n, nil
}
