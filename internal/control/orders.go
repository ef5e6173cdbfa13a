package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// ErrNoPermit is returned when an order comes without a permit for it. It is a
// fault of the caller's code, not of the person who asked.
var ErrNoPermit = errors.New("no permit for this order")

// Kill orders the kill of the permit's one job. It returns the receipt as far
// as it is known; for a job that an earlier order covers, that order's. A job
// that does not exist, or that is not the permit's to kill, is
// [job.ErrUnknown]; the audit entry is written either way. The same actor's same
// key gives the same order.
func (c *Redis) Kill(ctx context.Context, p access.Permit, o job.Order, key string) (job.Receipt, error) {
	scope := p.Scope()
	if !p.Allows(access.Kill) || scope.Kind != job.ScopeJob {
		return job.Receipt{}, ErrNoPermit
	}
	slot, err := c.partitions.SlotOf(scope.Job)
	if err != nil {
		return job.Receipt{}, job.ErrUnknown
	}
	id, err := c.orderID(scope.Job.Partition(), p, key)
	if err != nil {
		return job.Receipt{}, err
	}
	reply, err := c.again(ctx, "order", onOrder(slot, id), rediskit.Args{
		"id": string(id), "job": string(scope.Job), "must_own": p.MustOwn(), "must_have_submitted": p.MustHaveSubmitted(),
		"actor": p.Actor().Subject, "reason": o.Reason, "incident": o.Incident,
		"requested": rediskit.Micros(o.RequestedAt), "who": p.Who(), "at": "",
		"allow_resume": yes(o.AllowResume), "trace": o.Trace,
	})
	if err != nil {
		return job.Receipt{}, fmt.Errorf("record the order: %w", err)
	}
	switch reply.Word {
	case "unknown", "foreign":
		return job.Receipt{}, job.ErrUnknown
	case "covered":
		return c.receiptOf(ctx, job.ID(reply.Str(0)), scope.Job)
	default:
		o.ID, o.Scope, o.Actor = id, scope, p.Actor().Subject
		c.memory.remember(id.Partition(), standingOrder{order: o, who: p.Who(), at: reply.Str(2)})
		return c.receiptOf(ctx, id, scope.Job)
	}
}

// yes is how scripts are told that something holds.
func yes(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// onOrder is where the order of a single job is, and what is kept of a refusal.
func onOrder(slot rediskit.Slot, id job.ID) rediskit.Place {
	return rediskit.Place{Slot: slot, Order: string(id), Idem: "order-" + string(id)}
}

// KillAll orders the kill of an owner's jobs or of the whole fleet, in constant
// time per partition, or of what a selector asks for, by a walk that any
// dispatcher goes on with. An error that wraps [job.ErrUnavailable] means that no
// partition is known to have the order; if only some have it the receipt says
// recording, names the others, and any dispatcher completes it.
func (c *Redis) KillAll(ctx context.Context, p access.Permit, o job.Order, key string) (job.Receipt, error) {
	scope := p.Scope()
	if !p.Allows(access.KillFleet) && !p.Allows(access.KillOwner) && !p.Allows(access.KillSelector) || scope.Kind == job.ScopeJob {
		return job.Receipt{}, ErrNoPermit
	}
	if scope.Kind == job.ScopeSelector {
		return c.killSelected(ctx, p, o, key)
	}
	parts := c.reach(scope)
	id, err := c.orderID(parts[0], p, key)
	if err != nil {
		return job.Receipt{}, err
	}
	o.ID, o.Scope, o.Actor = id, scope, p.Actor().Subject
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { errs[i] = c.recordIn(ctx, part, o, p.Who()) })
	}
	wg.Wait()
	if !slices.Contains(errs, nil) {
		return job.Receipt{}, fmt.Errorf("record the order: %w", errors.Join(errs...))
	}
	for i, err := range errs {
		if err != nil {
			c.notEverywhere(id, parts[i], err)
		}
	}
	return c.Receipt(ctx, id)
}

func (c *Redis) notEverywhere(id job.ID, part int, err error) {
	c.log.Sugar().Warnw("order not recorded everywhere; it will be completed", "order", id, "partition", part, "error", err)
}

// reach lists the partitions of a scope, the home partition first.
func (c *Redis) reach(s job.Scope) []int {
	switch s.Kind {
	case job.ScopeJob:
		return []int{s.Job.Partition()}
	case job.ScopeOwner:
		return []int{c.partitions.Of(s.Owner)}
	default:
		return c.partitions.All()
	}
}

// recordIn writes a horizon into one partition.
func (c *Redis) recordIn(ctx context.Context, p int, o job.Order, who []byte) error {
	return c.recordAt(ctx, p, o, standingOrder{who: who})
}

