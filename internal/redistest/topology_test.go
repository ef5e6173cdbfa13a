package redistest_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/redistest"
)

// topologies is for what takes seconds to come up; make cluster says it.
var topologies = flag.Bool("topologies", false, "start clusters and sentinels too")

func needsTopologies(t *testing.T) {
	t.Helper()
	if !*topologies {
		t.Skip("starts a cluster or sentinels; make cluster runs it")
	}
}

const settle = 20 * time.Second

// One test for all of a cluster's life: it takes seconds to come up.
func TestAClusterLosesAMasterFailsOverAndMovesASlot(t *testing.T) {
	t.Parallel()
	needsTopologies(t)
	cl := redistest.StartCluster(t, redistest.HighOptions{Patience: time.Second})
	c, ctx := cl.Client(t), context.Background()
	const key, other = "{a}:k", "{b}:k"
	require.NoError(t, c.Set(ctx, key, "1", 0).Err())
	require.NoError(t, c.Set(ctx, other, "1", 0).Err())

	was, is := cl.Failover(key)
	require.NotEqual(t, was.Addr(), is.Addr())
	cl.AwaitWhole()
	master, replica := cl.Shard(key)
	require.Equal(t, is, master)
	require.Equal(t, was, replica)

	master.Kill()
	cl.AwaitMaster(key, replica)
	require.Eventually(t, func() bool { return c.Get(ctx, key).Val() == "1" }, settle, 10*time.Millisecond, "its replica goes on")
	master.Restart()
	cl.AwaitWhole()
	now, _ := cl.Shard(key)
	require.Equal(t, replica, now, "who comes back is no master again")

	now.Stop()
	cl.AwaitMaster(key, master)
	now.Cont()
	cl.AwaitWhole()

	move := cl.Move(key)
	require.Equal(t, 1, move.Keys(10))
	require.Zero(t, move.Keys(10))
	move.Finish()
	moved, _ := cl.Shard(key)
	require.NotEqual(t, master, moved)
	require.Equal(t, "1", c.Get(ctx, key).Val())
}

func TestSentinelsPromoteAReplica(t *testing.T) {
	t.Parallel()
	needsTopologies(t)
	s := redistest.StartSentinel(t, redistest.HighOptions{Patience: time.Second})
	c, ctx := s.Client(t), context.Background()
	require.NoError(t, c.Set(ctx, "k", "1", 0).Err())
	require.EqualValues(t, 2, c.Wait(ctx, 2, time.Second).Val())

	was, is := s.Failover()
	require.NotEqual(t, was, is)
	s.AwaitWhole()
	require.Equal(t, is, s.Master())

	is.Kill()
	next := s.AwaitAnother(is)
	require.Eventually(t, func() bool { return c.Get(ctx, "k").Val() == "1" }, settle, 10*time.Millisecond)
	is.Restart()
	s.AwaitWhole()
	require.Equal(t, next, s.Master())
}
