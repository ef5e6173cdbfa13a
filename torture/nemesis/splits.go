package nemesis

import (
	"context"
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/torture/rig"
)

// ofSplits are what happens between the nodes of a Redis, while everybody else
// still reaches all of them. They need a network of one's own.
func ofSplits() []Nemesis {
	return []Nemesis{
		{"master-split-off", "packets dropped", masterSplit},
		{"replica-split-off", "packets dropped", replicaSplit},
		{"failover-to-one-behind", "bytes behind", behind},
	}
}

// masterSplit cuts a master off from all nodes until another has taken over, and
// for a while on: two of them believe that they are the master, and clients reach
// both.
func masterSplit(ctx context.Context, s *Strike) int64 {
	ctx = context.WithoutCancel(ctx)
	h := s.Rig.Redis.High
	m, from := s.master(ctx)
	if m == nil {
		return 0
	}
	err := h.CutOff(ctx, m)
	if err == nil {
		err = h.Another(ctx, m)
	}
	pause(ctx, s.between(0, rig.Take))
	n := s.rejoin(ctx)
	s.whole(ctx, from)
	if err != nil {
		return 0
	}
	return n
}

// replicaSplit cuts a replica off from its master for less than the others wait
// before they say anything of it. At replicated nothing can be promised meanwhile.
func replicaSplit(ctx context.Context, s *Strike) int64 {
	ctx = context.WithoutCancel(ctx)
	h := s.Rig.Redis.High
	m, _ := s.master(ctx)
	if m == nil {
		return 0
	}
	replicas := h.ReplicasOf(ctx, m)
	if len(replicas) == 0 {
		return 0
	}
	err := h.CutOff(ctx, m, replicas[s.IntN(len(replicas))])
	pause(ctx, s.between(200*time.Millisecond, 2*rig.Take))
	n := s.rejoin(ctx)
	if whole := h.Whole(ctx); whole != nil {
		panic(whole.Error()) // nothing of the run would mean anything
	}
	if err != nil {
		return 0
	}
	return n
}

// behind has a replica take over that has not heard of its master for a while:
// what was written meanwhile is gone for good.
func behind(ctx context.Context, s *Strike) int64 {
	ctx = context.WithoutCancel(ctx)
	h := s.Rig.Redis.High
	m, from := s.master(ctx)
	if m == nil {
		return 0
	}
	replicas := h.ReplicasOf(ctx, m)
	err := h.CutOff(ctx, m, replicas...)
	pause(ctx, s.between(200*time.Millisecond, time.Second))
	wrote, heard := m.Offset(ctx), int64(0)
	m.Kill()
	for _, r := range replicas {
		heard = max(heard, r.Offset(ctx))
	}
	if err == nil {
		err = h.Another(ctx, m)
	}
	s.rejoin(ctx)
	pause(ctx, s.between(0, rig.Take))
	back(ctx, m)
	s.whole(ctx, from)
	if err != nil {
		return 0
	}
	return max(0, wrote-heard)
}

func (s *Strike) rejoin(ctx context.Context) int64 {
	n, err := s.Rig.Redis.High.Rejoin(ctx)
	if err != nil {
		panic(err.Error()) // nothing of the run would mean anything
	}
	return n
}

// quorumGone takes a master away and, before, most of those who could choose
// another: nobody takes over until they are back.
func quorumGone(ctx context.Context, s *Strike) int64 {
	ctx = context.WithoutCancel(ctx)
	h, n := s.Rig.Redis.High, s.running(ctx)
	m, from := s.master(ctx)
	if m == nil {
		return 0
	}
	replicas := h.ReplicasOf(ctx, m)
	h.Quorum(ctx, true, m)
	m.Kill()
	pause(ctx, s.between(rig.Take+rig.Trust, 2*rig.Take+rig.Trust))
	for _, r := range replicas {
		if r.Leads(ctx) {
			n = 0
		}
	}
	h.Quorum(ctx, false, m)
	if h.Another(ctx, m) != nil {
		n = 0
	}
	back(ctx, m)
	s.whole(ctx, from)
	return n
}

// slotMoves moves a partition to another node while everybody goes on. Nothing
// may be lost by that, and nothing that was dead may live.
func slotMoves(ctx context.Context, s *Strike) int64 {
	ctx = context.WithoutCancel(ctx)
	key := fmt.Sprintf("{%s:%d}:gate", rig.Name, s.IntN(s.Rig.Partitions))
	killed := make(chan struct{})
	kill := func() { defer close(killed); s.Load.KillAll(ctx, false) } // it insists, and has to wait for the slot
	if s.IntN(2) == 0 {
		kill = func() { close(killed) }
	}
	step := 0
	n, err := s.Rig.Redis.High.MoveSlot(ctx, key, func() {
		if step++; step == 2 {
			go kill()
		}
		pause(ctx, s.between(0, 100*time.Millisecond))
	})
	if step > 1 {
		<-killed
	}
	if err == nil {
		err = s.Rig.Redis.High.Whole(ctx)
	}
	if err != nil {
		panic(err.Error()) // nothing of the run would mean anything
	}
	return n
}
