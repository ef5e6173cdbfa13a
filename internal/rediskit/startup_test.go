package rediskit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestAFleetIsEstablishedOnceAndFoundAgain(t *testing.T) {
	server := redistest.Start(t)
	run := rediskit.Runner{Client: server.Client(t), Profile: rediskit.Server}
	ps := rediskit.Partitions{Fleet: server.Fleet, Count: 3}

	first, err := rediskit.Establish(t.Context(), run, ps)
	require.NoError(t, err)
	require.Equal(t, ps, first.Partitions)
	require.Equal(t, rediskit.SchemaMax, first.Schema)
	require.Len(t, first.CursorKey, 32)
	require.NotEmpty(t, first.Warnings, "a server without an append-only file loses jobs at a restart")

	again, err := rediskit.Establish(t.Context(), run, ps)
	require.NoError(t, err)
	require.Equal(t, first.CursorKey, again.CursorKey, "cursors outlive the process that signed them")
	for _, p := range ps.All() {
		require.Equal(t, "3", run.Client.HGet(t.Context(), ps.Slot(p).Of("meta"), "partitions").Val())
	}
}

func TestAFleetIsFoundAsItIsAndNeverMade(t *testing.T) {
	server := redistest.Start(t)
	run := rediskit.Runner{Client: server.Client(t), Profile: rediskit.Server}
	_, err := rediskit.Find(t.Context(), run, server.Fleet)
	require.ErrorIs(t, err, rediskit.ErrNoFleet)
	ps := rediskit.Partitions{Fleet: server.Fleet, Count: 3}
	meta := ps.Slot(0).Of("meta")
	require.Zero(t, run.Client.Exists(t.Context(), meta).Val(), "to look for a fleet makes none")
	_, err = rediskit.Establish(t.Context(), run, ps)
	require.NoError(t, err)

	f, err := rediskit.Find(t.Context(), run, server.Fleet)
	require.NoError(t, err)
	require.Equal(t, ps, f.Partitions, "nobody has to know how many partitions there are")
	require.NoError(t, run.Client.HSet(t.Context(), meta, "schema", rediskit.SchemaMax+1).Err())
	_, err = rediskit.Find(t.Context(), run, server.Fleet)
	require.ErrorIs(t, err, rediskit.ErrUnfit)
	_, err = rediskit.Find(t.Context(), run, "no name")
	require.ErrorIs(t, err, rediskit.ErrUnfit)
}

func TestAFleetIsNotOpenedWithAnotherPartitionCount(t *testing.T) {
	server := redistest.Start(t)
	run := rediskit.Runner{Client: server.Client(t), Profile: rediskit.Server}
	_, err := rediskit.Establish(t.Context(), run, rediskit.Partitions{Fleet: server.Fleet, Count: 2})
	require.NoError(t, err)
	for _, count := range []int{1, 3, 256} {
		_, err := rediskit.Establish(t.Context(), run, rediskit.Partitions{Fleet: server.Fleet, Count: count})
		require.ErrorIs(t, err, rediskit.ErrUnfit)
		require.ErrorContains(t, err, "was created with 2 partitions")
	}
	require.Zero(t, run.Client.Exists(t.Context(), rediskit.NewSlot(server.Fleet, 2).Of("meta")).Val(), "a refusal leaves nothing")
}

func TestAFleetOfAnotherSchemaIsNotOpened(t *testing.T) {
	for _, schema := range []string{"0", "2", "x"} {
		server := redistest.Start(t)
		run := rediskit.Runner{Client: server.Client(t), Profile: rediskit.Server}
		ps := rediskit.Partitions{Fleet: server.Fleet, Count: 1}
		require.NoError(t, run.Client.HSet(t.Context(), ps.Slot(0).Of("meta"), "schema", schema).Err())
		_, err := rediskit.Establish(t.Context(), run, ps)
		require.ErrorIs(t, err, rediskit.ErrUnfit)
		require.ErrorContains(t, err, "its schema is "+schema)
	}
}

