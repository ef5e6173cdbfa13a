package budget

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Stops is how the breaker stops the fleet. The same key MUST be the same act,
// whichever dispatcher does it, and it is in the audit.
type Stops interface {
	// Freeze closes the gate of every partition, and returns their heads.
	Freeze(ctx context.Context, reason, key string) (heads []string, err error)
	// KillAll kills every job, and closes the gate in the same step.
	KillAll(ctx context.Context, reason, key string) error
}

// mode is how scripts have the breaker's mode: empty while it is off.
func (s Settings) mode() string {
	if s.BreakerLimit == nil || s.Breaker == "off" {
		return ""
	}
	return s.Breaker
}

func (s Settings) limit() *job.MicroUSD {
	if s.mode() == "" {
		return nil
	}
	return s.BreakerLimit
}

// trip is a trip of the breaker that has to be seen through.
type trip struct {
	name, mode, reason string
	first              bool // this call made it trip
}

// judge asks what the breaker is at a burn. done is the trip that was seen
// through, if any; the reply is one that has to be, or none.
func (b *Redis) judge(ctx context.Context, burn job.MicroUSD, whole bool, s Settings, done string, who []byte) (*trip, error) { //nolint:revive // the arguments of the script
	args := rediskit.Args{
		"burn": int64(burn), "limit": money(s.limit()), "mode": s.mode(), "whole": "", "done": done,
		"mark": strings.ToLower(rand.Text()[:8]), "reason": "", "who": who,
	}
	if whole {
		args["whole"] = "1"
	}
	if l := s.limit(); l != nil {
		args["reason"] = fmt.Sprintf("the fleet burns %s/min, over its limit of %s/min", burn, *l)
	}
	reply, err := b.call(ctx, "breaker", rediskit.Place{Slot: b.partitions.Slot(home)}, args)
	if err != nil || reply.Word != "tripping" {
		return nil, err
	}
	return &trip{name: reply.Str(0), mode: reply.Str(1), reason: reply.Str(2), first: reply.Str(3) != ""}, nil
}

// guard judges the burn, and sees a trip through. What fails is seen through by
// whoever judges next: the trip stays until somebody says it is done.
func (k Clerk) guard(ctx context.Context, burn job.MicroUSD, whole bool) {
	t, err := k.Books.judge(ctx, burn, whole, k.Settings, "", k.Who)
	if err != nil {
		k.Log.Debug("the breaker was not judged", zap.Error(err))
		return
	}
	if t == nil {
		return
	}
	if t.first {
		k.Log.Error("the breaker trips", zap.String("trip", t.name), zap.String("mode", t.mode), zap.String("reason", t.reason))
		if k.Tripped != nil {
			k.Tripped(t.mode)
		}
	}
	if err := k.stop(ctx, *t); err != nil {
		k.Log.Error("the breaker is not through yet; the next dispatcher goes on", zap.String("trip", t.name), zap.Error(err))
		return
	}
	if _, err := k.Books.judge(ctx, burn, whole, k.Settings, t.name, k.Who); err != nil {
		k.Log.Warn("a trip is through and was not noted; it will be seen through again", zap.String("trip", t.name), zap.Error(err))
	}
}

// stop does what a trip asks for. All of it may be done again.
func (k Clerk) stop(ctx context.Context, t trip) error {
	key := "breaker-" + t.name
	switch t.mode {
	case job.BreakerFreeze, job.BreakerPark:
		heads, err := k.Stops.Freeze(ctx, t.reason, key)
		if err != nil || t.mode == job.BreakerFreeze {
			return err
		}
		for p, head := range heads {
			if _, err := k.Books.call(ctx, "parking", rediskit.Place{Slot: k.Books.partitions.Slot(p)}, rediskit.Args{"head": head}); err != nil {
				return fmt.Errorf("park what runs in partition %d: %w", p, err)
			}
		}
		return nil
	case job.BreakerKill:
		return k.Stops.KillAll(ctx, t.reason, key)
	default:
		return nil // an alert is told, and that is all
	}
}
