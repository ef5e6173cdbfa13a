package rediskit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrUnfit is wrapped when a fleet must not run on this Redis. The process
// says why and exits.
var ErrUnfit = errors.New("this redis is not fit for a fleet")

// ErrNoFleet is returned by [Find]: the name or the server is wrong.
var ErrNoFleet = errors.New("no fleet of that name lives in this redis")

// The schema versions this build can work with. Scripts only ever add.
const (
	SchemaMin = 1
	SchemaMax = 1
)

// Fleet is what a Redis remembers of the fleet that lives in it.
type Fleet struct {
	Partitions Partitions
	Schema     int
	// CursorKey signs the cursors that the API hands out.
	CursorKey []byte
	// Durability is what this process promises of what it records.
	Durability Durability
	// Warnings are for the log: a server below a security floor, no persistence.
	Warnings []string
}

// Establish checks the server and creates the fleet's meta record in every
// partition, or compares it with the one that is there. It refuses an evicting
// maxmemory-policy, a server older than 7.0, and another partition count or
// schema than the fleet was created with.
func Establish(ctx context.Context, r Runner, ps Partitions) (Fleet, error) {
	if err := ps.Check(); err != nil {
		return Fleet{}, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	f := Fleet{Partitions: ps, Schema: SchemaMax}
	if r.Profile == Server {
		warnings, err := checkServers(ctx, r.Client)
		if err != nil {
			return Fleet{}, err
		}
		f.Warnings = warnings
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return Fleet{}, fmt.Errorf("draw the cursor key: %w", err)
	}
	for _, p := range ps.All() {
		if err := f.meet(ctx, r.Client, p, key); err != nil {
			return Fleet{}, err
		}
	}
	return f, nil
}

// Find reads what a Redis remembers of a fleet. Unlike [Establish] it creates
// nothing and asks nothing of the server: whoever must stop a fleet takes it as
// it is. Every partition knows how many there are, so that any one which answers
// is enough; what the others hold is for the caller to miss.
func Find(ctx context.Context, r Runner, fleet string) (Fleet, error) {
	f := Fleet{Partitions: Partitions{Fleet: fleet, Count: 1}}
	if err := f.Partitions.Check(); err != nil {
		return Fleet{}, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	m, err := f.metaOf(ctx, r.Client, 0, 1)
	if m == nil && !Forbidden(err) {
		if other, otherErr := f.metaOf(ctx, r.Client, 1, maxPartitions); other != nil || err == nil {
			m, err = other, otherErr
		}
	}
	switch {
	case m != nil:
	case err != nil:
		return Fleet{}, fmt.Errorf("read the fleet's meta record: %w", err)
	default:
		return Fleet{}, fmt.Errorf("%w: %q", ErrNoFleet, fleet)
	}
	f.Partitions.Count, _ = strconv.Atoi(m["partitions"])
	if err := f.Partitions.Check(); err != nil {
		return Fleet{}, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	return f, f.takeSchema(m)
}

// metaOf is the meta record that the first of some partitions has; nil when those
// that answer have none, and the error of one that does not.
func (f *Fleet) metaOf(ctx context.Context, c redis.UniversalClient, from, to int) (map[string]string, error) {
	cctx, cancel := WithCall(ctx)
	defer cancel()
	pipe := c.Pipeline()
	var asked []*redis.MapStringStringCmd
	for p := from; p < to; p++ {
		asked = append(asked, pipe.HGetAll(cctx, f.Partitions.Slot(p).Of("meta")))
	}
	_, err := pipe.Exec(cctx) // it is the first of theirs
	for _, a := range asked {
		if len(a.Val()) > 0 {
			return a.Val(), nil
		}
	}
	return nil, Unread(err)
}

// takeSchema refuses a schema that this build does not know.
func (f *Fleet) takeSchema(m map[string]string) error {
	f.Schema, _ = strconv.Atoi(m["schema"])
	if f.Schema < SchemaMin || f.Schema > SchemaMax {
		return fmt.Errorf("%w: its schema is %s, this build works with %d to %d; use a build that matches", ErrUnfit, m["schema"], SchemaMin, SchemaMax)
	}
	return nil
}

func (f *Fleet) meet(ctx context.Context, c redis.UniversalClient, p int, key []byte) error {
	k := f.Partitions.Slot(p).Of("meta")
	pipe := c.Pipeline()
	pipe.HSetNX(ctx, k, "schema", SchemaMax)
	pipe.HSetNX(ctx, k, "partitions", f.Partitions.Count)
	pipe.HSetNX(ctx, k, "cursor_key", base64.StdEncoding.EncodeToString(key))
	got := pipe.HGetAll(ctx, k)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("read the fleet's meta record: %w", err)
	}
	m := got.Val()
	if n, _ := strconv.Atoi(m["partitions"]); n != f.Partitions.Count {
		return fmt.Errorf("%w: fleet %q was created with %s partitions, this process is configured for %d; the count is fixed for a fleet's life",
			ErrUnfit, f.Partitions.Fleet, m["partitions"], f.Partitions.Count)
	}
	if err := f.takeSchema(m); err != nil {
		return err
	}
	if p == 0 {
		f.CursorKey, _ = base64.StdEncoding.DecodeString(m["cursor_key"])
	}
	return nil
}

// checkServers checks the server, on a cluster each of them: a replica is the
// master of tomorrow. A replica that does not answer is looked at by nobody; a
// master that does not answer is no fleet's ground.
func checkServers(ctx context.Context, c redis.UniversalClient) ([]string, error) {
	cluster, ok := c.(*redis.ClusterClient)
	if !ok {
		return checkWatched(ctx, c)
	}
	var mu sync.Mutex
	warnings := map[string]bool{}
	check := func(ctx context.Context, node *redis.Client) error {
		said, err := checkServer(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		for _, w := range said {
			warnings[w] = true
		}
		if err != nil {
			err = fmt.Errorf("node %s: %w", node.Options().Addr, err)
		}
		return err
	}
	if err := cluster.ForEachMaster(ctx, check); err != nil {
		return nil, fmt.Errorf("check the cluster's masters: %w", err)
	}
	if err := cluster.ForEachSlave(ctx, check); errors.Is(err, ErrUnfit) {
		return nil, fmt.Errorf("check the cluster's replicas: %w", err)
	}
	return slices.Sorted(maps.Keys(warnings)), nil
}

// checkWatched checks a server, and behind sentinels its replicas: they are reached
// where the master says that they are, for the sentinels say the same.
func checkWatched(ctx context.Context, c redis.UniversalClient) ([]string, error) {
	warnings, err := checkServer(ctx, c)
	single, ok := c.(*redis.Client)
	if err != nil || !ok || single.Options().Addr != "FailoverClient" {
		return warnings, err
	}
	said, err := c.Info(ctx, "replication").Result()
	if err != nil {
		return nil, fmt.Errorf("ask the master for its replicas: %w", err)
	}
	for _, m := range replicaLine.FindAllStringSubmatch(said, -1) {
		o := *single.Options()
		o.Addr, o.Dialer, o.PoolSize = net.JoinHostPort(m[1], m[2]), nil, 1
		replica := redis.NewClient(&o)
		more, err := checkServer(ctx, replica)
		_ = replica.Close() // it was only asked
		if errors.Is(err, ErrUnfit) {
			return nil, fmt.Errorf("replica %s: %w", o.Addr, err)
		}
		warnings = append(warnings, more...)
	}
	slices.Sort(warnings)
	return slices.Compact(warnings), nil
}

var replicaLine = regexp.MustCompile(`slave\d+:ip=([^,]+),port=(\d+),`)

func checkServer(ctx context.Context, c redis.Cmdable) ([]string, error) {
	info, err := c.Info(ctx, "server", "memory", "persistence").Result()
	if err != nil {
		return nil, fmt.Errorf("ask the server what it is: %w", err)
	}
	facts := map[string]string{}
	for line := range strings.SplitSeq(info, "\r\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			facts[k] = v
		}
	}
	version := parseVersion(facts["redis_version"])
	if version[0] < 7 {
		return nil, fmt.Errorf("%w: it is version %s; 7.0 is the oldest that works", ErrUnfit, facts["redis_version"])
	}
	if policy := facts["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		return nil, fmt.Errorf("%w: its maxmemory-policy is %q, which may evict jobs, orders and checkpoints; set it to noeviction", ErrUnfit, policy)
	}
	var warn []string
	if facts["aof_enabled"] == "0" {
		warn = append(warn, "appendonly is off: a restart of redis loses every job; set appendonly yes")
	}
	if belowFloor(version) {
		warn = append(warn, "redis "+facts["redis_version"]+" is below the security floor (CVE-2025-49844: 7.2.11, 7.4.6, 8.2.2; CVE-2026-23479: 8.6.3); upgrade")
	}
	return warn, nil
}

func parseVersion(s string) [3]int {
	var v [3]int
	for i, part := range strings.SplitN(s, ".", 3) {
		v[i], _ = strconv.Atoi(part)
	}
	return v
}

// belowFloor reports whether a version lacks the fixes of CVE-2025-49844 (Lua)
// or CVE-2026-23479 (blocked clients, 7.2.0 to 8.6.2).
func belowFloor(v [3]int) bool {
	switch {
	case v[0] == 7 && v[1] < 2:
		return true
	case v[0] == 7 && v[1] == 2:
		return true
	case v[0] == 8 && v[1] == 6:
		return v[2] < 3
	case v[0] == 8:
		return v[1] < 6
	default:
		return v[0] < 8
	}
}

// CheckReplicas compares a master's min-replicas-max-lag, where it is in force,
// with the longest that the lease timing allows: a deposed master that goes on
// taking renewals for longer could let trust outlive T. It returns a warning when
// the server does not say, and wraps [ErrUnfit] when the lag is too long.
func CheckReplicas(ctx context.Context, c redis.UniversalClient, longest time.Duration) (warning string, err error) {
	cluster, ok := c.(*redis.ClusterClient)
	if !ok {
		return checkLag(ctx, c, longest)
	}
	var mu sync.Mutex
	err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		said, err := checkLag(ctx, node, longest)
		mu.Lock()
		defer mu.Unlock()
		warning = cmp.Or(warning, said)
		return err
	})
	if err != nil {
		err = fmt.Errorf("check the cluster's masters: %w", err)
	}
	return warning, err
}

func checkLag(ctx context.Context, c redis.Cmdable, longest time.Duration) (warning string, err error) {
	conf, err := c.ConfigGet(ctx, "min-replicas-*").Result()
	if err != nil {
		return "min-replicas-max-lag could not be read (" + err.Error() + "); with replicas it must be at most " + longest.String(), nil //nolint:nilerr // a user that may not ask is no reason to stop
	}
	if conf["min-replicas-to-write"] == "" || conf["min-replicas-to-write"] == "0" {
		return "", nil
	}
	lag, err := strconv.Atoi(conf["min-replicas-max-lag"])
	if err != nil || time.Duration(lag)*time.Second > longest {
		return "", fmt.Errorf("%w: its min-replicas-max-lag is %s s, the lease timing allows %v (T - S - 2 s); lower it, or use a longer T",
			ErrUnfit, conf["min-replicas-max-lag"], longest)
	}
	return "", nil
}
