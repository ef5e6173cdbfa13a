package redistest

import (
	"context"
	"net"
)

// Move is a slot on its way from one master of a cluster to another, key by key,
// while clients go on.
type Move struct {
	c        *Cluster
	key      string
	slot     int
	from, to int
}

// Move begins to move a key's slot to another master. Until [Move.Finish] scripts
// whose keys are not all on one side are refused.
func (c *Cluster) Move(key string) *Move {
	c.t.Helper()
	ctx := context.Background()
	m := &Move{c: c, key: key, slot: c.Slot(key)}
	source, _ := c.Shard(key)
	m.from = c.place(source)
	for i := range c.Nodes {
		if i != m.from && c.facts(ctx, i)["role"] == "master" {
			m.to = i
		}
	}
	c.must("take a slot", c.clients[m.to].Do(ctx, "CLUSTER", "SETSLOT", m.slot, "IMPORTING", c.ids[m.from]).Err())
	c.must("give a slot", c.clients[m.from].Do(ctx, "CLUSTER", "SETSLOT", m.slot, "MIGRATING", c.ids[m.to]).Err())
	return m
}

// Keys moves up to n keys and returns how many there were to move.
func (m *Move) Keys(n int) int {
	m.c.t.Helper()
	ctx := context.Background()
	keys, err := m.c.clients[m.from].ClusterGetKeysInSlot(ctx, m.slot, n).Result()
	m.c.must("list a slot", err)
	if len(keys) == 0 {
		return 0
	}
	m.carry(keys)
	return len(keys)
}

// Finish moves what is left and gives the slot to its new master. It returns when
// all nodes know it.
func (m *Move) Finish() {
	m.c.t.Helper()
	for left := 1; left > 0; {
		left = m.Keys(1000)
	}
	ctx := context.Background()
	for _, i := range []int{m.to, m.from} {
		m.c.must("settle a slot", m.c.clients[i].Do(ctx, "CLUSTER", "SETSLOT", m.slot, "NODE", m.c.ids[m.to]).Err())
	}
	m.c.AwaitMaster(m.key, m.c.Nodes[m.to])
}

// Key moves one key.
func (m *Move) Key(key string) {
	m.c.t.Helper()
	m.carry([]string{key})
}

func (m *Move) carry(keys []string) {
	m.c.t.Helper()
	host, port, _ := net.SplitHostPort(m.c.Nodes[m.to].Addr())
	words := []any{"MIGRATE", host, port, "", 0, startTime.Milliseconds(), "KEYS"}
	for _, k := range keys {
		words = append(words, k)
	}
	m.c.must("move keys", m.c.clients[m.from].Do(context.Background(), words...).Err())
}
