package budget

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// ErrNoCall is returned by [Redis.Settle] for a call that was never reserved.
var ErrNoCall = errors.New("no such call was reserved")

// Redis books the money of a fleet. It is safe for concurrent use.
type Redis struct {
	run        rediskit.Runner
	partitions rediskit.Partitions
	scripts    map[string]*rediskit.Script
}

// NewRedis returns the books of a fleet.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions) (*Redis, error) {
	s, err := rediskit.LoadAll(scripts, "reserve", "settle")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, partitions: ps, scripts: s}, nil
}

// Reserve asks for the worst case of one call. See the package for its errors.
func (b *Redis) Reserve(ctx context.Context, id job.ID, claim job.Claim, c job.Call) error {
	slot, err := b.partitions.SlotOf(id)
	if err != nil {
		return job.ErrFenced
	}
	if c.Max < 0 || c.ID == "" {
		return fmt.Errorf("reserve: call %q for %d micro-USD; want an id and no negative amount", c.ID, c.Max)
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := b.run.Run(cctx, b.scripts["reserve"], rediskit.Place{Slot: slot, Job: string(id)}, rediskit.Args{
		"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch,
		"call": c.ID, "model": c.Model, "max": int64(c.Max),
	})
	if err != nil {
		return rediskit.Unavailable(err)
	}
	switch reply.Word {
	case "reserved":
		return nil
	case "killed":
		return &job.Stop{Kind: job.StopKilled, Order: job.ID(reply.Str(0)), Actor: reply.Str(1), Reason: reply.Str(2)}
	case "budget":
		return &job.Park{Reason: "budget", Detail: fmt.Sprintf("%s spent and %s reserved of %s; the next call may cost %s",
			job.MicroUSD(reply.Int(0)), job.MicroUSD(reply.Int(1)), job.MicroUSD(reply.Int(2)), c.Max)}
	default:
		return job.ErrFenced
	}
}

// Settle books what a call cost. It needs no valid claim: money is a fact.
func (b *Redis) Settle(ctx context.Context, id job.ID, u job.Usage) error {
	slot, err := b.partitions.SlotOf(id)
	if err != nil {
		return ErrNoCall
	}
	if u.Cost < 0 {
		return fmt.Errorf("settle: call %q cost %d micro-USD; a cost is never negative", u.CallID, u.Cost)
	}
	estimated := "0"
	if u.Estimated {
		estimated = "1"
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := b.run.Run(cctx, b.scripts["settle"], rediskit.Place{Slot: slot, Job: string(id)}, rediskit.Args{
		"id": string(id), "call": u.CallID, "cost": int64(u.Cost), "estimated": estimated, "model": u.Model,
	})
	if err != nil {
		return rediskit.Unavailable(err)
	}
	if reply.Word == "unknown" {
		return fmt.Errorf("%w: %s", ErrNoCall, u.CallID)
	}
	return nil
}