func TestAServerThatMayEvictIsRefused(t *testing.T) {
	own := redistest.StartOwn(t, redistest.Options{Config: []string{"--maxmemory-policy", "allkeys-lru"}})
	run := rediskit.Runner{Client: own.Client(t), Profile: rediskit.Server}
	ps := rediskit.Partitions{Fleet: own.Fleet, Count: 1}
	_, err := rediskit.Establish(t.Context(), run, ps)
	require.ErrorIs(t, err, rediskit.ErrUnfit)
	require.ErrorContains(t, err, `"allkeys-lru"`)
	require.Zero(t, run.Client.DBSize(t.Context()).Val(), "a refusal leaves nothing")

	require.NoError(t, run.Client.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	_, err = rediskit.Establish(t.Context(), run, ps)
	require.NoError(t, err)
}

func TestAFleetNeedsANameAndACount(t *testing.T) {
	for _, ps := range []rediskit.Partitions{
		{},
		{Fleet: "f"},
		{Fleet: "f", Count: 257},
		{Fleet: "f", Count: -1},
		{Fleet: "{f}:", Count: 1},
		{Fleet: "a fleet with a long and useless name", Count: 1},
	} {
		_, err := rediskit.Establish(t.Context(), rediskit.Runner{}, ps)
		require.ErrorIs(t, err, rediskit.ErrUnfit, "%+v", ps)
	}
}

// claims makes a server say what it is in the test's words.
type claims string

func (claims) DialHook(next redis.DialHook) redis.DialHook { return next }
func (claims) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c claims) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if info, ok := cmd.(*redis.StringCmd); ok && cmd.Name() == "info" {
			info.SetVal(string(c))
			return nil
		}
		return next(ctx, cmd)
	}
}

func establish(t *testing.T, info string) (rediskit.Fleet, error) {
	t.Helper()
	server := redistest.Start(t)
	client := server.Client(t)
	client.AddHook(claims(info))
	return rediskit.Establish(t.Context(), rediskit.Runner{Client: client, Profile: rediskit.Server},
		rediskit.Partitions{Fleet: server.Fleet, Count: 1})
}

func TestAServerThatIsTooOldIsRefused(t *testing.T) {
	for _, old := range []string{"6.2.20", "5.0.0", "", "nonsense"} {
		_, err := establish(t, "redis_version:"+old+"\r\naof_enabled:1\r\n")
		require.ErrorIs(t, err, rediskit.ErrUnfit, old)
		require.ErrorContains(t, err, "7.0 is the oldest")
	}
}

func TestAServerBelowASecurityFloorIsWarnedOf(t *testing.T) {
	for version, safe := range map[string]bool{
		"7.0.15": false, "7.2.10": false, "7.2.11": false, "7.4.5": false, "7.4.6": false,
		"8.0.6": false, "8.2.2": false, "8.4.0": false, "8.6.2": false, "8.6.3": true, "8.8.0": true, "9.0.0": true,
	} {
		f, err := establish(t, fmt.Sprintf("redis_version:%s\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n", version))
		require.NoError(t, err)
		require.Equal(t, safe, len(f.Warnings) == 0, "%s: %v", version, f.Warnings)
	}
	f, err := establish(t, "redis_version:8.6.3\r\naof_enabled:0\r\n")
	require.NoError(t, err)
	require.Len(t, f.Warnings, 1)
	require.Contains(t, f.Warnings[0], "appendonly is off")
}

func TestTheEmbeddedRedisIsFit(t *testing.T) {
	mem, err := rediskit.StartMemory()
	require.NoError(t, err)
	defer mem.Close()
	c, err := rediskit.Open(rediskit.Config{URL: mem.URL})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	f, err := rediskit.Establish(t.Context(), rediskit.Runner{Client: c.Jobs, Profile: rediskit.Embedded},
		rediskit.Partitions{Fleet: "dev", Count: 1})
	require.NoError(t, err)
	require.Empty(t, f.Warnings)
}
