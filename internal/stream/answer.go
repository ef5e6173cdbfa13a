package stream

import (
	"context"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Answer brings a job that asked its owner back to the road with the answers,
// and returns its state after it. The script writes the audit entry. It returns
// [job.ErrUnknown], and a [*job.NotWaiting] when the job asks nothing.
func (s *Redis) Answer(ctx context.Context, a job.Answering) (job.State, error) {
	slot, err := s.partitions.SlotOf(a.ID)
	if err != nil {
		return "", job.ErrUnknown
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := s.run.Keep(cctx, s.scripts["answer"], rediskit.Place{Slot: slot},
		rediskit.Args{"id": string(a.ID), "answers": []byte(a.Answers), "mark": a.Mark, "who": a.Who})
	if err != nil {
		return "", rediskit.Unavailable(err)
	}
	switch reply.Word {
	case "answered":
		return job.State(reply.Str(0)), nil
	case "killed":
		return "", &job.NotWaiting{State: job.Killed}
	case "unknown":
		return "", job.ErrUnknown
	case "over":
		return "", &job.NotWaiting{State: job.State(reply.Str(0))}
	default:
		return "", &job.NotWaiting{State: job.State(reply.Str(0)), Reason: reply.Str(1)}
	}
}
