package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// The topologies of Redis.
const (
	Single   = "single"
	Sentinel = "sentinel" // a master with two replicas, watched by three sentinels
	Cluster  = "cluster"  // three masters with a replica each
)

// masterName is what the sentinels call the master.
const masterName = "torture"

// downAfter is how long a silent node is waited for.
const downAfter = time.Second

// High is a Redis of several nodes. Processes learn the addresses of the nodes
// from each other, so no link stands between a process and Redis.
type High struct {
	kind     string
	dir      string
	Nodes    []*Redis
	watchers []*redis.SentinelClient
	seers    []*process
	addrs    []string // of those whom processes ask
}

// startHigh starts a topology and returns what the rig knows of it as its Redis.
func startHigh(ctx context.Context, dir, kind string) (*Redis, error) {
	if OwnNetwork() {
		if err := raise(ctx); err != nil {
			return nil, err
		}
	}
	h := &High{kind: kind, dir: dir}
	r := &Redis{dir: dir, host: newHost(dir), High: h}
	n := 3
	if kind == Cluster {
		n = 6
	}
	for i := range n {
		if err := h.node(ctx, i); err != nil {
			return r, err
		}
	}
	var err error
	if kind == Cluster {
		r.Admin, err = h.form(ctx)
	} else {
		r.Admin, err = h.watch(ctx)
	}
	if err != nil {
		return r, err
	}
	r.addr = h.Nodes[0].addr
	return r, h.Whole(ctx)
}

func (h *High) node(ctx context.Context, i int) error {
	n, err := newRedis(h.dir, fmt.Sprintf("redis%d", i+1), fmt.Sprintf("127.0.0.%d", 11+i))
	if err != nil {
		return err
	}
	n.args = []string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}
	switch {
	case h.kind == Cluster:
		bus, err := freeAddr(n.ip())
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(bus)
		n.args = append(n.args, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", port, "--cluster-node-timeout",
			strconv.FormatInt(downAfter.Milliseconds(), 10), "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0")
	case i > 0:
		n.args = append(n.args, "--replicaof", strings.ReplaceAll(h.Nodes[0].addr, ":", " "))
	}
	h.Nodes = append(h.Nodes, n)
	h.addrs = append(h.addrs, n.addr)
	return n.Start(ctx)
}

// form makes a cluster of the nodes.
func (h *High) form(ctx context.Context) (redis.UniversalClient, error) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		return nil, fmt.Errorf("a cluster needs redis-cli: %w", err)
	}
	args := append([]string{"--cluster", "create"}, h.addrs...)
	out, err := exec.CommandContext(ctx, cli, append(args, "--cluster-replicas", "1", "--cluster-yes")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("form a cluster: %w: %s", err, out)
	}
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: h.addrs, ContextTimeoutEnabled: true, ReadTimeout: 5 * time.Second, ClusterStateReloadInterval: time.Second}), nil
}

// watch starts the sentinels.
func (h *High) watch(ctx context.Context) (redis.UniversalClient, error) {
	h.addrs = nil
	host, port, _ := net.SplitHostPort(h.Nodes[0].addr)
	for i := range 3 {
		addr, err := freeAddr(fmt.Sprintf("127.0.0.%d", 21+i))
		if err != nil {
			return nil, err
		}
		ip, own, _ := net.SplitHostPort(addr)
		name := fmt.Sprintf("sentinel%d", i+1)
		file := filepath.Join(h.dir, name+".conf")
		text := fmt.Sprintf("port %[6]s\nbind %[8]s\nbind-source-addr %[8]s\nprotected-mode no\ndir %[7]s\nsentinel monitor %[1]s %[2]s %[3]s 2\n"+
			"sentinel down-after-milliseconds %[1]s %[4]d\nsentinel failover-timeout %[1]s %[5]d\n",
			masterName, host, port, downAfter.Milliseconds(), 3*downAfter.Milliseconds(), own, h.dir, ip)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("write a sentinel's file: %w", err)
		}
		p, err := launch(filepath.Join(h.dir, "logs"), name, "+monitor", exec.Command(h.Nodes[0].bin, file, "--sentinel"))
		if err != nil {
			return nil, err
		}
		h.seers, h.addrs = append(h.seers, p), append(h.addrs, addr)
		w := redis.NewSentinelClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
		h.watchers = append(h.watchers, w)
		// By default it asks the nodes every 10 s, the others hear of it every 2 s, and it
		// trusts itself again 30 s after it was paused.
		_ = w.Process(ctx, redis.NewCmd(ctx, "SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "500", "PING-PERIOD", "250", "TILT-PERIOD", "1000"))
	}
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: masterName, SentinelAddrs: h.addrs, ContextTimeoutEnabled: true, ReadTimeout: 5 * time.Second,
	}), nil
}

