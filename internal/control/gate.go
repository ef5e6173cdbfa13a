package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// State reads the gate. It is frozen if any partition is: then something is
// refused somewhere.
func (c *Redis) State(ctx context.Context) (job.Gate, error) {
	var g job.Gate
	for _, p := range c.partitions.All() {
		f, err := c.gateIn(ctx, p)
		if err != nil {
			return job.Gate{}, err
		}
		g.Heads = append(g.Heads, f["number"])
		if f["frozen"] == "1" && !g.Frozen {
			g.Frozen = true
			g.Reason, g.Incident, g.Actor = f["reason"], f["incident"], f["actor"]
			g.FrozenAt = rediskit.Time(f["frozen_at"])
		}
	}
	return g, nil
}

// Freeze closes the gate in every partition; closing a closed one changes
// nothing. Sent again with the same key it is the same act.
func (c *Redis) Freeze(ctx context.Context, p access.Permit, reason, incident, key string) (job.Gate, error) {
	if !p.Allows(access.Freeze) {
		return job.Gate{}, ErrNoPermit
	}
	var errs []error
	for _, part := range c.partitions.All() {
		_, err := c.again(ctx, "gate", rediskit.Place{Slot: c.partitions.Slot(part)}, gateArgs("freeze", "", p, reason, incident, key))
		if err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", part, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return job.Gate{}, fmt.Errorf("freeze: %w", err)
	}
	c.memory.lookSoon()
	return c.State(ctx)
}

// trusted refuses what would open a gate that lost data.
func (c *Redis) trusted() error {
	if lost := c.Losses(); len(lost) > 0 {
		return &job.AuthorityLost{Losses: lost}
	}
	return nil
}

// Thaw opens the gate if its heads, joined by commas, are still those the caller
// saw, and returns [*job.StaleGate] otherwise.
func (c *Redis) Thaw(ctx context.Context, p access.Permit, seen, reason, key string) (job.Gate, error) {
	if !p.Allows(access.Thaw) {
		return job.Gate{}, ErrNoPermit
	}
	if err := c.trusted(); err != nil {
		return job.Gate{}, err
	}
	heads := strings.Split(seen, ",")
	if len(heads) != c.partitions.Count {
		now, err := c.State(ctx)
		if err != nil {
			return job.Gate{}, err
		}
		return job.Gate{}, &job.StaleGate{Now: strings.Join(now.Heads, ",")}
	}
	for part, head := range heads {
		reply, err := c.again(ctx, "gate", rediskit.Place{Slot: c.partitions.Slot(part)}, gateArgs("thaw", head, p, reason, "", key))
		if err != nil {
			return job.Gate{}, fmt.Errorf("thaw partition %d: %w", part, err)
		}
		if reply.Word == "stale" {
			now, err := c.State(ctx)
			if err != nil {
				return job.Gate{}, err
			}
			return job.Gate{}, &job.StaleGate{Now: strings.Join(now.Heads, ",")}
		}
	}
	return c.State(ctx)
}

// gateArgs marks the act: by the caller's key, so that a retry is the same act.
//
//nolint:revive // the arguments of the script
func gateArgs(act, seen string, p access.Permit, reason, incident, key string) rediskit.Args {
	mark := rand.Text()
	if key != "" {
		mark = act + "-" + digest(p.Actor().Subject, key)
	}
	return rediskit.Args{
		"act": act, "seen": seen, "actor": p.Actor().Subject, "reason": reason, "incident": incident,
		"mark": mark, "who": p.Who(),
	}
}
