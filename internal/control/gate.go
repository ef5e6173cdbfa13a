package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

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
		until := rediskit.Time(f["rate_until"])
		if rate, err := strconv.ParseFloat(f["rate"], 64); err == nil && g.Rate == 0 && (until.IsZero() || until.After(time.Now())) {
			g.Rate, g.RateUntil = rate, until
		}
	}
	if g.Frozen {
		g.Rate, g.RateUntil = 0, time.Time{}
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
		_, err := c.again(ctx, "gate", rediskit.Place{Slot: c.partitions.Slot(part)}, c.gateArgs("freeze", "", p, job.Thawing{Reason: reason}, incident, key))
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

// Thaw opens the gate if its heads are still those the caller saw, and returns
// [*job.StaleGate] otherwise. At a rate, each partition lets its share of it
// start; on an open gate it sets the rate, without one it lifts it.
func (c *Redis) Thaw(ctx context.Context, p access.Permit, t job.Thawing, key string) (job.Gate, error) {
	if !p.Allows(access.Thaw) {
		return job.Gate{}, ErrNoPermit
	}
	if err := t.Check(); err != nil {
		return job.Gate{}, fmt.Errorf("thaw: %w", err)
	}
	if err := c.trusted(); err != nil {
		return job.Gate{}, err
	}
	heads := strings.Split(t.Seen, ",")
	if len(heads) != c.partitions.Count {
		now, err := c.State(ctx)
		if err != nil {
			return job.Gate{}, err
		}
		return job.Gate{}, &job.StaleGate{Now: strings.Join(now.Heads, ",")}
	}
	for part, head := range heads {
		reply, err := c.again(ctx, "gate", rediskit.Place{Slot: c.partitions.Slot(part)}, c.gateArgs("thaw", head, p, t, "", key))
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
func (c *Redis) gateArgs(act, seen string, p access.Permit, t job.Thawing, incident, key string) rediskit.Args {
	args := rediskit.Args{
		"act": act, "seen": seen, "actor": p.Actor().Subject, "reason": t.Reason, "incident": incident,
		"mark": rand.Text(), "who": p.Who(), "rate": "", "interval": "", "seconds": "",
	}
	if t.Rate > 0 {
		args["rate"] = strconv.FormatFloat(t.Rate, 'f', -1, 64)
		args["interval"] = max(1, int64(math.Round(1e6*float64(c.partitions.Count)/t.Rate)))
	}
	if t.For > 0 {
		args["seconds"] = int64(t.For / time.Second)
	}
	if key != "" {
		args["mark"] = act + "-" + digest(p.Actor().Subject, key, fmt.Sprint(args["rate"]), fmt.Sprint(args["seconds"]))
	}
	return args
}
