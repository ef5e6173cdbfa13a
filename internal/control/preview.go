package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// A preview looks at no more than this, so that it answers in time and an order
// can still be issued; what it counted is then a lower bound.
const (
	previewFor   = 2 * time.Second
	previewChunk = 200
)

// Preview counts what an order of the permit's scope would reach now. It changes
// nothing.
func (c *Redis) Preview(ctx context.Context, p access.Permit) (job.Preview, error) {
	scope := p.Scope()
	if !p.Allows(access.KillFleet) && !p.Allows(access.KillOwner) && !p.Allows(access.KillSelector) || scope.Kind == job.ScopeJob {
		return job.Preview{}, ErrNoPermit
	}
	s := scope.Selector
	if scope.Kind == job.ScopeOwner {
		s = &job.Selector{Owner: scope.Owner}
	}
	wanted, err := criteriaOf(s, time.Now())
	if err != nil {
		return job.Preview{}, err
	}
	counting, cancel := context.WithTimeout(ctx, previewFor)
	defer cancel()
	v := &census{owner: map[string]*job.Count{}, kind: map[string]*job.Count{}, state: map[string]*job.Count{}}
	var wg sync.WaitGroup
	parts := c.reach(scope)
	errs := make([]error, len(parts))
	for i, part := range parts {
		wg.Go(func() { errs[i] = c.count(counting, part, wanted, v) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return job.Preview{}, fmt.Errorf("preview: %w", err)
	}
	v.Scope = scope
	return v.result(), nil
}

// count goes through one partition until its end or the time is up.
func (c *Redis) count(ctx context.Context, p int, wanted string, v *census) error {
	for after := "-inf"; after != "end"; {
		reply, err := c.call(ctx, "preview", rediskit.Place{Slot: c.partitions.Slot(p)},
			rediskit.Args{"selector": wanted, "after": after, "limit": previewChunk})
		if ctx.Err() != nil {
			v.cut()
			return nil //nolint:nilerr // the time is up: what was counted is told as partial
		}
		if err != nil {
			return err
		}
		v.add(reply)
		after = reply.Str(0)
	}
	return nil
}

// census gathers the counts of every partition.
type census struct {
	mu                 sync.Mutex
	owner, kind, state map[string]*job.Count
	job.Preview
}

func (v *census) cut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Partial = true
}

func (v *census) add(reply rediskit.Reply) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.CoveredBefore += reply.Int(2)
	for i := 3; i < len(reply.Rest); i++ {
		g := rediskit.Texts(reply.List(i))
		if len(g) != 6 {
			continue
		}
		n, spent, rate := rediskit.Number(g[3]), job.MicroUSD(rediskit.Number(g[4])), job.MicroUSD(rediskit.Number(g[5]))
		v.Jobs += n
		v.Spent += spent
		v.PerMinute += rate
		for j, under := range []map[string]*job.Count{v.owner, v.kind, v.state} {
			if under[g[j]] == nil {
				under[g[j]] = &job.Count{Name: g[j]}
			}
			under[g[j]].Jobs += n
			under[g[j]].Spent += spent
			under[g[j]].PerMinute += rate
		}
	}
}

func (v *census) result() job.Preview {
	v.Owners = len(v.owner)
	v.ByOwner, v.ByKind, v.ByState = most(v.owner), most(v.kind), most(v.state)
	v.ByOwner = v.ByOwner[:min(len(v.ByOwner), job.TopOwners)]
	return v.Preview
}

// most lists counts, the largest first.
func most(m map[string]*job.Count) []job.Count {
	out := make([]job.Count, 0, len(m))
	for _, c := range m {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b job.Count) int { return cmp.Or(cmp.Compare(b.Jobs, a.Jobs), cmp.Compare(a.Name, b.Name)) })
	return out
}
