package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func (r *Redis) ip() string {
	ip, _, _ := net.SplitHostPort(r.addr)
	return ip
}

// Offset is how far a node has come in what its master writes.
func (r *Redis) Offset(ctx context.Context) int64 {
	if n := r.Info(ctx, "replication", "slave_repl_offset"); n > 0 {
		return n
	}
	return r.Info(ctx, "replication", "master_repl_offset")
}

// Leads says whether a node says that it is a master.
func (r *Redis) Leads(ctx context.Context) bool {
	return strings.Contains(r.Admin.Info(ctx, "replication").Val(), "role:master")
}

// Clustered says whether it is a cluster.
func (h *High) Clustered() bool { return h.kind == Cluster }

// ReplicasOf are the replicas of a master.
func (h *High) ReplicasOf(ctx context.Context, m *Redis) (out []*Redis) {
	ip, port, _ := net.SplitHostPort(m.addr)
	for _, n := range h.Nodes {
		facts := n.Admin.Info(ctx, "replication").Val()
		if strings.Contains(facts, "role:slave") && strings.Contains(facts, "master_host:"+ip+"\r\nmaster_port:"+port) {
			out = append(out, n)
		}
	}
	return out
}

// CutOff splits a node from others; from all nodes and sentinels, if none is
// named. Clients still reach everybody.
func (h *High) CutOff(ctx context.Context, n *Redis, from ...*Redis) error {
	var there []string
	if len(from) == 0 {
		from = h.Nodes
		for i := range h.seers {
			ip, _, _ := net.SplitHostPort(h.addrs[i])
			there = append(there, ip)
		}
	}
	for _, other := range from {
		if other != n {
			there = append(there, other.ip())
		}
	}
	return split(ctx, []string{n.ip()}, there)
}

// Rejoin takes every split back, and counts the packets that were dropped.
func (h *High) Rejoin(ctx context.Context) (int64, error) { return rejoin(ctx) }

// Quorum takes away, or gives back, so many of those who choose a master that the
// others may not choose: two of three sentinels, or two masters of a cluster. It
// spares one node.
func (h *High) Quorum(ctx context.Context, gone bool, spared *Redis) {
	sig := syscall.SIGCONT
	if gone {
		sig = syscall.SIGSTOP
	}
	for i := range min(2, len(h.seers)) {
		_ = h.seers[i].signal(sig) // it may have ended
	}
	if h.kind != Cluster {
		return
	}
	for _, n := range h.Nodes {
		if n != spared && (!gone || n.Leads(ctx)) {
			_ = n.Signal(sig) // it may have ended
		}
	}
}

// MoveSlot moves a key's slot to another master while clients go on, a few keys at
// a time, and counts them. pause lies between any two steps.
func (h *High) MoveSlot(ctx context.Context, key string, pause func()) (moved int64, err error) {
	slot, err := h.Nodes[0].Admin.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return 0, fmt.Errorf("find a slot: %w", err)
	}
	from, to, err := h.ends(ctx, slot)
	if err != nil {
		return 0, err
	}
	ids := map[*Redis]string{}
	for _, n := range []*Redis{from, to} {
		if ids[n], err = n.Admin.Do(ctx, "CLUSTER", "MYID").Text(); err != nil {
			return 0, fmt.Errorf("ask who a node is: %w", err)
		}
	}
	err = errors.Join(
		to.Admin.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from]).Err(),
		from.Admin.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to]).Err())
	for err == nil {
		pause()
		n, failed := carry(ctx, from, to, int(slot))
		if moved, err = moved+n, failed; n == 0 {
			break
		}
	}
	if err != nil {
		return moved, fmt.Errorf("move slot %d: %w", slot, err)
	}
	for _, n := range append([]*Redis{to, from}, h.Masters(ctx)...) {
		if err := n.Admin.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", ids[to]).Err(); err != nil {
			return moved, fmt.Errorf("settle slot %d: %w", slot, err)
		}
	}
	return moved, nil
}

// ends are who has a slot, and who gets it.
func (h *High) ends(ctx context.Context, slot int64) (from, to *Redis, err error) {
	ranges, err := h.Nodes[0].Admin.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, nil, fmt.Errorf("find whose slot it is: %w", err)
	}
	owner := ""
	for _, r := range ranges {
		if int64(r.Start) <= slot && slot <= int64(r.End) && len(r.Nodes) > 0 {
			owner = r.Nodes[0].Addr
		}
	}
	for _, n := range h.Masters(ctx) {
		if n.addr == owner {
			from = n
		} else {
			to = n
		}
	}
	if from == nil || to == nil {
		return nil, nil, fmt.Errorf("slot %d of %q has nowhere to go", slot, owner)
	}
	return from, to, nil
}

// carry moves some keys of a slot, and counts them.
func carry(ctx context.Context, from, to *Redis, slot int) (int64, error) {
	keys, err := from.Admin.ClusterGetKeysInSlot(ctx, slot, 200).Result()
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	ip, port, _ := net.SplitHostPort(to.addr)
	words := []any{"MIGRATE", ip, port, "", 0, strconv.FormatInt((5 * time.Second).Milliseconds(), 10), "KEYS"}
	for _, k := range keys {
		words = append(words, k)
	}
	return int64(len(keys)), from.Admin.Do(ctx, words...).Err()
}
