package stream

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Job reads one record whole. It returns [job.ErrUnknown] for an id that names
// nothing, whatever its shape or partition.
func (s *Redis) Job(ctx context.Context, id job.ID) (job.Job, error) {
	slot, err := s.partitions.SlotOf(id)
	if err != nil {
		return job.Job{}, job.ErrUnknown
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	pipe := s.run.Client.Pipeline()
	fields := pipe.HGetAll(cctx, slot.Of("job", string(id)))
	rules := rulesIn(cctx, pipe, slot)
	_, _ = pipe.Exec(cctx)
	if err := fields.Err(); err != nil {
		return job.Job{}, rediskit.Unread(err)
	}
	j, err := job.FromFields(fields.Val())
	if err != nil {
		return job.Job{}, err
	}
	behind, err := rules()
	if err != nil {
		return job.Job{}, err
	}
	return cover(j, behind), nil
}

// rule is one entry of the gate's rule list, as far as readers need it.
type rule struct {
	Rule   string `json:"rule"`
	Order  job.ID `json:"order"`
	Owner  string `json:"owner"`
	Seq    string `json:"seq"`
	At     string `json:"at"`
	Actor  string `json:"actor"`
	Reason string `json:"reason"`
}

// cover shows a live job that a horizon covers as it is: killed when nobody holds
// it, killing otherwise, before its own record says so.
func cover(j job.Job, rules string) job.Job {
	if rules == "" || j.Order != "" || j.State.Over() {
		return j
	}
	var list []rule
	if json.Unmarshal([]byte(rules), &list) != nil {
		return j
	}
	for _, r := range list {
		h, err := strconv.ParseUint(r.Seq, 10, 64)
		if r.Rule == "horizon" && err == nil && j.Seq <= h && (r.Owner == "" || r.Owner == j.Owner) {
			return j.Behind(r.Order, job.OrderMark{Actor: r.Actor, Reason: r.Reason, At: rediskit.Time(r.At)})
		}
	}
	return j
}
