package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Authority keeps looking whether the gates still know what this process has
// seen of them. One that does not has lost data: the process then starts nothing
// that the gate would let it, until an admin adopts the gate.
type Authority struct {
	Control *Redis
	// Asserts: a dispatcher tells a gate that lost data the orders, blocks and
	// the freeze that it remembers. Workers may not write a gate.
	Asserts bool
	// Every is how often it looks; it looks at once when something was heard.
	Every time.Duration
	Log   *zap.Logger
}

// Run looks until ctx ends.
func (a Authority) Run(ctx context.Context) {
	tick := time.NewTicker(a.Every)
	defer tick.Stop()
	for {
		for _, p := range a.Control.partitions.All() {
			a.look(ctx, p)
		}
		select {
		case <-ctx.Done():
			return
		case <-a.Control.memory.soon:
		case <-tick.C:
		}
	}
}

func (a Authority) look(ctx context.Context, p int) {
	m := a.Control.memory
	head, acts := m.before(p)
	s, err := a.Control.sightIn(ctx, p)
	if err != nil {
		return // a gate that cannot be read lets nothing start either
	}
	switch m.look(p, head, acts, s, time.Now()) {
	case dataLost:
		a.Log.Error("authority lost: the gate does not know what this process has seen of it; nothing starts here until it is adopted (gavel fleet adopt)",
			zap.Int("partition", p), zap.String("seen", head), zap.String("found", s.number), zap.Uint64("acts_seen", acts), zap.Uint64("acts_found", s.acts))
	case gateAdopted:
		a.Log.Warn("authority restored: the gate was adopted", zap.Int("partition", p), zap.String("head", s.number))
	case nothingNew:
	}
	if !a.Asserts {
		return
	}
	if s.number == "" {
		if err := a.Control.begin(ctx, p); err != nil {
			a.Log.Debug("gate not begun", zap.Int("partition", p), zap.Error(err))
		}
	}
	a.assert(ctx, p, s)
}

// assert tells a gate that lost data what it should know. What fails is told at
// the next look.
func (a Authority) assert(ctx context.Context, p int, found sight) {
	owed, lost := a.Control.memory.owed(p)
	if !lost {
		return
	}
	said := 0
	tell := func(id job.ID, what func() error) {
		if err := what(); err != nil {
			a.Log.Warn("not asserted again yet", zap.Int("partition", p), zap.String("order", string(id)), zap.Error(err))
			return
		}
		a.Control.memory.told(p, id)
		said++
	}
	if f := owed.freeze; f != nil {
		tell("", func() error { return a.Control.freezeAgain(ctx, p, *f) })
	}
	if owed.pace.rate != "" && found.number != "" {
		tell(paceSaid, func() error { return a.Control.paceAgain(ctx, p, owed.pace, found) })
	}
	for _, b := range owed.blocks {
		tell(b.ID, func() error { return a.Control.blockAgain(ctx, p, b) })
	}
	for _, o := range owed.orders {
		tell(o.order.ID, func() error { return a.Control.orderAgain(ctx, p, o) })
	}
	if said > 0 {
		a.Log.Warn("authority asserted again", zap.Int("partition", p), zap.Int("orders", said))
	}
}

// Losses lists the partitions whose gate lost what this process has seen of it.
// While there are any, nothing may be admitted, granted or thawed here.
func (c *Redis) Losses() []job.Loss { return c.memory.losses() }

// Lost reports whether a partition is among [Redis.Losses].
func (c *Redis) Lost(p int) bool {
	for _, l := range c.memory.losses() {
		if l.Partition == p {
			return true
		}
	}
	return false
}

// Seen is the last head that this process saw of a partition's gate. Scripts
// that let something start refuse when the gate does not know it.
func (c *Redis) Seen(p int) string { return c.memory.head(p) }

// Heard notes what came over the control stream: the gate may have changed.
func (c *Redis) Heard(h job.Hint) {
	if h.Gap || h.Order.Scope.Kind != job.ScopeJob {
		c.memory.lookSoon()
	}
}

// Adopt declares the present gates to be the truth: every process that had
// frozen itself because data were lost goes on. It thaws nothing and lifts
// nothing that was asserted again; what other processes remember of orders and
// blocks, and had not said yet, they say to the adopted gate. Sent again with the same key it is the same
// act.
func (c *Redis) Adopt(ctx context.Context, p access.Permit, reason, key string) (job.Gate, error) {
	if !p.Allows(access.Adopt) {
		return job.Gate{}, ErrNoPermit
	}
	mark := rand.Text()
	if key != "" {
		mark = "adopt-" + digest(p.Actor().Subject, key)
	}
	for _, part := range c.partitions.All() {
		Authority{Control: c, Asserts: true, Log: c.log}.look(ctx, part) // what is remembered here comes before it
		_, err := c.again(ctx, "adopt", rediskit.Place{Slot: c.partitions.Slot(part)}, rediskit.Args{
			"stamp": strconv.FormatUint(c.memory.stamp(part, time.Now()), 10), "actor": p.Actor().Subject,
			"reason": reason, "mark": mark, "who": p.Who(),
		})
		if err != nil {
			return job.Gate{}, fmt.Errorf("adopt partition %d: %w", part, err)
		}
	}
	c.memory.lookSoon()
	return c.State(ctx)
}

