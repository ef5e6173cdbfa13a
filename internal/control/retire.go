package control

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// retireChunk is how many orders are looked at before others may have Redis,
// retirePages how many such chunks one turn looks at.
const (
	retireChunk = 100
	retirePages = 20
)

// Retire removes the orders whose home is a partition and that were over before a
// moment, with their tallies, wherever they are, and returns how many. It looks
// at no more than a turn's worth of them. The audit stays, and so does an order
// that is open anywhere, or that some partition cannot be asked about.
func (c *Redis) Retire(ctx context.Context, p int, before time.Time) (retired int, err error) {
	at := int64(0)
	for range retirePages {
		ids, err := c.recordedBefore(ctx, p, before, at)
		if err != nil {
			return retired, err
		}
		for _, id := range ids {
			at++
			if id.Partition() != p {
				continue // its home's to do
			}
			gone, err := c.retire(ctx, id, before)
			if err != nil {
				return retired, err
			}
			if gone {
				retired++
				at--
			}
		}
		if len(ids) < retireChunk {
			break
		}
	}
	return retired, nil
}

// retire removes one order, from its home last.
func (c *Redis) retire(ctx context.Context, id job.ID, before time.Time) (bool, error) {
	home := id.Partition()
	rec, err := c.orderIn(ctx, home, id)
	if err != nil {
		return false, err
	}
	scope := orderFrom(id, rec.order).Scope
	if scope.Kind == job.ScopeJob {
		scope.Job = id // in its home
	}
	parts := c.reach(scope)
	for _, look := range []string{"1", ""} {
		for i := range parts {
			part := parts[len(parts)-1-i] // the home is the first
			reply, err := c.call(ctx, "retire", rediskit.Place{Slot: c.partitions.Slot(part), Order: string(id)},
				rediskit.Args{"id": string(id), "before": rediskit.Micros(before), "look": look})
			if err != nil {
				return false, err
			}
			if reply.Word == "open" || reply.Word == "young" {
				return false, nil
			}
		}
	}
	return true, nil
}

// retire removes what was over before the retention.
func (k Clerk) retire(ctx context.Context, p int) {
	n, err := k.Control.Retire(ctx, p, time.Now().Add(-k.Retention))
	if err != nil {
		k.Log.Warn("retention of orders not applied", zap.Int("partition", p), zap.Error(err))
	}
	if n > 0 {
		k.Log.Info("orders retired", zap.Int("partition", p), zap.Int("orders", n))
	}
}
