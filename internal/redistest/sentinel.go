package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MasterName is what the sentinels call the master that they watch.
const MasterName = "gavel"

// Sentinel is a master with two replicas, watched by three sentinels, for a test
// to use and to break.
type Sentinel struct {
	Nodes    []*Own
	Watchers []*Own

	clients  []*redis.Client
	watchers []*redis.SentinelClient
	t        testing.TB
}

// StartSentinel starts them and ends them with the test. When this returns the
// sentinels know each other and the replicas are in step.
func StartSentinel(t testing.TB, o HighOptions) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t}
	for i := range 3 {
		config := append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, o.Config...)
		if i > 0 {
			config = append(config, "--replicaof", strings.ReplaceAll(s.Nodes[0].Addr(), ":", " "))
		}
		s.Nodes = append(s.Nodes, startNode(t, Options{Config: config}))
		s.clients = append(s.clients, s.Nodes[i].Client(t))
	}
	s.await("the replicas are in step", func(ctx context.Context) error { return s.inStep(ctx, 0) })
	for range 3 {
		s.watch(o)
	}
	s.AwaitWhole()
	return s
}

// watch starts a sentinel. It writes what it learns into its file.
func (s *Sentinel) watch(o HighOptions) {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.Nodes[0].Addr())
	file := filepath.Join(s.t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 2\nsentinel down-after-milliseconds %[1]s %[4]d\nsentinel failover-timeout %[1]s %[5]d\n",
		MasterName, host, port, o.patience().Milliseconds(), 3*o.patience().Milliseconds())
	s.must("write a sentinel's file", os.WriteFile(file, []byte(text), 0o600))
	n := startNode(s.t, Options{ahead: []string{file, "--sentinel"}})
	s.Watchers = append(s.Watchers, n)
	c := redis.NewSentinelClient(&redis.Options{Addr: n.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	s.t.Cleanup(func() { _ = c.Close() })
	s.watchers = append(s.watchers, c)
	// By default a sentinel asks the nodes every 10 s, and the other sentinels hear
	// of it every 2 s.
	quick := redis.NewCmd(context.Background(), "SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "500", "PING-PERIOD", "250")
	s.must("hurry a sentinel", c.Process(context.Background(), quick))
}

// AwaitWhole waits until the sentinels agree on the master, know each other and
// both replicas, and those are in step.
func (s *Sentinel) AwaitWhole() {
	s.t.Helper()
	s.await("the sentinels see all", func(ctx context.Context) error {
		addr, err := s.agreed(ctx)
		if err != nil {
			return err
		}
		for _, w := range s.watchers {
			m := w.Master(ctx, MasterName).Val()
			if m["flags"] != "master" || m["num-slaves"] != "2" || m["num-other-sentinels"] != "2" {
				return fmt.Errorf("a sentinel sees %v", m)
			}
			for _, r := range w.Replicas(ctx, MasterName).Val() {
				if r["flags"] != "slave" || r["master-link-status"] != "ok" {
					return fmt.Errorf("a sentinel sees a replica: %v", r)
				}
			}
		}
		return s.inStep(ctx, s.place(addr))
	})
}

// agreed is the master that all sentinels name.
func (s *Sentinel) agreed(ctx context.Context) (string, error) {
	named := ""
	for _, w := range s.watchers {
		at, err := w.GetMasterAddrByName(ctx, MasterName).Result()
		if err != nil {
			return "", err
		}
		addr := net.JoinHostPort(at[0], at[1])
		if named != "" && addr != named {
			return "", fmt.Errorf("the sentinels name %s and %s", named, addr)
		}
		named = addr
	}
	if s.place(named) < 0 {
		return "", fmt.Errorf("the sentinels name a stranger: %q", named)
	}
	return named, nil
}

// inStep reports whether a node is a master with two replicas that have all.
func (s *Sentinel) inStep(ctx context.Context, master int) error {
	if master < 0 {
		return errors.New("no master")
	}
	facts := replication(ctx, s.clients[master])
	for _, replica := range []string{"slave0", "slave1"} {
		if facts["role"] != "master" || !strings.Contains(facts[replica], "state=online") {
			return fmt.Errorf("%s says of its replication: %v", s.Nodes[master].Addr(), facts)
		}
	}
	return nil
}

func (s *Sentinel) place(addr string) int {
	for i, n := range s.Nodes {
		if n.Addr() == addr {
			return i
		}
	}
	return -1
}

// URL names the sentinels; their master is [MasterName].
func (s *Sentinel) URL() string {
	hosts := make([]string, len(s.Watchers))
	for i, w := range s.Watchers {
		hosts[i] = w.Addr()
	}
	return "redis://" + strings.Join(hosts, ",")
}

// Client connects to whoever is master, for looking and for setting the scene.
func (s *Sentinel) Client(t testing.TB) *redis.Client {
	t.Helper()
	o := &redis.FailoverOptions{MasterName: MasterName, ContextTimeoutEnabled: true}
	for _, w := range s.Watchers {
		o.SentinelAddrs = append(o.SentinelAddrs, w.Addr())
	}
	c := redis.NewFailoverClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Master is the node that the sentinels name now.
func (s *Sentinel) Master() (n *Own) {
	s.t.Helper()
	s.await("the sentinels agree", func(ctx context.Context) error {
		addr, err := s.agreed(ctx)
		if err == nil {
			n = s.Nodes[s.place(addr)]
		}
		return err
	})
	return n
}

// Failover has the sentinels promote a replica, as an operator does. Redis does
// not wait for the replica: what the old master still takes is lost. It returns
// when the sentinels name another master.
func (s *Sentinel) Failover() (was, is *Own) {
	s.t.Helper()
	was = s.Master()
	s.await("a sentinel begins", func(ctx context.Context) error { return s.watchers[0].Failover(ctx, MasterName).Err() })
	return was, s.AwaitAnother(was)
}

// AwaitAnother waits until the sentinels name another master, which says that it
// is one.
func (s *Sentinel) AwaitAnother(than *Own) (is *Own) {
	s.t.Helper()
	s.await("another master than "+than.Addr(), func(ctx context.Context) error {
		addr, err := s.agreed(ctx)
		if err != nil {
			return err
		}
		is = s.Nodes[s.place(addr)]
		if is == than || replication(ctx, s.clients[s.place(addr)])["role"] != "master" {
			return errors.New("the old one is named still")
		}
		return nil
	})
	return is
}

func (s *Sentinel) await(what string, look func(context.Context) error) {
	s.t.Helper()
	await(s.t, what, look)
}

func (s *Sentinel) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("redistest: %s: %v", what, err)
	}
}
