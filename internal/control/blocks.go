package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// scopeBlock marks the record of a standing order among those of kill orders.
const scopeBlock = "block"

// Block makes a standing order, in its home partition first; any dispatcher
// completes the others, and the answer names those that lack it. The same
// actor's same key is the same order. It returns [job.ErrTooManyBlocks] when
// there are too many already.
func (c *Redis) Block(ctx context.Context, p access.Permit, b job.Block, key string) (job.Block, error) {
	if !p.Allows(access.Block) {
		return b, ErrNoPermit
	}
	if err := b.Check(); err != nil {
		return b, fmt.Errorf("block: %w", err)
	}
	b.Actor = p.Actor().Subject
	parts := c.blocked(b)
	var err error
	if key == "" {
		b.ID, err = c.partitions.NewID(parts[0])
	} else {
		b.ID, err = derivedID(parts[0], b.Actor, key, scopeBlock, string(b.On), b.Label, b.Value)
	}
	if err != nil {
		return b, err
	}
	reply, err := c.blockIn(ctx, parts[0], b, p.Who())
	if err != nil {
		return b, fmt.Errorf("block: record it in its home partition: %w", err)
	}
	if reply.Word == "full" {
		return b, job.ErrTooManyBlocks
	}
	c.memory.lookSoon()
	b.RecordedAt, b.Lifted = rediskit.Time(reply.Str(0)), reply.Str(1) != ""
	if b.Lifted {
		return b, nil // a retry that came after the lift: it must not stand again
	}
	for _, part := range parts[1:] {
		if _, err := c.blockIn(ctx, part, b, p.Who()); err != nil {
			c.log.Sugar().Warnw("block does not stand everywhere; it will be completed", "order", b.ID, "partition", part, "error", err)
			b.Missing = append(b.Missing, part)
		}
	}
	return b, nil
}

// blocked lists the partitions that a block is for, the home partition first.
func (c *Redis) blocked(b job.Block) []int {
	if b.On == job.OnOwner {
		return []int{c.partitions.Of(b.Value)}
	}
	return c.partitions.All()
}

func (c *Redis) blockIn(ctx context.Context, part int, b job.Block, who []byte) (rediskit.Reply, error) {
	limit, pending := "", ""
	if part == b.ID.Partition() {
		limit = strconv.Itoa(job.MaxBlocks)
		if len(c.blocked(b)) > 1 {
			pending = "1"
		}
	}
	return c.again(ctx, "block", rediskit.Place{Slot: c.partitions.Slot(part), Order: string(b.ID)}, rediskit.Args{
		"id": string(b.ID), "on": string(b.On), "label": b.Label, "value": b.Value, "actor": b.Actor, "reason": b.Reason,
		"incident": b.Incident, "mark": "block-" + digest(string(b.ID)), "who": who, "limit": limit, "pending": pending,
	})
}

// completeBlock records a standing order in the partitions that lack it.
func (c *Redis) completeBlock(ctx context.Context, id job.ID, home map[string]string) error {
	if home["lifted_at"] != "" {
		return nil
	}
	b := job.Block{
		ID: id, On: job.BlockedThing(home["on"]), Label: home["label"], Value: home["value"],
		Actor: home["actor"], Reason: home["reason"], Incident: home["incident"],
	}
	for _, part := range c.blocked(b)[1:] {
		if _, err := c.blockIn(ctx, part, b, []byte(home["who"])); err != nil {
			return fmt.Errorf("partition %d: %w", part, err)
		}
	}
	return nil
}

