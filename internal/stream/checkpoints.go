package stream

import (
	"context"
	"strconv"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Checkpoints returns the checkpoints that are kept of a job, by number, without
// their data; none is an empty slice. The caller has checked that the job exists
// and may be read.
func (s *Redis) Checkpoints(ctx context.Context, id job.ID) ([]job.Kept, error) {
	slot, err := s.partitions.SlotOf(id)
	if err != nil {
		return nil, job.ErrUnknown
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	stored, err := s.run.Client.HGetAll(cctx, slot.Of("checkpoints", string(id))).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	all := checkpoint.All(stored)
	for i := range all {
		all[i].Data = nil
	}
	return all, nil
}

// Checkpoint returns one of them with its data. It returns [job.ErrUnknown] for a
// number that is not kept, and [*job.DamagedCheckpoint].
func (s *Redis) Checkpoint(ctx context.Context, id job.ID, seq uint64) (job.Kept, error) {
	slot, err := s.partitions.SlotOf(id)
	if err != nil {
		return job.Kept{}, job.ErrUnknown
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	number := strconv.FormatUint(seq, 10)
	got, err := s.run.Client.HMGet(cctx, slot.Of("checkpoints", string(id)), number).Result()
	if err != nil {
		return job.Kept{}, rediskit.Unread(err)
	}
	text, kept := got[0].(string)
	if !kept {
		return job.Kept{}, job.ErrUnknown
	}
	k, err := checkpoint.Unpack(number, text)
	if err != nil {
		return k, &job.DamagedCheckpoint{Seq: seq}
	}
	return k, nil
}
