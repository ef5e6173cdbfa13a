package rediskit_test

import (
	"context"
	"flag"
	"testing"
	"testing/fstest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// topologies is for what takes seconds to come up; make cluster says it.
var topologies = flag.Bool("topologies", false, "start clusters and sentinels too")

// moves is a script that decides by a key it only reads and writes one that it
// builds, as those of the rooms do.
const moves = `-- finish: queued -> running
-- KEYS:    live
-- READS:   gate
-- MAKES:   job
-- ARGV:    id
-- REPLY:   frozen done
if redis.call('EXISTS', K.gate) == 1 then return 'frozen' end
redis.call('ZADD', K.live, 1, A.id)
redis.call('HSET', P.job .. A.id, 'state', 'done')
return 'done'
`

func onCluster(t *testing.T) (*redistest.Cluster, rediskit.Clients) {
	t.Helper()
	if !*topologies {
		t.Skip("starts a cluster; make cluster runs it")
	}
	c := redistest.StartCluster(t, redistest.HighOptions{})
	clients, err := rediskit.Open(rediskit.Config{URL: c.URL(), Cluster: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	return c, clients
}

// While a slot moves some keys are on the one node and some on the other. Redis
// refuses only what it can see, so a gate that has not moved yet would be open.
func TestNoScriptRunsOnAClusterWhileItsSlotMoves(t *testing.T) {
	t.Parallel()
	cl, clients := onCluster(t)
	run := rediskit.Runner{Client: clients.Jobs, Profile: rediskit.Server}
	s, err := rediskit.Load(fstest.MapFS{"lua/finish.lua": {Data: []byte(moves)}}, "finish")
	require.NoError(t, err)
	slot := rediskit.NewSlot(redistest.NewFleet(), 0)
	ctx, look := context.Background(), cl.Client(t)
	require.NoError(t, look.ZAdd(ctx, slot.Of("live"), redis.Z{Member: "x"}).Err())
	require.NoError(t, look.HSet(ctx, slot.Of("gate"), "frozen", "1").Err())
	say := func() (string, error) {
		reply, err := run.Run(ctx, s, rediskit.Place{Slot: slot}, rediskit.Args{"id": "J"})
		return reply.Word, err
	}
	word, err := say()
	require.NoError(t, err)
	require.Equal(t, "frozen", word)

	move := cl.Move(slot.Of("live"))
	for _, moved := range []string{"", slot.Of("live"), slot.Of("gate")} {
		if moved != "" {
			move.Key(moved)
		}
		_, err := say()
		require.Error(t, err, "after %q moved", moved)
		require.Equal(t, rediskit.NotExecuted, rediskit.OutcomeOf(err), "%v", err)
	}
	move.Finish()
	require.Eventually(t, func() bool { word, err = say(); return err == nil }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, "frozen", word)
	require.Zero(t, look.Exists(ctx, slot.Of("job", "J")).Val())
}

func TestEveryNodeOfAClusterIsCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	cl, clients := onCluster(t)
	run := rediskit.Runner{Client: clients.Jobs, Profile: rediskit.Server}
	ps := rediskit.Partitions{Fleet: redistest.NewFleet(), Count: 4}
	_, err := rediskit.Establish(t.Context(), run, ps)
	require.NoError(t, err)
	for _, n := range cl.Nodes {
		c := n.Client(t)
		require.NoError(t, c.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
		_, err := rediskit.Establish(t.Context(), run, ps)
		require.ErrorIs(t, err, rediskit.ErrUnfit)
		require.ErrorContains(t, err, n.Addr())
		require.NoError(t, c.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	}
	master, _ := cl.Shard(string(ps.Slot(0)))
	require.NoError(t, master.Client(t).ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
	_, err = rediskit.CheckReplicas(t.Context(), clients.Jobs, 3*time.Second)
	require.ErrorIs(t, err, rediskit.ErrUnfit)
}

// Without it every call of a fleet in one slot would fail for as long as the
// client believes in the dead master.
func TestADeadMasterIsLeftWithinSeconds(t *testing.T) {
	t.Parallel()
	cl, clients := onCluster(t)
	key := rediskit.NewSlot(redistest.NewFleet(), 0).Of("seq")
	require.NoError(t, clients.Jobs.Set(t.Context(), key, 1, 0).Err())
	master, replica := cl.Shard(key)
	require.Eventually(t, func() bool { return replica.Client(t).DBSize(t.Context()).Val() > 0 }, 5*time.Second, 10*time.Millisecond)
	master.Kill()
	from := time.Now()
	require.Eventually(t, func() bool { return clients.Jobs.Incr(t.Context(), key).Err() == nil }, 20*time.Second, 20*time.Millisecond)
	t.Logf("writes again after %s", time.Since(from).Round(10*time.Millisecond))
	require.Less(t, time.Since(from), 10*time.Second)
}
