package nemesis

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/rtfm-si/gavel/torture/rig"
)

// ofLosses are what may lose what Redis was told. They strike only where that is
// asked for, and each says when it did.
func ofLosses() []Nemesis {
	return []Nemesis{{"redis-power-loss", "bytes lost", powerLoss}, {"operator-deletes-gate", "gates", deleteGate}}
}

// ofTopologies are what happens to a Redis of several nodes.
func ofTopologies(h *rig.High) []Nemesis {
	all := []Nemesis{
		{"master-failover", "jobs that ran", failover},
		{"master-sigkill", "jobs that ran", func(ctx context.Context, s *Strike) int64 { return s.down(ctx, true) }},
		{"master-paused", "jobs that ran", func(ctx context.Context, s *Strike) int64 { return s.down(ctx, false) }},
		{"replica-paused", "jobs that ran", replicaAway},
		{"quorum-gone", "jobs that ran", quorumGone},
	}
	if h.Clustered() {
		all = append(all, Nemesis{"slot-moves", "keys moved", slotMoves})
	}
	if rig.OwnNetwork() {
		all = append(all, ofSplits()...)
	}
	return all
}

// reach is how far back a loss may go: what is on its way to a replica, or in the
// last second of a file.
const reach = 2 * time.Second

// powerLoss ends Redis and cuts off what its host had not written to the disk. As
// the runbook has it, the file is then written anew: a server that finds half a
// transaction at the end of its file does not run it, but leaves it there for the
// next start to run.
func powerLoss(ctx context.Context, s *Strike) int64 {
	r := s.Rig.Redis
	from := time.Now().Add(-reach)
	r.Kill()
	name, size := r.File()
	cut := min(size/4, 100+s.Int64N(20_000))
	err := os.Truncate(name, size-cut)
	pause(ctx, s.between(50*time.Millisecond, rig.Trust))
	if err == nil {
		err = r.Start(context.WithoutCancel(ctx))
	}
	if err == nil {
		err = r.Rewrite(context.WithoutCancel(ctx))
	}
	if err != nil {
		panic(fmt.Sprintf("redis does not come back: %v", err)) // nothing of the run would mean anything
	}
	s.Rig.Lost(from, time.Now())
	return cut
}

// deleteGate deletes what says that the fleet is frozen and what is dead: whoever
// has seen it freezes, and says it again.
func deleteGate(ctx context.Context, s *Strike) int64 {
	p := s.IntN(s.Rig.Partitions)
	if s.IntN(2) == 0 { // one that is closed, with a horizon over what waits
		s.Load.KillOwner(ctx)
		s.Load.Freeze(ctx)
		defer s.Load.Thaw(context.WithoutCancel(ctx))
	}
	n := s.Rig.Redis.Admin.Del(ctx, fmt.Sprintf("{%s:%d}:gate", rig.Name, p)).Val()
	s.Rig.GateDeleted()
	pause(ctx, s.between(rig.Trust, rig.Take))
	return n
}

// failover has a replica take over, as an operator does.
func failover(ctx context.Context, s *Strike) int64 {
	ctx = context.WithoutCancel(ctx)
	h, n := s.Rig.Redis.High, s.running(ctx)
	all := h.Masters(ctx)
	from := time.Now().Add(-reach)
	if len(all) == 0 || h.Failover(ctx, all[s.IntN(len(all))]) != nil {
		n = 0
	}
	s.whole(ctx, from)
	return n
}

// down takes a master away until another has taken over, and brings it back: one
// that was killed with its file, one that was paused as who believes that it is
// still the master.
func (s *Strike) down(ctx context.Context, kill bool) int64 {
	ctx = context.WithoutCancel(ctx)
	h, n := s.Rig.Redis.High, s.running(ctx)
	m, from := s.master(ctx)
	if m == nil {
		return 0
	}
	if kill {
		m.Kill()
	} else {
		_ = m.Signal(syscall.SIGSTOP)
	}
	if h.Another(ctx, m) != nil {
		n = 0
	}
	pause(ctx, s.between(0, rig.Take))
	if kill {
		back(ctx, m)
	} else {
		_ = m.Signal(syscall.SIGCONT)
	}
	s.whole(ctx, from)
	return n
}

// replicaAway keeps a replica from answering, for less than a failover takes: at
// replicated nothing can be promised meanwhile.
func replicaAway(ctx context.Context, s *Strike) int64 {
	h, n := s.Rig.Redis.High, s.running(ctx)
	r := h.Replica(ctx)
	_ = r.Signal(syscall.SIGSTOP)
	pause(ctx, s.between(200*time.Millisecond, 2*rig.Take))
	_ = r.Signal(syscall.SIGCONT)
	if err := h.Whole(context.WithoutCancel(ctx)); err != nil {
		panic(err.Error()) // nothing of the run would mean anything
	}
	return n
}

// master is one of the masters, nil when there is none, and since when what it was
// told may be lost.
func (s *Strike) master(ctx context.Context) (*rig.Redis, time.Time) {
	all := s.Rig.Redis.High.Masters(ctx)
	if len(all) == 0 {
		return nil, time.Time{}
	}
	return all[s.IntN(len(all))], time.Now().Add(-reach)
}

// back starts a node again that was killed.
func back(ctx context.Context, n *rig.Redis) {
	if err := n.Start(ctx); err != nil {
		panic(fmt.Sprintf("a node does not come back: %v", err)) // nothing of the run would mean anything
	}
}

// whole waits until a topology is whole again, and writes down since when what
// it was told may have been lost.
func (s *Strike) whole(ctx context.Context, from time.Time) {
	if err := s.Rig.Redis.High.Whole(ctx); err != nil {
		panic(err.Error()) // nothing of the run would mean anything
	}
	s.Rig.Lost(from, time.Now())
}
