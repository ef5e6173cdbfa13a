package rediskit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ReplicateFor is how long one call waits for the replicas. It leaves the call
// itself the rest of [CallTimeout].
const ReplicateFor = CallTimeout / 2

// ErrNotReplicated is wrapped when the master has done a call and too few replicas
// said in time that they have it. Its outcome is unknown: a failover may still
// take it back. Sent again it waits again.
var ErrNotReplicated = errors.New("not on every replica in time")

// Durability is what an answer to a person promises.
type Durability struct {
	// Replicas are so many as have to have what was recorded before it is said to
	// be; 0 is local: the master alone has it.
	Replicas int
}

// String is the word for it.
func (d Durability) String() string {
	if d.Replicas > 0 {
		return "replicated"
	}
	return "local"
}

// Keep calls a script as [Runner.Run] does, and where the runner's durability is
// replicated answers only when the replicas have what it wrote. One that they do
// not have in time is [ErrNotReplicated].
//
// It waits on the connection that the script went over: another one, or another
// node, would be waited for on behalf of something else.
func (r Runner) Keep(ctx context.Context, s *Script, at Place, args Args) (Reply, error) {
	if r.Durability.Replicas == 0 {
		return r.Run(ctx, s, at, args)
	}
	return r.call(ctx, s, at, args, nil, r.sendAndWait)
}

// tries are how often a call that a node refused is sent again: its slot was
// elsewhere, or it is no master any more.
const tries = 3

func (r Runner) sendAndWait(ctx context.Context, src *redis.Script, keys []string, argv []any) (any, error) {
	for n := 1; ; n++ {
		node, err := r.master(ctx, keys[0])
		if err != nil {
			return nil, err
		}
		raw, err := r.onNode(ctx, node, src, keys, argv)
		if err == nil || n == tries || OutcomeOf(err) != NotExecuted {
			return raw, err
		}
		if cluster, ok := r.Client.(*redis.ClusterClient); ok {
			cluster.ReloadState(ctx)
		}
		pause := time.NewTimer(time.Duration(n) * 50 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return raw, err
		}
	}
}

// master is the client of the one node that serves a key.
func (r Runner) master(ctx context.Context, key string) (redis.UniversalClient, error) {
	cluster, ok := r.Client.(*redis.ClusterClient)
	if !ok {
		return r.Client, nil
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("find the master of %s: %w", key, err)
	}
	return node, nil
}

func (r Runner) onNode(ctx context.Context, node redis.UniversalClient, src *redis.Script, keys []string, argv []any) (any, error) {
	pipe := node.Pipeline()
	said := src.EvalSha(ctx, pipe, keys, argv...)
	have := wait(ctx, pipe, r.Durability.Replicas, ReplicateFor)
	_, _ = pipe.Exec(ctx) // each command has its own error
	if redis.HasErrorPrefix(said.Err(), "NOSCRIPT") {
		pipe = node.Pipeline()
		said = src.Eval(ctx, pipe, keys, argv...)
		have = wait(ctx, pipe, r.Durability.Replicas, ReplicateFor)
		_, _ = pipe.Exec(ctx)
	}
	raw, err := said.Result()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the script, as for any other
	}
	return raw, r.enough(have)
}

func wait(ctx context.Context, pipe redis.Pipeliner, replicas int, within time.Duration) *redis.Cmd {
	return pipe.Do(ctx, "WAIT", replicas, within.Milliseconds())
}

// enough is nil when as many replicas answered as have to.
func (r Runner) enough(have *redis.Cmd) error {
	n, err := have.Int()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotReplicated, err)
	}
	if n < r.Durability.Replicas {
		return fmt.Errorf("%w: %d of %d have it", ErrNotReplicated, n, r.Durability.Replicas)
	}
	return nil
}

// Held reads hashes of one slot, and reports whether the replicas have them as
// they were read; under local durability that is never asked, and false.
func (r Runner) Held(ctx context.Context, keys ...string) (read []map[string]string, held bool, err error) {
	node, err := r.master(ctx, keys[0])
	if r.Durability.Replicas == 0 {
		node, err = r.Client, nil
	}
	if err != nil {
		return nil, false, Unread(err)
	}
	pipe := node.Pipeline()
	cmds := make([]*redis.MapStringStringCmd, len(keys))
	for i, k := range keys {
		cmds[i] = pipe.HGetAll(ctx, k)
	}
	var have *redis.Cmd
	if r.Durability.Replicas > 0 {
		have = wait(ctx, pipe, r.Durability.Replicas, ReplicateFor/5)
	}
	_, _ = pipe.Exec(ctx)
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			return nil, false, Unread(cmd.Err())
		}
		read = append(read, cmd.Val())
	}
	return read, have != nil && r.enough(have) == nil, nil
}

// CountReplicas is how many replicas in step the masters of a fleet's partitions
// have: of the one with the fewest.
func CountReplicas(ctx context.Context, c redis.UniversalClient, ps Partitions) (int, error) {
	least := -1
	for _, p := range ps.All() {
		node, err := Runner{Client: c}.master(ctx, ps.Slot(p).Of("meta"))
		if err != nil {
			return 0, err
		}
		info, err := node.Info(ctx, "replication").Result()
		if err != nil {
			return 0, fmt.Errorf("ask a master for its replicas: %w", err)
		}
		if n := strings.Count(info, "state=online"); least < 0 || n < least {
			least = n
		}
	}
	return least, nil
}

// CheckDurability wraps [ErrUnfit] when the masters have fewer replicas in step
// than have to have each order and job. want 0 takes all that are there.
func CheckDurability(ctx context.Context, c redis.UniversalClient, ps Partitions, want int) (Durability, error) {
	have, err := CountReplicas(ctx, c, ps)
	if err != nil {
		return Durability{}, Unread(err)
	}
	if have == 0 || have < want {
		return Durability{}, fmt.Errorf("%w: durability is replicated on %d replicas, and a master has %d in step; add replicas, lower --replicas, or promise less with --durability=local",
			ErrUnfit, max(want, 1), have)
	}
	if want == 0 {
		want = have
	}
	return Durability{Replicas: want}, nil
}