// environment is what a process is told of the topology.
func (h *High) environment(durability string) []string {
	vars := []string{"GAVEL_REDIS_URL=redis://" + strings.Join(h.addrs, ","), "GAVEL_DURABILITY=" + durability}
	replicas := "1"
	if h.kind == Cluster {
		vars = append(vars, "GAVEL_REDIS_CLUSTER=true")
	} else {
		replicas = "2"
		vars = append(vars, "GAVEL_REDIS_MASTER="+masterName)
	}
	if durability == "replicated" {
		vars = append(vars, "GAVEL_REPLICAS="+replicas)
	}
	return vars
}

// Whole waits until every node is there, in step, and known.
func (h *High) Whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		lacks := h.lacks(ctx)
		if lacks == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the %s is not whole: %w", h.kind, lacks)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (h *High) lacks(ctx context.Context) error {
	masters, in := 0, 0
	for _, n := range h.Nodes {
		facts := n.Admin.Info(ctx, "replication").Val()
		switch {
		case strings.Contains(facts, "role:master"):
			masters++
			in += strings.Count(facts, "state=online")
		case !strings.Contains(facts, "master_link_status:up"):
			return fmt.Errorf("%s has no link to its master", n.addr)
		}
		if h.kind == Cluster {
			state := n.Admin.ClusterInfo(ctx).Val()
			known := n.Admin.ClusterNodes(ctx).Val()
			if !strings.Contains(state, "cluster_slots_ok:16384") || strings.Contains(known, "fail") {
				return fmt.Errorf("%s does not see all", n.addr)
			}
		}
	}
	want := len(h.Nodes) - 1
	if h.kind == Cluster {
		want = 3
	}
	if masters != len(h.Nodes)-want || in != want {
		return fmt.Errorf("there are %d masters and %d replicas in step", masters, in)
	}
	for _, w := range h.watchers {
		m := w.Master(ctx, masterName).Val()
		if m["flags"] != "master" || m["num-slaves"] != "2" || m["num-other-sentinels"] != "2" || net.JoinHostPort(m["ip"], m["port"]) != h.master(ctx).addr {
			return fmt.Errorf("a sentinel sees %s, %s replicas, %s others", m["flags"], m["num-slaves"], m["num-other-sentinels"])
		}
	}
	return nil
}

// Masters are the nodes that say that they are masters.
func (h *High) Masters(ctx context.Context) (out []*Redis) {
	for _, n := range h.Nodes {
		if n.Leads(ctx) {
			out = append(out, n)
		}
	}
	return out
}

func (h *High) master(ctx context.Context) *Redis {
	if all := h.Masters(ctx); len(all) > 0 {
		return all[0]
	}
	return h.Nodes[0]
}

// Replica is a node that is none.
func (h *High) Replica(ctx context.Context) *Redis {
	masters := h.Masters(ctx)
	for _, n := range h.Nodes {
		if !slices.Contains(masters, n) {
			return n
		}
	}
	return h.Nodes[0]
}

// Failover has a replica of a master take over, as an operator does.
func (h *High) Failover(ctx context.Context, was *Redis) error {
	if h.kind == Sentinel {
		if err := h.watchers[0].Failover(ctx, masterName).Err(); err != nil {
			return fmt.Errorf("fail over: %w", err)
		}
		return h.Another(ctx, was)
	}
	if replicas := h.ReplicasOf(ctx, was); len(replicas) > 0 {
		if err := replicas[0].Admin.ClusterFailover(ctx).Err(); err != nil {
			return fmt.Errorf("fail over: %w", err)
		}
		return h.Another(ctx, was)
	}
	return fmt.Errorf("fail over: %s has no replica", was.addr)
}

// Another waits until there are as many masters as there should be without this
// one.
func (h *High) Another(ctx context.Context, than *Redis) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	want := 1
	if h.kind == Cluster {
		want = 3
	}
	for {
		masters := 0
		for _, n := range h.Nodes {
			short, done := context.WithTimeout(ctx, 500*time.Millisecond)
			if n != than && strings.Contains(n.Admin.Info(short, "replication").Val(), "role:master") {
				masters++
			}
			done()
		}
		if masters >= want {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("no replica takes over")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// close ends all.
func (h *High) close() error {
	var err error
	for _, p := range h.seers {
		p.kill()
	}
	for _, w := range h.watchers {
		err = errors.Join(err, w.Close())
	}
	for _, n := range h.Nodes {
		if p := n.process(); p != nil {
			_ = p.signal(syscall.SIGCONT) // it may have ended
			p.kill()
		}
		err = errors.Join(err, n.Admin.Close())
	}
	return err
}
