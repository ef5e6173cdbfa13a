package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// criteria is a selector as scripts read it: texts only, for Lua's numbers are
// doubles. Before is the moment that a minimum age meant.
type criteria struct {
	Owner     string            `json:"owner"`
	Submitter string            `json:"submitter"`
	Kind      string            `json:"kind"`
	Model     string            `json:"model"`
	Labels    map[string]string `json:"labels"`
	Before    string            `json:"before"`
	Spend     string            `json:"spend"`
	// MinAge is for people to read back.
	MinAge time.Duration `json:"min_age"`
}

// criteriaOf writes a selector for the scripts; nil asks for every job.
func criteriaOf(s *job.Selector, now time.Time) (string, error) {
	c := criteria{Labels: map[string]string{}}
	if s != nil {
		c.Owner, c.Submitter, c.Kind, c.Model, c.MinAge = s.Owner, s.Submitter, s.Kind, s.Model, s.MinAge
		if len(s.Labels) > 0 {
			c.Labels = s.Labels
		}
		if s.MinAge > 0 {
			c.Before = rediskit.Micros(now.Add(-s.MinAge))
		}
		if s.MinSpend > 0 {
			c.Spend = strconv.FormatInt(int64(s.MinSpend), 10)
		}
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write the selector: %w", err)
	}
	return string(raw), nil
}

// selectorFrom reads a selector back from an order; nil when it has none.
func selectorFrom(text string) *job.Selector {
	if text == "" {
		return nil
	}
	var c criteria
	if json.Unmarshal([]byte(text), &c) != nil {
		return &job.Selector{}
	}
	s := &job.Selector{Owner: c.Owner, Submitter: c.Submitter, Kind: c.Kind, Model: c.Model, MinAge: c.MinAge, MinSpend: job.MicroUSD(rediskit.Number(c.Spend))}
	if len(c.Labels) > 0 {
		s.Labels = c.Labels
	}
	return s
}

// killSelected records a selector order, in its home partition first, and walks
// as far as the time of one request allows; any dispatcher goes on from there.
func (c *Redis) killSelected(ctx context.Context, p access.Permit, o job.Order, key string) (job.Receipt, error) {
	scope := p.Scope()
	if err := scope.Check(); err != nil {
		return job.Receipt{}, fmt.Errorf("kill what a selector asks for: %w", err)
	}
	parts := c.reach(scope)
	id, err := c.orderID(parts[0], p, key)
	if err != nil {
		return job.Receipt{}, err
	}
	o.ID, o.Scope, o.Actor = id, scope, p.Actor().Subject
	wanted, err := criteriaOf(scope.Selector, o.RequestedAt)
	if err != nil {
		return job.Receipt{}, err
	}
	if was, err := c.find(ctx, id, ""); key != "" && err == nil {
		wanted = was.order["selector"] // a retry keeps the first moment
	}
	first, wanted, err := c.selectFirst(ctx, parts, o, wanted, p.Who())
	if err != nil {
		return job.Receipt{}, fmt.Errorf("record the order: %w", err)
	}
	c.everywhere(parts, func(part int) bool {
		if i := slices.Index(parts, part); i <= first {
			return i == first // those before it did not take it
		}
		_, err := c.selectIn(ctx, part, o, wanted, p.Who())
		if err != nil {
			c.notEverywhere(id, part, err)
		}
		return err == nil
	}, func(part int) { c.walk(ctx, part, id) })
	return c.Receipt(ctx, id)
}

// selectFirst records a selector order in one partition, its home if that is
// there. The moment that it has there is everybody's.
func (c *Redis) selectFirst(ctx context.Context, parts []int, o job.Order, wanted string, who []byte) (first int, as string, err error) {
	var errs []error
	for i, part := range parts {
		as, err := c.selectIn(ctx, part, o, wanted, who)
		if err == nil {
			return i, as, nil
		}
		errs = append(errs, fmt.Errorf("partition %d: %w", part, err))
	}
	return 0, "", errors.Join(errs...)
}

// walkFor is how long the request that issued an order, or lifted one, works on
// it before it leaves the rest to the clerks.
const walkFor = 500 * time.Millisecond

// everywhere records an order in all its partitions and then walks those that
// have it.
func (c *Redis) everywhere(parts []int, record func(part int) bool, walk func(part int)) {
	recorded := make([]bool, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { recorded[i] = record(part) })
	}
	wg.Wait()
	for i, part := range parts {
		if recorded[i] {
			wg.Go(func() { walk(part) })
		}
	}
	wg.Wait()
}

// walk takes an order further in one partition while there is something to do
// at once. What fails is left to the clerks.
func (c *Redis) walk(ctx context.Context, p int, id job.ID) {
	ctx, cancel := context.WithTimeout(ctx, walkFor)
	defer cancel()
	for ctx.Err() == nil {
		if word, err := c.Sweep(ctx, p, id); err != nil || word != "more" {
			return
		}
	}
}

// selectIn records a selector order in one partition and returns the criteria
// that the order has there.
func (c *Redis) selectIn(ctx context.Context, p int, o job.Order, wanted string, who []byte) (string, error) {
	return c.selectAt(ctx, p, o, standingOrder{selector: wanted, who: who})
}

// selectAt records one with the time and the height that it had, where it had
// them before, and remembers it.
func (c *Redis) selectAt(ctx context.Context, p int, o job.Order, s standingOrder) (string, error) {
	reply, err := c.again(ctx, "select", rediskit.Place{Slot: c.partitions.Slot(p), Order: string(o.ID)}, rediskit.Args{
		"id": string(o.ID), "selector": s.selector, "actor": o.Actor, "reason": o.Reason, "incident": o.Incident,
		"requested": rediskit.Micros(o.RequestedAt), "who": s.who, "check": o.Check, "expected": o.Expected,
		"allow_resume": yes(o.AllowResume), "trace": o.Trace,
		"at": s.at, "h": s.h,
	})
	if err != nil {
		return "", err
	}
	c.memory.remember(p, standingOrder{order: o, who: s.who, h: reply.Str(0), at: reply.Str(1), selector: reply.Str(2)})
	return reply.Str(2), nil
}
