package rediskit

import (
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/google/uuid"

	"github.com/rtfm-si/gavel/internal/job"
)

// ErrNoPartition is returned for an id that carries a partition the fleet does
// not have. The door answers it as it answers an unknown id.
var ErrNoPartition = errors.New("the id carries a partition this fleet does not have")

// Partitions is how a fleet's keys are divided: its name and how many
// partitions it was created with.
type Partitions struct {
	Fleet string
	Count int
}

// maxPartitions is what the last byte of a job's id can say.
const maxPartitions = 256

// Check refuses a count outside 1–256 and an unusable fleet name.
func (ps Partitions) Check() error {
	if ps.Count < 1 || ps.Count > maxPartitions {
		return fmt.Errorf("partitions: %d is outside 1–%d", ps.Count, maxPartitions)
	}
	return job.CheckName("fleet name", ps.Fleet, 32)
}

// Of returns the partition of an owner. All of one owner's jobs, caps, spend
// and orders are in it.
func (ps Partitions) Of(owner string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(owner))
	return int(h.Sum32() % uint32(ps.Count)) //nolint:gosec // Count is 1–256
}

// Slot returns the key prefix of partition p.
func (ps Partitions) Slot(p int) Slot { return NewSlot(ps.Fleet, p) }

// SlotOf returns the key prefix an id's keys live under, or [ErrNoPartition].
func (ps Partitions) SlotOf(id job.ID) (Slot, error) {
	p := id.Partition()
	if p < 0 || p >= ps.Count {
		return "", ErrNoPartition
	}
	return ps.Slot(p), nil
}

// NewID draws a UUIDv7 that carries the partition p.
func (ps Partitions) NewID(p int) (job.ID, error) {
	u, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("draw an id: %w", err)
	}
	return job.WithPartition(u.String(), p)
}

// All lists the partitions, 0 to Count-1.
func (ps Partitions) All() []int {
	all := make([]int, ps.Count)
	for p := range all {
		all[p] = p
	}
	return all
}
