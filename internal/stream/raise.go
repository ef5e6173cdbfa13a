package stream

import (
	"context"
	"strconv"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Raise brings a parked job back to the road by hand, with a raised budget (0 to
// keep it), and returns its state after it. It returns [job.ErrUnknown],
// [*job.NotParked], or [*job.BudgetUsedUp] for a budget that is spent already.
func (s *Redis) Raise(ctx context.Context, id job.ID, budget job.MicroUSD, who []byte) (job.State, error) {
	slot, err := s.partitions.SlotOf(id)
	if err != nil {
		return "", job.ErrUnknown
	}
	raise := ""
	if budget > 0 {
		raise = strconv.FormatInt(int64(budget), 10)
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := s.run.Keep(cctx, s.scripts["resume"], rediskit.Place{Slot: slot},
		rediskit.Args{"id": string(id), "answers": "", "budget": raise, "who": who})
	if err != nil {
		return "", rediskit.Unavailable(err)
	}
	switch reply.Word {
	case "resumed":
		return job.State(reply.Str(0)), nil
	case "killed":
		return "", &job.NotParked{State: job.Killed}
	case "unknown":
		return "", job.ErrUnknown
	case "short":
		return "", &job.BudgetUsedUp{Spent: job.MicroUSD(reply.Int(0)), Budget: job.MicroUSD(reply.Int(1))}
	default:
		return "", &job.NotParked{State: job.State(reply.Str(0))}
	}
}
