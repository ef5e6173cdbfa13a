package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of three masters with a replica each, for a test to
// use and to break.
type Cluster struct {
	Nodes []*Own

	ids     []string // of the nodes, by place
	clients []*redis.Client
	t       testing.TB
}

const shards = 3

// StartCluster starts a cluster and ends it with the test. It is whole when this
// returns: every node knows every other, every replica is in step.
func StartCluster(t testing.TB, o HighOptions) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range 2 * shards {
		bus := strconv.Itoa(freePort())
		n := startNode(t, Options{Config: slices.Concat([]string{
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", bus,
			"--cluster-node-timeout", strconv.FormatInt(o.patience().Milliseconds(), 10),
			"--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0",
			"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
		}, o.Config)})
		c.Nodes = append(c.Nodes, n)
		c.clients = append(c.clients, n.Client(t))
		c.introduce(len(c.Nodes)-1, bus)
	}
	c.await("every node knows every other", func(ctx context.Context) error {
		return c.each(func(i int) error {
			if known := strings.Count(c.clients[i].ClusterNodes(ctx).Val(), "\n"); known != 2*shards {
				return fmt.Errorf("it knows %d of %d nodes", known, 2*shards)
			}
			return nil
		})
	})
	ctx := context.Background()
	for i := range shards {
		c.must("attach a replica", c.clients[shards+i].ClusterReplicate(ctx, c.ids[i]).Err())
	}
	c.AwaitWhole()
	return c
}

// introduce gives a new node its slots, if it is to be a master, and presents it
// to the first one.
func (c *Cluster) introduce(i int, bus string) {
	c.t.Helper()
	ctx, n := context.Background(), c.clients[i]
	c.must("number a node", n.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
	id, err := n.ClusterMyID(ctx).Result()
	c.must("ask a node's id", err)
	c.ids = append(c.ids, id)
	if i < shards {
		first, last := i*16384/shards, (i+1)*16384/shards-1
		c.must("give out slots", n.ClusterAddSlotsRange(ctx, first, last).Err())
	}
	if i > 0 {
		host, port, _ := net.SplitHostPort(c.Nodes[i].Addr())
		c.must("introduce a node", c.clients[0].Do(ctx, "CLUSTER", "MEET", host, port, bus).Err())
	}
}

// AwaitWhole waits until every node that runs sees all slots served, and every
// master has a replica in step.
func (c *Cluster) AwaitWhole() {
	c.t.Helper()
	c.await("the cluster is whole", func(ctx context.Context) error {
		return c.each(func(i int) error { return c.settled(ctx, i) })
	})
}

// settled says what a node lacks.
func (c *Cluster) settled(ctx context.Context, i int) error {
	facts := c.facts(ctx, i)
	state := c.clients[i].ClusterInfo(ctx).Val()
	nodes := c.clients[i].ClusterNodes(ctx).Val()
	switch {
	case !strings.Contains(state, "cluster_state:ok"), !strings.Contains(state, "cluster_slots_ok:16384"):
		return errors.New("it does not see all slots served")
	case strings.Contains(nodes, "fail"), strings.Contains(nodes, "handshake"):
		return errors.New("it sees a node that is away")
	case strings.Count(nodes, "master -") != shards:
		return errors.New("it does not see three masters")
	case facts["role"] == "master" && !strings.Contains(facts["slave0"], "state=online"):
		return errors.New("it has no replica in step")
	case facts["role"] == "slave" && facts["master_link_status"] != "up":
		return errors.New("its link to its master is not up")
	}
	for _, slots := range c.clients[i].ClusterSlots(ctx).Val() { //nolint:staticcheck // it is what clients ask
		if len(slots.Nodes) < 2 { // a replica is named to clients once the others have heard its offset
			return errors.New("it names no replica of some slots to clients")
		}
	}
	return nil
}

// facts is what a node says of its replication.
func (c *Cluster) facts(ctx context.Context, i int) map[string]string {
	return replication(ctx, c.clients[i])
}

// replication is what a server says of its part in replication.
func replication(ctx context.Context, c *redis.Client) map[string]string {
	facts := map[string]string{}
	for line := range strings.SplitSeq(c.Info(ctx, "replication").Val(), "\r\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			facts[k] = v
		}
	}
	return facts
}

