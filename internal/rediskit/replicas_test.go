package rediskit_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestAReplicaLagThatLetsTrustOutliveTIsRefused(t *testing.T) {
	const longest = 3 * time.Second
	own := redistest.StartOwn(t, redistest.Options{})
	c := own.Client(t)
	ctx := context.Background()

	w, err := rediskit.CheckReplicas(ctx, c, longest)
	require.NoError(t, err, "it is not in force without replicas to write to")
	require.Empty(t, w)

	require.NoError(t, c.ConfigSet(ctx, "min-replicas-to-write", "1").Err())
	_, err = rediskit.CheckReplicas(ctx, c, longest) // 10 s by default
	require.ErrorIs(t, err, rediskit.ErrUnfit)
	require.ErrorContains(t, err, "10 s")

	require.NoError(t, c.ConfigSet(ctx, "min-replicas-max-lag", "3").Err())
	_, err = rediskit.CheckReplicas(ctx, c, longest)
	require.NoError(t, err)

	require.NoError(t, c.Do(ctx, "ACL", "SETUSER", "default", "-config").Err())
	w, err = rediskit.CheckReplicas(ctx, c, longest)
	require.NoError(t, err, "a user that may not ask is no reason to stop")
	require.Contains(t, w, "3s")
}