// recordAt writes a horizon with the time and the height that it had, where it
// had them before, and remembers it.
func (c *Redis) recordAt(ctx context.Context, p int, o job.Order, s standingOrder) error {
	reply, err := c.again(ctx, "horizon", rediskit.Place{Slot: c.partitions.Slot(p), Order: string(o.ID)}, rediskit.Args{
		"id": string(o.ID), "scope": string(o.Scope.Kind), "owner": o.Scope.Owner, "actor": o.Actor, "reason": o.Reason,
		"incident": o.Incident, "requested": rediskit.Micros(o.RequestedAt), "freeze": cmp.Or(yes(o.Freeze), "0"), "mark": rand.Text(),
		"at": s.at, "h": s.h, "who": s.who, "check": o.Check, "expected": o.Expected,
		"allow_resume": yes(o.AllowResume), "trace": o.Trace,
	})
	if err != nil {
		return err
	}
	c.memory.remember(p, standingOrder{order: o, who: s.who, h: reply.Str(0), at: reply.Str(1)})
	if o.Freeze {
		c.memory.closed(p, reply.Str(2), o.Actor, o.Reason, o.Incident)
	} else {
		c.memory.saw(p, reply.Str(2))
	}
	c.memory.lookSoon()
	return nil
}

// complete records an order in the partitions that lack it: from its home in all
// the others, from any other in its home. So whichever partition took it first,
// every one has it in the end. A partition that does not answer keeps nobody from
// the next.
func (c *Redis) complete(ctx context.Context, from int, id job.ID) error {
	home := id.Partition()
	if from != home && c.memory.remembers(home, id) {
		return nil
	}
	rec, err := c.orderIn(ctx, from, id)
	if err != nil || len(rec.order) == 0 {
		return err
	}
	if rec.order["scope"] == scopeBlock {
		if from != home {
			return nil // its home takes it before any other does
		}
		return c.completeBlock(ctx, id, rec.order)
	}
	o := orderFrom(id, rec.order)
	if o.Scope.Kind == job.ScopeJob {
		return nil
	}
	parts := []int{home}
	if from == home {
		parts = c.reach(o.Scope)[1:]
	}
	var errs []error
	for _, p := range parts {
		if err := c.completeIn(ctx, p, o, rec.order); err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

// completeIn records an order in one partition if that lacks it, and remembers
// that it has it.
func (c *Redis) completeIn(ctx context.Context, p int, o job.Order, as map[string]string) error {
	there, err := c.orderIn(ctx, p, o.ID)
	if err != nil {
		return err
	}
	if len(there.order) > 0 {
		c.memory.remember(p, recorded(o.ID, there.order))
		return nil
	}
	who := []byte(as["who"])
	if o.Scope.Kind == job.ScopeSelector {
		_, err = c.selectIn(ctx, p, o, as["selector"], who)
		return err
	}
	return c.recordIn(ctx, p, o, who)
}

// everyone reports whether a partition may let go of an order: its home when
// every partition of the scope is known to have it, any other when its home is.
// Until then somebody has to complete it.
func (c *Redis) everyone(p int, id job.ID) bool {
	home := id.Partition()
	if c.partitions.Count == 1 || p != home {
		return c.partitions.Count == 1 || c.memory.remembers(home, id)
	}
	scope, ok := c.memory.scope(home, id)
	return ok && !slices.ContainsFunc(c.reach(scope), func(q int) bool { return !c.memory.remembers(q, id) })
}

// orderID draws an order's id, or derives it from the caller's key so that a
// retry, through any dispatcher, is the same order.
func (c *Redis) orderID(home int, p access.Permit, key string) (job.ID, error) {
	if key == "" {
		return c.partitions.NewID(home)
	}
	s := p.Scope()
	parts := []string{p.Actor().Subject, key, string(s.Kind), string(s.Job), s.Owner}
	if s.Selector != nil {
		parts = append(parts, s.Selector.String())
	}
	return derivedID(home, parts...)
}

// derivedID is an id in the shape of a UUIDv7 that the same texts always give.
func derivedID(home int, parts ...string) (job.ID, error) {
	var u uuid.UUID
	copy(u[:], hash(parts...))
	u[6], u[8] = u[6]&0x0f|0x70, u[8]&0x3f|0x80
	return job.WithPartition(u.String(), home)
}

// Orders lists the last orders, newest first, with stage and tally.
func (c *Redis) Orders(ctx context.Context, limit int) (out []job.Receipt, missing []int, err error) {
	recent := make([][]job.ID, c.partitions.Count)
	missing, err = c.each(c.partitions.All(), func(p int) (err error) {
		recent[p], err = c.recent(ctx, p, limit)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	seen := map[job.ID]bool{}
	for _, id := range slices.Concat(recent...) {
		if seen[id] {
			continue
		}
		seen[id] = true
		r, err := c.summary(ctx, id)
		if errors.Is(err, job.ErrUnknown) {
			continue // it is being retired
		}
		if err != nil {
			return nil, nil, err
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b job.Receipt) int { return b.Order.RecordedAt.Compare(a.Order.RecordedAt) })
	return out[:min(limit, len(out))], missing, nil
}

// hash is a digest of several texts that no other division of them gives.
func hash(parts ...string) []byte {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}

// digest is a short form of hash, as text.
func digest(parts ...string) string { return hex.EncodeToString(hash(parts...)[:8]) }
