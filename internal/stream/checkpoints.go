package stream

import (
	"context"
	"errors"
	"fmt"
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
	all, err := s.cfg.Outside.All(ctx, stored)
	if err != nil {
		return nil, away(err)
	}
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
	k, err := s.cfg.Outside.Read(ctx, number, text)
	if err != nil {
		return k, away(err, seq)
	}
	return k, nil
}

// away makes an error of the checkpoint store one that callers know: the store may
// answer another time, a damaged state stays one.
func away(err error, seq ...uint64) error {
	if errors.Is(err, checkpoint.ErrAway) || len(seq) == 0 {
		return fmt.Errorf("%w: %w: %w", job.ErrUnavailable, job.ErrStoreAway, err)
	}
	return &job.DamagedCheckpoint{Seq: seq[0]}
}

// Places implements [checkpoint.Records].
func (s *Redis) Places(ctx context.Context, id job.ID) (map[string]bool, error) {
	slot, err := s.partitions.SlotOf(id)
	if err != nil {
		return nil, err
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	stored, err := s.run.Client.HGetAll(cctx, slot.Of("checkpoints", string(id))).Result()
	if err != nil {
		return nil, rediskit.Unread(err)
	}
	out := map[string]bool{}
	for _, text := range stored {
		if p := checkpoint.Place(text); p != "" {
			out[p] = true
		}
	}
	return out, nil
}

// carry copies the state that a job is to begin at, when it is outside Redis, so
// that it stays when the old job is forgotten. It returns its place.
func (s *Redis) carry(ctx context.Context, sub job.Submission) (string, error) {
	if sub.From == "" {
		return "", nil
	}
	slot, err := s.partitions.SlotOf(sub.From)
	if err != nil {
		return "", &job.NoCheckpoint{Seq: sub.FromSeq}
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	number := strconv.FormatUint(sub.FromSeq, 10)
	got, err := s.run.Client.HMGet(cctx, slot.Of("checkpoints", string(sub.From)), number).Result()
	if err != nil {
		return "", rediskit.Unread(err)
	}
	text, kept := got[0].(string)
	if !kept {
		return "", nil // the script says so
	}
	place, err := s.cfg.Outside.Copy(ctx, number, text, sub.ID)
	if err != nil {
		return "", away(err, sub.FromSeq)
	}
	return place, nil
}

// uncarry removes a copy that no job begins at. One that stays is swept.
func (s *Redis) uncarry(ctx context.Context, place string) {
	if place != "" {
		_ = s.cfg.Outside.Drop(ctx, place)
	}
}
