package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// State reads the gate. It is frozen if any partition is: then something is
// refused somewhere. A partition that does not answer is Missing; it is an error
// only if none does.
func (c *Redis) State(ctx context.Context) (job.Gate, error) {
	gates := make([]map[string]string, c.partitions.Count)
	missing, err := c.each(c.partitions.All(), func(p int) (err error) {
		gates[p], err = c.gateIn(ctx, p)
		return err
	})
	if err != nil {
		return job.Gate{}, err
	}
	g := job.Gate{Missing: missing}
	for _, f := range gates {
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

// each asks partitions all at once and says which of them could not be reached.
// It is an error if none could, or if one of them said no.
func (*Redis) each(parts []int, ask func(p int) error) (missing []int, err error) {
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() { errs[i] = ask(p) })
	}
	wg.Wait()
	for i, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, job.ErrUnavailable):
			missing = append(missing, parts[i])
		default:
			return nil, err
		}
	}
	if len(missing) == len(parts) {
		return nil, errors.Join(errs...)
	}
	return missing, nil
}

// after is the gate behind an act that these partitions did not take.
func (c *Redis) after(ctx context.Context, missed []int) (job.Gate, error) {
	c.memory.lookSoon()
	g, err := c.State(ctx)
	g.Missing = slices.Compact(slices.Sorted(slices.Values(slices.Concat(g.Missing, missed))))
	return g, err
}

// Freeze closes the gate in every partition; closing a closed one changes
// nothing. Sent again with the same key it is the same act. It is done where a
// partition took it, and the others are Missing: send it again.
func (c *Redis) Freeze(ctx context.Context, p access.Permit, reason, incident, key string) (job.Gate, error) {
	if !p.Allows(access.Freeze) {
		return job.Gate{}, ErrNoPermit
	}
	args := c.gateArgs("freeze", "", p, job.Thawing{Reason: reason}, incident, key)
	missed, err := c.each(c.partitions.All(), func(part int) error {
		reply, err := c.again(ctx, "gate", rediskit.Place{Slot: c.partitions.Slot(part)}, args)
		if err == nil && reply.Word == "frozen" {
			c.memory.closed(part, reply.Str(0), p.Actor().Subject, reason, incident)
		}
		return err
	})
	if err != nil {
		return job.Gate{}, fmt.Errorf("freeze: %w", err)
	}
	return c.after(ctx, missed)
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
// start; on an open gate it sets the rate, without one it lifts it. A partition
// that cannot be reached stays as it is and is Missing; one whose head the caller
// could not see, and that is back, makes the gate a changed one.
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
		return job.Gate{}, c.stale(ctx)
	}
	missed, err := c.each(c.partitions.All(), func(part int) error {
		reply, err := c.again(ctx, "gate", rediskit.Place{Slot: c.partitions.Slot(part)}, c.gateArgs("thaw", heads[part], p, t, "", key))
		if err == nil && reply.Word == "stale" {
			return errStale
		}
		return err
	})
	switch {
	case errors.Is(err, errStale):
		return job.Gate{}, c.stale(ctx)
	case err != nil:
		return job.Gate{}, fmt.Errorf("thaw: %w", err)
	}
	return c.after(ctx, missed)
}

var errStale = errors.New("the gate changed since it was seen")

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
