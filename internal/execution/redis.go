package execution

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// ErrStaleCheckpoint is returned when a checkpoint's number is not above the
// last accepted one. The executor counts on from job.Work's checkpoint.
var ErrStaleCheckpoint = errors.New("stale checkpoint")

// Redis is the journal of jobs in Redis.
type Redis struct {
	run        rediskit.Runner
	partitions rediskit.Partitions
	scripts    map[string]*rediskit.Script
}

// NewRedis returns the journal of a fleet.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions) (*Redis, error) {
	s, err := rediskit.LoadAll(scripts, "event", "checkpoint", "transcribe")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, partitions: ps, scripts: s}, nil
}

// Event implements [Journal].
func (r *Redis) Event(ctx context.Context, id job.ID, claim job.Claim, nonce string, e job.Event) error {
	audience := e.Audience
	if audience == "" {
		audience = "owner"
	}
	return r.write(ctx, "event", id, rediskit.Args{
		"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch,
		"kind": e.Type, "audience": audience, "data": []byte(e.Data), "nonce": nonce,
	})
}

// Transcribe implements [Journal].
func (r *Redis) Transcribe(ctx context.Context, id job.ID, claim job.Claim, nonce string, data []byte) error {
	return r.write(ctx, "transcribe", id, rediskit.Args{
		"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch, "data": data, "nonce": nonce, "limit": MaxTranscript,
	})
}

// Checkpoint implements [Journal]. A number that is not above the last accepted
// one is refused with [ErrStaleCheckpoint], one that is too large with
// [checkpoint.ErrTooLarge].
func (r *Redis) Checkpoint(ctx context.Context, id job.ID, claim job.Claim, c job.Checkpoint) error {
	packed, sum, err := checkpoint.Pack(c.Data)
	if err != nil {
		return err
	}
	return r.write(ctx, "checkpoint", id, rediskit.Args{
		"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch,
		"seq": strconv.FormatUint(c.Seq, 10), "node": checkpoint.Word(c.Node), "sum": sum, "data": packed, "keep": checkpoint.Kept,
	})
}

func (r *Redis) write(ctx context.Context, script string, id job.ID, args rediskit.Args) error {
	slot, err := r.partitions.SlotOf(id)
	if err != nil {
		return job.ErrFenced
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := r.run.Run(cctx, r.scripts[script], rediskit.Place{Slot: slot, Job: string(id)}, args)
	if err != nil {
		return rediskit.Unavailable(err)
	}
	switch reply.Word {
	case "lost":
		return job.ErrFenced
	case "stale":
		return fmt.Errorf("%w: the last accepted is %s", ErrStaleCheckpoint, reply.Str(0))
	default:
		return nil
	}
}

// Last implements [Journal].
func (r *Redis) Last(ctx context.Context, id job.ID) (*job.Checkpoint, int, error) {
	slot, err := r.partitions.SlotOf(id)
	if err != nil {
		return nil, 0, job.ErrUnknown
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	all, err := r.run.Client.HGetAll(cctx, slot.Of("checkpoints", string(id))).Result()
	if err != nil {
		return nil, 0, rediskit.Unread(err)
	}
	kept, damaged := checkpoint.Newest(all)
	if kept == nil {
		return nil, damaged, nil
	}
	return &kept.Checkpoint, damaged, nil
}
