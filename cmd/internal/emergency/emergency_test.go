package emergency

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
	"github.com/rtfm-si/gavel/internal/stream"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// byParity says on which of two servers a partition is: {fleet:P}.
type byParity struct{}

func (byParity) Get(tag string) string {
	p, _ := strconv.Atoi(tag[strings.LastIndex(tag, ":")+1:])
	return strconv.Itoa(p % 2)
}

// The shard that holds the fleet's first partition is down, and so is every
// dispatcher: the fleet is found by what answers and stopped there, what is missing
// is named, and is stopped too when it is back.
func TestAFleetWithoutItsFirstShardIsFoundAndStopped(t *testing.T) {
	t.Parallel()
	ctx, ps := t.Context(), rediskit.Partitions{Fleet: redistest.NewFleet(), Count: 4}
	var shards [2]*redistest.Own
	for i := range shards {
		shards[i] = redistest.StartOwn(t, redistest.Options{AOF: t.TempDir()})
	}
	ring := redis.NewRing(&redis.RingOptions{
		Addrs:      map[string]string{"0": shards[0].Addr(), "1": shards[1].Addr()},
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		HeartbeatFn:       func(context.Context, *redis.Client) bool { return true }, // a partition never moves
		NewConsistentHash: func([]string) redis.ConsistentHash { return byParity{} },
	})
	run := rediskit.Runner{Client: ring, Profile: rediskit.Server}
	_, err := rediskit.Find(ctx, run, ps.Fleet)
	require.ErrorIs(t, err, rediskit.ErrNoFleet)
	populate(t, run, ps)

	shards[0].Kill()
	found, err := rediskit.Find(ctx, run, ps.Fleet)
	require.NoError(t, err, "every partition knows how many there are")
	require.Equal(t, ps, found.Partitions)
	_, err = rediskit.Find(ctx, run, "another")
	require.ErrorIs(t, err, job.ErrUnavailable, "it may be on the shard that does not answer")

	clients := rediskit.Clients{Control: ring, Lease: ring, Jobs: ring}
	timing := settings.Timing{Renew: 100 * time.Millisecond, Trust: 400 * time.Millisecond, Take: 600 * time.Millisecond}
	f, err := stand(ctx, Config{Timing: timing, Subject: "kim", From: "desk", Log: zap.NewNop()}, settings.Fleet{Fleet: found, Clients: clients, Profile: rediskit.Server})
	require.NoError(t, err)
	defer func() { f.stop(); f.clerk.Wait(); require.NoError(t, ring.Close()) }()
	jobs, missing, err := f.Jobs(ctx)
	require.NoError(t, err)
	require.Equal(t, []int{0, 2}, missing)
	require.Equal(t, map[client.State]int64{client.Queued: 2}, jobs)

	r, err := f.KillAll(ctx, Order{Reason: "all doors and a shard are gone", Freeze: true, AllowResume: true})
	require.NoError(t, err)
	require.Equal(t, client.Recording, r.Stage)
	require.Equal(t, []int{0, 2}, r.Missing)
	require.Equal(t, int64(2), r.Tally.NotRunning)
	require.True(t, r.AllowResume)

	shards[0].Restart()
	patient, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r = f.Watch(patient, r, func(client.Receipt) {})
	require.Equal(t, client.Quiesced, r.Stage)
	require.Empty(t, r.Missing)
	require.Equal(t, int64(4), r.Tally.NotRunning)
}

// populate makes the fleet, with a queued job of an owner in every partition.
func populate(t *testing.T, run rediskit.Runner, ps rediskit.Partitions) {
	t.Helper()
	_, err := rediskit.Establish(t.Context(), rediskit.Runner{Client: run.Client, Profile: rediskit.Embedded}, ps) // a ring is asked for no server's facts
	require.NoError(t, err)
	road, err := stream.NewRedis(run, ps, stream.Config{})
	require.NoError(t, err)
	for i, there := 0, map[int]bool{}; len(there) < ps.Count; i++ {
		owner := "owner-" + strconv.Itoa(i)
		if there[ps.Of(owner)] {
			continue
		}
		there[ps.Of(owner)] = true
		id, err := uuid.NewV7()
		require.NoError(t, err)
		id[15] = byte(ps.Of(owner))
		_, err = road.Submit(t.Context(), job.Submission{
			ID: job.ID(id.String()), Owner: owner, Submitter: owner, Kind: "talk", Input: []byte("{}"), MaxAttempts: 3, IdempotencyKey: "k", Digest: "d",
		})
		require.NoError(t, err)
	}
}
