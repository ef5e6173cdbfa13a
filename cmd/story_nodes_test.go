package cmd_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// nodes are those of a topology that a story breaks.
type nodes struct {
	cluster  *redistest.Cluster  // one of both
	sentinel *redistest.Sentinel //
	down     map[*redistest.Own]func()
	lost     *redistest.Own // the master that was killed last
	heir     *redistest.Own // who follows it, on a cluster
	move     *redistest.Move
}

// masterWord breaks the master that serves an owner's jobs: master owner
// kill|stop|failover|elected.
func (s scene) masterWord(args []string) error {
	if err := need(args, 2, "master owner kill|stop|failover|elected"); err != nil {
		return err
	}
	if s.nodes == nil {
		return errors.New("this story stands on a single server")
	}
	key := s.tagOf(args[0])
	switch n := s.nodes; args[1] {
	case "kill", "stop":
		n.takeDown(key, args[1] == "kill")
	case "failover":
		if n.cluster != nil {
			n.cluster.Failover(key)
			return nil
		}
		n.sentinel.Failover()
	case "elected":
		if n.cluster != nil {
			n.cluster.AwaitMaster(key, n.heir)
			return nil
		}
		n.sentinel.AwaitAnother(n.lost)
	default:
		return fmt.Errorf("master %s: no such fate", args[1])
	}
	return nil
}

func (n *nodes) takeDown(key string, kill bool) {
	if n.cluster != nil {
		n.lost, n.heir = n.cluster.Shard(key)
	} else {
		n.lost = n.sentinel.Master()
	}
	if kill {
		n.lost.Kill()
		n.down[n.lost] = n.lost.Restart
		return
	}
	n.lost.Stop()
	n.down[n.lost] = n.lost.Cont
}

// nodesWord: nodes back brings back who is down, and waits until all is whole.
func (s scene) nodesWord(args []string) error {
	if err := need(args, 1, "nodes back"); err != nil {
		return err
	}
	for n, back := range s.nodes.down {
		back()
		delete(s.nodes.down, n)
	}
	if s.nodes.cluster != nil {
		s.nodes.cluster.AwaitWhole()
		return nil
	}
	s.nodes.sentinel.AwaitWhole()
	return nil
}

// slotWord moves the slot of an owner's partition to another master: slot owner
// begin, slot owner creep 20ms (key by key, with that pause), slot owner finish.
func (s scene) slotWord(args []string) error {
	if err := need(args, 2, "slot owner begin|creep pause|finish"); err != nil {
		return err
	}
	switch args[1] {
	case "begin":
		s.nodes.move = s.nodes.cluster.Move(s.tagOf(args[0]))
	case "finish":
		s.nodes.move.Finish()
	case "creep":
		pause, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for s.nodes.move.Keys(1) > 0 {
			<-tick.C
		}
	default:
		return fmt.Errorf("slot %s: no such step", args[1])
	}
	return nil
}

// tagOf is the key prefix of an owner's partition.
func (s scene) tagOf(owner string) string {
	ps := rediskit.Partitions{Fleet: s.name, Count: s.partitions}
	return string(ps.Slot(ps.Of(owner)))
}