// Lift ends a standing order if the gate's heads, joined by commas, are still
// those the caller saw, and returns [*job.StaleGate] otherwise; it may then be
// lifted in some partitions and still stand in others. The jobs that it had
// benched come back to the road, the first of them before Lift returns. Lifting
// a lifted one changes nothing. It returns [job.ErrUnknown] for what is no
// standing order.
//
//nolint:revive // the permit, what it is for, and the words of the act
func (c *Redis) Lift(ctx context.Context, p access.Permit, id job.ID, seen, reason, key string) (job.Block, error) {
	if !p.Allows(access.Lift) {
		return job.Block{}, ErrNoPermit
	}
	if _, err := c.partitions.SlotOf(id); err != nil {
		return job.Block{}, job.ErrUnknown
	}
	if err := c.trusted(); err != nil {
		return job.Block{}, err
	}
	home, err := c.orderIn(ctx, id.Partition(), id)
	if err != nil {
		return job.Block{}, err
	}
	b := blockFrom(id, home.order)
	heads := strings.Split(seen, ",")
	if len(heads) != c.partitions.Count {
		return b, c.stale(ctx)
	}
	parts := c.blocked(b)
	if b.On == "" {
		parts = []int{id.Partition()} // its script says that there is none, and audits it
	}
	mark := "lift-" + digest(p.Actor().Subject, key, string(id))
	for _, part := range parts {
		at := rediskit.Place{Slot: c.partitions.Slot(part), Order: string(id)}
		isHome := ""
		if part == id.Partition() {
			isHome = "1"
		}
		reply, err := c.again(ctx, "lift", at, rediskit.Args{
			"id": string(id), "home": isHome, "seen": heads[part],
			"actor": p.Actor().Subject, "reason": reason, "mark": mark, "who": p.Who(),
		})
		switch {
		case err != nil:
			return b, fmt.Errorf("lift in partition %d: %w", part, err)
		case reply.Word == "unknown":
			return b, job.ErrUnknown
		case reply.Word == "stale":
			return b, c.stale(ctx)
		}
	}
	b.Lifted = true
	c.memory.lookSoon()
	c.everywhere(parts, func(int) bool { return true }, func(part int) { c.walk(ctx, part, id) })
	return b, nil
}

func (c *Redis) stale(ctx context.Context) error {
	now, err := c.State(ctx)
	if err != nil {
		return err
	}
	return &job.StaleGate{Now: strings.Join(now.Heads, ",")}
}

func blockFrom(id job.ID, f map[string]string) job.Block {
	if f["scope"] != scopeBlock {
		return job.Block{ID: id}
	}
	return job.Block{
		ID: id, On: job.BlockedThing(f["on"]), Label: f["label"], Value: f["value"], Actor: f["actor"],
		Reason: f["reason"], Incident: f["incident"], RecordedAt: rediskit.Time(f["at"]), Lifted: f["lifted_at"] != "",
	}
}

// standing is a rule of the gate, as far as a block is one.
type standing struct {
	Rule     string           `json:"rule"`
	Order    job.ID           `json:"order"`
	On       job.BlockedThing `json:"on"`
	Label    string           `json:"label"`
	Value    string           `json:"value"`
	At       string           `json:"at"`
	Actor    string           `json:"actor"`
	Reason   string           `json:"reason"`
	Incident string           `json:"incident"`
}

func (s standing) block() job.Block {
	return job.Block{
		ID: s.Order, On: s.On, Label: s.Label, Value: s.Value, Actor: s.Actor,
		Reason: s.Reason, Incident: s.Incident, RecordedAt: rediskit.Time(s.At),
	}
}

// standingIn reads the standing orders among a gate's rules.
func standingIn(text string) ([]standing, error) {
	if text == "" {
		return nil, nil
	}
	var rules []standing
	if err := json.Unmarshal([]byte(text), &rules); err != nil {
		return nil, fmt.Errorf("the gate's rules: %w", err)
	}
	return slices.DeleteFunc(rules, func(r standing) bool { return r.Rule != scopeBlock }), nil
}

// Blocks lists the standing orders that stand in at least one partition, oldest
// first, and the gate's heads that a lift has to name. A partition that cannot
// be read is Missing of every block that is for it, and has no head.
func (c *Redis) Blocks(ctx context.Context) ([]job.Block, []string, error) {
	gates := make([]map[string]string, c.partitions.Count)
	_, err := c.each(c.partitions.All(), func(p int) (err error) {
		gates[p], err = c.gateIn(ctx, p)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	in := map[job.ID][]int{}
	var out []job.Block
	var heads []string
	for p, g := range gates {
		heads = append(heads, g["number"])
		rules, err := standingIn(g["rules"])
		if err != nil {
			return nil, nil, fmt.Errorf("partition %d: %w", p, err)
		}
		for _, r := range rules {
			if in[r.Order] == nil {
				out = append(out, r.block())
			}
			in[r.Order] = append(in[r.Order], p)
		}
	}
	for i, b := range out {
		for _, p := range c.blocked(b) {
			if !slices.Contains(in[b.ID], p) {
				out[i].Missing = append(out[i].Missing, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b job.Block) int { return a.RecordedAt.Compare(b.RecordedAt) })
	return out, heads, nil
}
