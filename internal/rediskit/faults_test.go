package rediskit_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// slack is what a busy machine may add to a deadline.
const slack = 2 * time.Second

// behind opens the three clients of a process behind a link that can fail.
func behind(t *testing.T) (rediskit.Clients, *redistest.Proxy, *redistest.Server) {
	t.Helper()
	server := redistest.Start(t)
	link := redistest.NewProxy(t, server.Addr())
	clients, err := rediskit.Open(rediskit.Config{URL: link.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	for _, c := range []redis.UniversalClient{clients.Control, clients.Lease, clients.Jobs} {
		require.NoError(t, c.Ping(t.Context()).Err())
	}
	return clients, link, server
}

func TestAWriteWhoseReplyIsLostIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*redistest.Proxy){
		"closed": func(p *redistest.Proxy) { p.DropReplies(1, redistest.Containing("incr"), redistest.Close) },
		"silent": func(p *redistest.Proxy) { p.DropReplies(1, redistest.Containing("incr"), redistest.Silent) },
		"half open": func(p *redistest.Proxy) {
			p.FreezeReplies()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clients, link, server := behind(t)
			lose(link)
			key := string(rediskit.NewSlot(server.Fleet, 0)) + "n"
			from := time.Now()
			err := clients.Jobs.Incr(t.Context(), key).Err()
			require.Error(t, err)
			require.Equal(t, rediskit.Unknown, rediskit.OutcomeOf(err), "%v", err)
			require.Less(t, time.Since(from), rediskit.CallTimeout+slack)
			n, err := server.Client(t).Get(t.Context(), key).Int()
			require.NoError(t, err)
			require.Equal(t, 1, n, "a client that retries by itself does things twice")
			c := link.Counts()
			require.Positive(t, c.Dropped+c.Held, "the fault has bitten")
		})
	}
}

func TestNoCallOutlivesItsDeadlineOnAFrozenLink(t *testing.T) {
	t.Parallel()
	clients, link, server := behind(t)
	slot := rediskit.NewSlot(server.Fleet, 0)
	link.Freeze()
	for name, call := range map[string]struct {
		most time.Duration
		do   func(context.Context) error
	}{
		"a read without a deadline of its own": {rediskit.CallTimeout, func(context.Context) error {
			return clients.Jobs.Get(context.WithoutCancel(t.Context()), slot.Of("seq")).Err()
		}},
		"a write":    {rediskit.CallTimeout, func(ctx context.Context) error { return clients.Lease.Incr(ctx, slot.Of("seq")).Err() }},
		"a pipeline": {rediskit.CallTimeout, func(ctx context.Context) error { return pipelined(ctx, clients.Jobs, slot) }},
		"a blocking read": {rediskit.ReadDeadline, func(ctx context.Context) error {
			cctx, cancel := context.WithTimeout(ctx, rediskit.ReadDeadline)
			defer cancel()
			return clients.Control.XRead(cctx, &redis.XReadArgs{Streams: []string{slot.Of("control"), "0"}, Block: rediskit.BlockFor}).Err()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := time.Now()
			require.Error(t, call.do(t.Context()))
			require.Less(t, time.Since(from), call.most+slack)
		})
	}
}

func pipelined(ctx context.Context, c redis.UniversalClient, slot rediskit.Slot) error {
	pipe := c.Pipeline()
	pipe.Incr(ctx, slot.Of("seq"))
	pipe.Incr(ctx, slot.Of("seq"))
	_, err := pipe.Exec(ctx)
	return err
}

func TestASlowLinkIsNoFault(t *testing.T) {
	t.Parallel()
	clients, link, server := behind(t)
	link.Latency(200 * time.Millisecond)
	key := rediskit.NewSlot(server.Fleet, 0).Of("seq")
	for n := range 3 {
		got, err := clients.Jobs.Incr(t.Context(), key).Result()
		require.NoError(t, err)
		require.EqualValues(t, n+1, got)
	}
	require.Positive(t, link.Counts().Slowed)
}

func TestAfterAResetTheNextCallConnectsAnew(t *testing.T) {
	t.Parallel()
	clients, link, server := behind(t)
	key := rediskit.NewSlot(server.Fleet, 0).Of("seq")
	link.Reset()
	require.Error(t, clients.Jobs.Incr(t.Context(), key).Err())
	link.Pass()
	require.Eventually(t, func() bool { return clients.Jobs.Incr(t.Context(), key).Err() == nil }, 5*time.Second, 10*time.Millisecond)
	require.Positive(t, link.Counts().Ended)
}

// Redis's password is changed while a process runs: each new connection asks for
// the one of now, and nobody has to start anything again.
func TestAPasswordMayChangeWhileAProcessRuns(t *testing.T) {
	t.Parallel()
	server := redistest.StartOwn(t, redistest.Options{})
	admin := server.Client(t)
	say := func(words ...any) { require.NoError(t, admin.Do(t.Context(), words...).Err()) }
	say("ACL", "SETUSER", "fleet", "on", ">old", "~*", "&*", "+@all")
	var now atomic.Value
	now.Store("old")
	clients, err := rediskit.Open(rediskit.Config{
		URL: "redis://fleet@" + server.Addr(), Password: func() (string, error) { return now.Load().(string), nil }, //nolint:forcetypeassert // stored above
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	require.NoError(t, clients.Jobs.Ping(t.Context()).Err())

	say("ACL", "SETUSER", "fleet", "resetpass", ">new")
	require.NoError(t, clients.Jobs.Ping(t.Context()).Err(), "who is logged in stays so")
	say("CLIENT", "KILL", "USER", "fleet")
	require.Eventually(t, func() bool { return rediskit.Forbidden(clients.Jobs.Ping(t.Context()).Err()) }, slack, time.Millisecond)
	now.Store("new")
	require.Eventually(t, func() bool { return clients.Jobs.Ping(t.Context()).Err() == nil }, slack, time.Millisecond)
}
