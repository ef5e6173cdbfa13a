package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
	"github.com/rtfm-si/gavel/internal/stream"
)

// slack is what a busy machine may add to a deadline.
const slack = 2 * time.Second

// over is a road that is reached over a link, with its script loaded: a lost
// NOSCRIPT would be no lost reply.
func over(t *testing.T) (*stream.Redis, *redistest.Proxy, func() (live, entries int64)) {
	t.Helper()
	server := redistest.Start(t)
	link := redistest.NewProxy(t, server.Addr())
	clients, err := rediskit.Open(rediskit.Config{URL: link.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	ps := rediskit.Partitions{Fleet: server.Fleet, Count: 1}
	road, err := stream.NewRedis(rediskit.Runner{Client: clients.Jobs, Profile: rediskit.Server}, ps, stream.Config{})
	require.NoError(t, err)
	_, err = road.Submit(t.Context(), submission("warm-up"))
	require.NoError(t, err)
	direct, slot := server.Client(t), ps.Slot(0)
	return road, link, func() (int64, int64) {
		live, err := direct.ZCard(t.Context(), slot.Of("live")).Result()
		require.NoError(t, err)
		entries, err := direct.XLen(t.Context(), slot.Of("road")).Result()
		require.NoError(t, err)
		return live - 1, entries - 1
	}
}

func submission(key string) job.Submission {
	return job.Submission{Owner: "ann", Submitter: "ann", Kind: "canary", Input: []byte(`{}`), IdempotencyKey: key, Digest: "of-" + key}
}

func TestASubmitWhoseReplyIsLostMakesOneJob(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]redistest.Then{"closed": redistest.Close, "silent": redistest.Silent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			road, link, count := over(t)
			rule := link.DropReplies(1, redistest.Containing("of-k1"), then)
			first, err := road.Submit(t.Context(), submission("k1"))
			require.NoError(t, err, "the road asks again by itself, once")
			<-rule.Bitten()
			again, err := road.Submit(t.Context(), submission("k1"))
			require.NoError(t, err)
			require.Equal(t, first.ID, again.ID)
			require.False(t, again.Created)
			live, entries := count()
			require.EqualValues(t, 1, live)
			require.EqualValues(t, 1, entries)
		})
	}
}

func TestASubmitThatNobodyCanAnswerIsUnknownAndNotRefused(t *testing.T) {
	t.Parallel()
	road, link, count := over(t)
	rule := link.DropReplies(2, redistest.Containing("of-k1"), redistest.Close)
	_, err := road.Submit(t.Context(), submission("k1"))
	require.ErrorIs(t, err, job.ErrOutcomeUnknown, "it was accepted: to say no would be a lie")
	<-rule.Bitten()
	again, err := road.Submit(t.Context(), submission("k1"))
	require.NoError(t, err)
	require.False(t, again.Created)
	live, entries := count()
	require.EqualValues(t, 1, live)
	require.EqualValues(t, 1, entries)
}

// The first is accepted and its reply lost; the second is refused, because memory
// is full by then. What the second says is true of the second only.
func TestARefusalOfTheRetryDoesNotSpeakForTheFirst(t *testing.T) {
	t.Parallel()
	server := redistest.StartOwn(t, redistest.Options{})
	link := redistest.NewProxy(t, server.Addr())
	clients, err := rediskit.Open(rediskit.Config{URL: link.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	road, err := stream.NewRedis(rediskit.Runner{Client: clients.Jobs, Profile: rediskit.Server},
		rediskit.Partitions{Fleet: server.Fleet, Count: 1}, stream.Config{})
	require.NoError(t, err)
	_, err = road.Submit(t.Context(), submission("warm-up"))
	require.NoError(t, err)

	rule := link.HoldReplies(1, redistest.Containing("of-k1"))
	answer := make(chan error, 1)
	go func() {
		_, err := road.Submit(context.WithoutCancel(t.Context()), submission("k1"))
		answer <- err
	}()
	<-rule.Bitten()
	require.NoError(t, server.Client(t).ConfigSet(t.Context(), "maxmemory", "1").Err())
	link.Cut()
	link.Pass()
	require.ErrorIs(t, <-answer, job.ErrOutcomeUnknown)
}

func TestASubmitThatWasNotSentIsNotUnknown(t *testing.T) {
	t.Parallel()
	server := redistest.StartOwn(t, redistest.Options{})
	clients, err := rediskit.Open(rediskit.Config{URL: server.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	road, err := stream.NewRedis(rediskit.Runner{Client: clients.Jobs, Profile: rediskit.Server},
		rediskit.Partitions{Fleet: server.Fleet, Count: 1}, stream.Config{})
	require.NoError(t, err)
	server.Kill()
	_, err = road.Submit(t.Context(), submission("k1"))
	require.ErrorIs(t, err, job.ErrUnavailable)
	require.NotErrorIs(t, err, job.ErrOutcomeUnknown, "nobody listened: it was not done, and the caller may know")
}

func TestNoCallOfTheRoadOutlivesItsDeadline(t *testing.T) {
	t.Parallel()
	road, link, _ := over(t)
	id, err := rediskit.Partitions{Fleet: "f", Count: 1}.NewID(0)
	require.NoError(t, err)
	link.Freeze()
	for name, call := range map[string]struct {
		most time.Duration
		do   func(context.Context) error
	}{
		"submit":  {2 * rediskit.CallTimeout, func(ctx context.Context) error { _, err := road.Submit(ctx, submission("k1")); return err }},
		"promote": {rediskit.CallTimeout, func(ctx context.Context) error { _, _, err := road.Promote(ctx, 0, time.Now(), 1); return err }},
		"resume":  {rediskit.CallTimeout, func(ctx context.Context) error { _, err := road.Raise(ctx, id, 0, nil); return err }},
		"forget":  {rediskit.CallTimeout, func(ctx context.Context) error { _, err := road.Forget(ctx, 0, time.Now(), 1); return err }},
		"job":     {rediskit.CallTimeout, func(ctx context.Context) error { _, err := road.Job(ctx, id); return err }},
		"events":  {rediskit.ReadDeadline, func(ctx context.Context) error { _, err := road.Read(ctx, id, "", time.Hour, 1); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := time.Now()
			require.ErrorIs(t, call.do(context.WithoutCancel(t.Context())), job.ErrUnavailable)
			require.Less(t, time.Since(from), call.most+slack)
		})
	}
}