// URL names the nodes, for who looks for the cluster.
func (c *Cluster) URL() string {
	hosts := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		hosts[i] = n.Addr()
	}
	return "redis://" + strings.Join(hosts, ",")
}

// Client connects to the cluster, for looking and for setting the scene.
func (c *Cluster) Client(t testing.TB) *redis.ClusterClient {
	t.Helper()
	o := &redis.ClusterOptions{ContextTimeoutEnabled: true}
	for _, n := range c.Nodes {
		o.Addrs = append(o.Addrs, n.Addr())
	}
	client := redis.NewClusterClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Slot is the slot of a key.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	slot, err := c.any().ClusterKeySlot(context.Background(), key).Result()
	c.must("ask for a slot", err)
	return int(slot)
}

// Shard returns the nodes that serve a key now: its master, and a replica.
func (c *Cluster) Shard(key string) (master, replica *Own) {
	c.t.Helper()
	slot := c.Slot(key)
	c.await("a master serves "+key, func(ctx context.Context) error {
		m, r := c.serving(ctx, slot)
		if m < 0 || r < 0 {
			return errors.New("none does")
		}
		master, replica = c.Nodes[m], c.Nodes[r]
		return nil
	})
	return master, replica
}

// serving are the places of a slot's master and of a replica of it, as the
// cluster sees it that is the first to answer; -1 for none.
func (c *Cluster) serving(ctx context.Context, slot int) (master, replica int) {
	slots, err := c.any().ClusterSlots(ctx).Result() //nolint:staticcheck // what clients of the cluster route by
	if err != nil {
		return -1, -1
	}
	at := func(addr string) int {
		return slices.IndexFunc(c.Nodes, func(n *Own) bool { return n.Addr() == addr })
	}
	for _, r := range slots {
		if r.Start <= slot && slot <= r.End && len(r.Nodes) > 1 {
			return at(r.Nodes[0].Addr), at(r.Nodes[1].Addr)
		}
	}
	return -1, -1
}

// Failover makes the replica of a key's shard its master, as an operator does who
// needs the machine: nothing is lost. It returns when all nodes agree.
func (c *Cluster) Failover(key string) (was, is *Own) {
	c.t.Helper()
	was, is = c.Shard(key)
	c.must("fail over", c.clients[c.place(is)].ClusterFailover(context.Background()).Err())
	c.AwaitMaster(key, is)
	return was, is
}

// AwaitMaster waits until every node that runs sees this one serve a key.
func (c *Cluster) AwaitMaster(key string, n *Own) {
	c.t.Helper()
	slot, want := c.Slot(key), n.Addr()
	c.await(want+" serves "+key, func(ctx context.Context) error {
		return c.each(func(i int) error {
			slots, err := c.clients[i].ClusterSlots(ctx).Result() //nolint:staticcheck // what clients of the cluster route by
			if err != nil {
				return err
			}
			for _, r := range slots {
				if r.Start <= slot && slot <= r.End && r.Nodes[0].Addr == want {
					return nil
				}
			}
			return errors.New("it sees another one do so")
		})
	})
}

// place is a node's place among all.
func (c *Cluster) place(n *Own) int { return slices.Index(c.Nodes, n) }

// any is a client of a node that answers.
func (c *Cluster) any() *redis.Client {
	for i, n := range c.Nodes {
		if n.up() && c.clients[i].Ping(context.Background()).Err() == nil {
			return c.clients[i]
		}
	}
	return c.clients[0]
}

// each asks every node that runs.
func (c *Cluster) each(ask func(i int) error) error {
	for i, n := range c.Nodes {
		if !n.up() {
			continue
		}
		if err := ask(i); err != nil {
			return fmt.Errorf("%s: %w", n.Addr(), err)
		}
	}
	return nil
}

func (c *Cluster) await(what string, look func(context.Context) error) {
	c.t.Helper()
	await(c.t, what, look)
}

func (c *Cluster) must(what string, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("redistest: %s: %v", what, err)
	}
}