// begin gives a gate that is not there its first head, and the rules of the orders
// that are open, if it was lost.
func (c *Redis) begin(ctx context.Context, p int) error {
	reply, err := c.again(ctx, "begin", rediskit.Place{Slot: c.partitions.Slot(p)}, rediskit.Args{"mark": rand.Text()})
	if err != nil {
		return err
	}
	c.memory.saw(p, reply.Str(0))
	if n := reply.Int(1); n > 0 {
		c.log.Warn("the gate was gone; begun again with the rules of the orders that are open", zap.Int("partition", p), zap.Int64("orders", n))
	}
	c.memory.lookSoon()
	return nil
}

// keeper is who asserts what was lost, as the audit has it.
func keeper(what string) []byte {
	return access.Actor{Subject: "system:memory", Credential: access.Credential{Kind: "system", ID: what}}.Who()
}

func (c *Redis) freezeAgain(ctx context.Context, p int, s sight) error {
	reply, err := c.again(ctx, "gate", rediskit.Place{Slot: c.partitions.Slot(p)}, rediskit.Args{
		"act": "freeze", "seen": "", "actor": s.actor, "reason": s.reason, "incident": s.incident,
		"mark": rand.Text(), "who": keeper("freeze"), "rate": "", "interval": "", "seconds": "",
	})
	if err == nil {
		c.memory.saw(p, reply.Str(0))
	}
	return err
}

// paceAgain lets no more start, once the gate is adopted, than was said when it
// was thawed. A gate that is closed stays closed, and one that somebody has just
// changed is looked at again: only the head that was found is told.
func (c *Redis) paceAgain(ctx context.Context, p int, was pace, found sight) error {
	seconds := ""
	if !was.until.IsZero() {
		left := time.Until(was.until)
		if left <= 0 {
			return nil
		}
		seconds = strconv.FormatInt(int64(math.Ceil(left.Seconds())), 10)
	}
	if found.frozen || found.pace.rate == was.rate {
		return nil
	}
	reply, err := c.again(ctx, "gate", rediskit.Place{Slot: c.partitions.Slot(p)}, rediskit.Args{
		"act": "thaw", "seen": found.number, "actor": "system:memory", "reason": "a rate that was lost is in force again", "incident": "",
		"mark": rand.Text(), "who": keeper("rate"), "rate": was.rate, "interval": was.interval, "seconds": seconds,
	})
	switch {
	case err != nil:
		return err
	case reply.Word == "stale":
		return errStale
	}
	c.memory.saw(p, reply.Str(0))
	return nil
}

func (c *Redis) blockAgain(ctx context.Context, p int, b job.Block) error {
	_, err := c.blockIn(ctx, p, b, keeper("block"))
	return err
}

// orderAgain asserts one order: with its id, its time, and where it has one its
// horizon. It closes no gate: whether that was thawed since is the gate's to
// know, and [Redis.freezeAgain]'s.
func (c *Redis) orderAgain(ctx context.Context, p int, s standingOrder) error {
	o := s.order
	switch o.Scope.Kind {
	case job.ScopeJob:
		_, err := c.again(ctx, "order", onOrder(c.partitions.Slot(p), o.ID), rediskit.Args{
			"id": string(o.ID), "job": string(o.Scope.Job), "must_own": "", "must_have_submitted": "", "actor": o.Actor,
			"reason": o.Reason, "incident": o.Incident, "requested": rediskit.Micros(o.RequestedAt), "who": s.who, "at": s.at,
			"allow_resume": yes(o.AllowResume), "trace": o.Trace,
		})
		return err
	case job.ScopeSelector:
		_, err := c.selectAt(ctx, p, o, s)
		return err
	default:
		o.Freeze = false
		return c.recordAt(ctx, p, o, s)
	}
}

// note remembers an order that one partition was read to have.
func (c *Redis) note(ctx context.Context, p int, id job.ID) error {
	if c.memory.remembers(p, id) {
		return nil
	}
	r, err := c.orderIn(ctx, p, id)
	if err != nil || r.order["scope"] == "" || r.order["scope"] == scopeBlock {
		return err
	}
	c.memory.remember(p, recorded(id, r.order))
	return nil
}

// recorded is an order as a partition's record of it says.
func recorded(id job.ID, f map[string]string) standingOrder {
	return standingOrder{order: orderFrom(id, f), who: []byte(f["who"]), at: f["at"], h: f["h"], selector: f["selector"]}
}
