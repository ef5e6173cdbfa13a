package rediskit_test

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// counts is a script whose retry gives the same success.
const counts = `-- finish: queued -> running
-- KEYS:    live
-- ARGV:    id
-- REPLY:   made there
if redis.call('ZADD', K.live, 1, A.id) == 0 then return 'there' end
return 'made'
`

func counting(t *testing.T) *rediskit.Script {
	t.Helper()
	s, err := rediskit.Load(fstest.MapFS{"lua/finish.lua": {Data: []byte(counts)}}, "finish")
	require.NoError(t, err)
	return s
}

// A server without replicas cannot promise that a failover takes nothing back.
func TestAPromiseThatNoReplicaCanKeepIsRefused(t *testing.T) {
	server := redistest.Start(t)
	ps := rediskit.Partitions{Fleet: server.Fleet, Count: 2}
	_, err := rediskit.CheckDurability(t.Context(), server.Client(t), ps, 0)
	require.ErrorIs(t, err, rediskit.ErrUnfit)
	require.ErrorContains(t, err, "has 0 in step")

	run := rediskit.Runner{Client: server.Client(t), Profile: rediskit.Server, Durability: rediskit.Durability{Replicas: 1}}
	at := rediskit.Place{Slot: ps.Slot(0)}
	_, err = run.Keep(t.Context(), counting(t), at, rediskit.Args{"id": "a"})
	require.ErrorIs(t, err, rediskit.ErrNotReplicated)
	require.ErrorIs(t, rediskit.Unavailable(err), job.ErrOutcomeUnknown, "it stands on the master")
	run.Durability = rediskit.Durability{}
	reply, err := run.Keep(t.Context(), counting(t), at, rediskit.Args{"id": "a"})
	require.NoError(t, err)
	require.Equal(t, "there", reply.Word)
	require.Equal(t, "local", run.Durability.String())
}

func TestWhatIsKeptIsOnEveryReplicaOfAClustersMaster(t *testing.T) {
	t.Parallel()
	cl, clients := onCluster(t)
	ps := rediskit.Partitions{Fleet: redistest.NewFleet(), Count: 4}
	_, err := rediskit.CheckDurability(t.Context(), clients.Jobs, ps, 2)
	require.ErrorIs(t, err, rediskit.ErrUnfit, "each master has one replica")
	d, err := rediskit.CheckDurability(t.Context(), clients.Jobs, ps, 0)
	require.NoError(t, err)
	require.Equal(t, 1, d.Replicas)
	require.Equal(t, "replicated", d.String())

	run := rediskit.Runner{Client: clients.Jobs, Profile: rediskit.Server, Durability: d}
	s := counting(t)
	keep := func(p int, id string) error {
		ctx, cancel := rediskit.WithCall(context.Background())
		defer cancel()
		_, err := run.Keep(ctx, s, rediskit.Place{Slot: ps.Slot(p)}, rediskit.Args{"id": id})
		return err
	}
	for _, p := range ps.All() {
		require.NoError(t, keep(p, "a"), "its script is loaded where it is missing")
	}
	live := ps.Slot(0).Of("live")
	_, replica := cl.Shard(live)
	replica.Stop()
	err = keep(0, "b")
	require.ErrorIs(t, err, rediskit.ErrNotReplicated)
	require.Equal(t, rediskit.Unknown, rediskit.OutcomeOf(err))
	_, held, err := run.Held(t.Context(), ps.Slot(0).Of("order", "x"))
	require.NoError(t, err)
	require.False(t, held, "what the replica does not have is not said to be there")
	replica.Cont()
	cl.AwaitWhole()
	require.Eventually(t, func() bool { return keep(0, "b") == nil }, 10*time.Second, 20*time.Millisecond, "the same call again")

	cl.Failover(live)
	require.Eventually(t, func() bool { return keep(0, "c") == nil }, 10*time.Second, 20*time.Millisecond, "a master that is one no more is left")
	move := cl.Move(live)
	require.Equal(t, rediskit.NotExecuted, rediskit.OutcomeOf(keep(0, "d")))
	move.Finish()
	require.Eventually(t, func() bool { return keep(0, "d") == nil }, 10*time.Second, 20*time.Millisecond)
	require.EqualValues(t, 4, cl.Client(t).ZCard(t.Context(), live).Val())
}
