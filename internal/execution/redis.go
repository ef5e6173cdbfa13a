package execution

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"time"

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
	states     States
	scripts    map[string]*rediskit.Script
}

// States says where and how many of a job's states are kept. The zero value is the
// last [checkpoint.Kept] of them, in Redis.
type States struct {
	// Outside is where they are kept when it is not in Redis.
	Outside *checkpoint.Outside
	// Kept is how many of a job's; 0 means [checkpoint.Kept].
	Kept int
}

// NewRedis returns the journal of a fleet.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions, states States) (*Redis, error) {
	states.Kept = cmp.Or(states.Kept, checkpoint.Kept)
	if states.Kept < 1 || states.Kept > checkpoint.MostKept {
		return nil, fmt.Errorf("checkpoints kept of a job: %d is outside 1–%d", states.Kept, checkpoint.MostKept)
	}
	s, err := rediskit.LoadAll(scripts, "event", "checkpoint", "transcribe")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, partitions: ps, states: states, scripts: s}, nil
}

// Event implements [Journal].
func (r *Redis) Event(ctx context.Context, id job.ID, claim job.Claim, nonce string, e job.Event) error {
	audience := e.Audience
	if audience == "" {
		audience = "owner"
	}
	_, err := r.write(ctx, "event", id, rediskit.Args{
		"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch,
		"kind": e.Type, "audience": audience, "data": []byte(e.Data), "nonce": nonce,
	})
	return err
}

// Transcribe implements [Journal].
func (r *Redis) Transcribe(ctx context.Context, id job.ID, claim job.Claim, nonce string, data []byte) error {
	_, err := r.write(ctx, "transcribe", id, rediskit.Args{
		"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch, "data": data, "nonce": nonce, "limit": MaxTranscript,
	})
	return err
}

// Checkpoint implements [Journal]. A number that is not above the last accepted
// one is refused with [ErrStaleCheckpoint], one that is too large with
// [checkpoint.ErrTooLarge], and one whose store is away with [checkpoint.ErrAway].
// What is kept outside Redis is there before the record says so: the record, under
// the claim, is what counts.
func (r *Redis) Checkpoint(ctx context.Context, id job.ID, claim job.Claim, c job.Checkpoint) error {
	packed, sum, err := checkpoint.Pack(c.Data)
	if err != nil {
		return err
	}
	place := ""
	if out := r.states.Outside; out != nil {
		if place, err = out.Put(ctx, id, claim.Epoch, checkpoint.Packed{Seq: c.Seq, Sum: sum, Data: packed}); err != nil {
			return err
		}
		place, packed = " "+place, nil
	}
	reply, err := r.write(ctx, "checkpoint", id, rediskit.Args{
		"id": string(id), "worker": claim.Worker, "epoch": claim.Epoch,
		"seq": strconv.FormatUint(c.Seq, 10), "node": checkpoint.Word(c.Node), "sum": sum, "data": packed, "keep": r.states.Kept, "place": place,
	})
	if err == nil {
		r.drop(ctx, reply)
	}
	return err
}

// drop removes the states that are no longer kept. One that stays is swept.
func (r *Redis) drop(ctx context.Context, reply rediskit.Reply) {
	if r.states.Outside == nil {
		return
	}
	short, cancel := context.WithTimeout(ctx, dropWithin)
	defer cancel()
	for i := range reply.Rest {
		_ = r.states.Outside.Drop(short, reply.Str(i))
	}
}

// dropWithin bounds what the work waits for that.
const dropWithin = time.Second

func (r *Redis) write(ctx context.Context, script string, id job.ID, args rediskit.Args) (rediskit.Reply, error) {
	slot, err := r.partitions.SlotOf(id)
	if err != nil {
		return rediskit.Reply{}, job.ErrFenced
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := r.run.Run(cctx, r.scripts[script], rediskit.Place{Slot: slot, Job: string(id)}, args)
	if err != nil {
		return reply, rediskit.Unavailable(err)
	}
	switch reply.Word {
	case "lost":
		return reply, job.ErrFenced
	case "stale":
		return reply, fmt.Errorf("%w: the last accepted is %s", ErrStaleCheckpoint, reply.Str(0))
	default:
		return reply, nil
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
	kept, damaged, err := r.states.Outside.Newest(ctx, all)
	if err != nil || kept == nil {
		return nil, damaged, err
	}
	return &kept.Checkpoint, damaged, nil
}
