package control_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/control"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/lease"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
	"github.com/rtfm-si/gavel/internal/stream"
)

// slack is what a busy machine may add to a deadline.
const slack = 2 * time.Second

// wired is a control plane that is reached over a link, and a road that is not.
type wired struct {
	t      *testing.T
	link   *redistest.Proxy
	direct *redis.Client
	ps     rediskit.Partitions
	slot   rediskit.Slot
	orders *control.Redis
	road   *stream.Redis
}

func newWired(t *testing.T) *wired {
	t.Helper()
	server := redistest.Start(t)
	w := &wired{t: t, link: redistest.NewProxy(t, server.Addr()), direct: server.Client(t), slot: rediskit.NewSlot(server.Fleet, 0)}
	clients, err := rediskit.Open(rediskit.Config{URL: w.link.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	w.ps = rediskit.Partitions{Fleet: server.Fleet, Count: 1}
	w.orders, err = control.NewRedis(rediskit.Runner{Client: clients.Lease, Profile: rediskit.Server}, w.ps, 15*time.Second, zap.NewNop())
	require.NoError(t, err)
	w.road, err = stream.NewRedis(rediskit.Runner{Client: w.direct, Profile: rediskit.Server}, w.ps, stream.Config{})
	require.NoError(t, err)
	return w
}

func (w *wired) submit(key string) job.ID {
	w.t.Helper()
	done, err := w.road.Submit(w.t.Context(), job.Submission{
		Owner: "ann", Submitter: "ann", Kind: "canary", Input: []byte(`{}`), IdempotencyKey: key, Digest: key,
	})
	require.NoError(w.t, err)
	return done.ID
}

// loaded has the script on the server: a lost NOSCRIPT would be no lost reply.
func (w *wired) loaded() *wired {
	w.t.Helper()
	_, err := w.kill(w.submit("warm-up"), "warm-up")
	require.NoError(w.t, err)
	return w
}

func (w *wired) kill(id job.ID, key string) (job.Receipt, error) {
	permit, err := access.Authorize(admin(), access.Kill, access.OneJob(id))
	require.NoError(w.t, err)
	return w.orders.Kill(w.t.Context(), permit, job.Order{Reason: "because of " + key, RequestedAt: time.Now()}, key)
}

func admin() access.Actor {
	return access.Actor{Subject: "root", Roles: []access.Role{access.Admin}, Credential: access.Credential{Kind: access.APIKey, ID: "k"}}
}

func (w *wired) entries(stream string) int64 {
	w.t.Helper()
	n, err := w.direct.XLen(w.t.Context(), w.slot.Of(stream)).Result()
	require.NoError(w.t, err)
	return n
}

func TestAKillWhoseReplyIsLostIsOneOrder(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]redistest.Then{"closed": redistest.Close, "silent": redistest.Silent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWired(t).loaded()
			id, audited := w.submit("k1"), w.entries("audit")
			rule := w.link.DropReplies(1, redistest.Containing("because of k1"), then)
			first, err := w.kill(id, "k1")
			require.NoError(t, err, "it is asked again, once")
			<-rule.Bitten()
			require.Equal(t, job.NotRunning, first.Verdict)
			again, err := w.kill(id, "k1")
			require.NoError(t, err)
			require.Equal(t, first.Order.ID, again.Order.ID)
			require.Equal(t, first.Tally, again.Tally)
			require.Equal(t, audited+1, w.entries("audit"), "one act, one entry")
		})
	}
}

func TestAKillThatNobodyCanAnswerIsNeverSaidToBeDone(t *testing.T) {
	t.Parallel()
	w := newWired(t).loaded()
	id, audited := w.submit("k1"), w.entries("audit")
	rule := w.link.DropReplies(2, redistest.Containing("because of k1"), redistest.Close)
	_, err := w.kill(id, "k1")
	require.ErrorIs(t, err, job.ErrOutcomeUnknown)
	<-rule.Bitten()
	r, err := w.kill(id, "k1")
	require.NoError(t, err)
	require.Equal(t, job.NotRunning, r.Verdict)
	require.EqualValues(t, 1, r.Tally.Targeted)
	require.Equal(t, audited+1, w.entries("audit"))
}

func TestAKillAllWhoseReplyIsLostIsOneOrder(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	permit, err := access.Authorize(admin(), access.KillFleet, access.WholeFleet())
	require.NoError(t, err)
	killAll := func(key string) (job.Receipt, error) {
		o := job.Order{Reason: "because of " + key, RequestedAt: time.Now()}
		return w.orders.KillAll(t.Context(), permit, o, key)
	}
	_, err = killAll("warm-up")
	require.NoError(t, err)
	for _, key := range []string{"a", "b", "c"} {
		w.submit(key)
	}
	hints, audited := w.entries("control"), w.entries("audit")
	rule := w.link.DropReplies(1, redistest.Containing("because of k1"), redistest.Close)
	first, err := killAll("k1")
	require.NoError(t, err)
	<-rule.Bitten()
	require.EqualValues(t, 3, first.Tally.Targeted, "the retry does not count the jobs that the first has taken")
	again, err := killAll("k1")
	require.NoError(t, err)
	require.Equal(t, first.Order.ID, again.Order.ID)
	require.Equal(t, first.Tally, again.Tally)
	require.Equal(t, hints+1, w.entries("control"))
	require.Equal(t, audited+1, w.entries("audit"))
}

// The job ends between the two reads that a receipt is made of.
func TestAReceiptAgreesWithItself(t *testing.T) {
	t.Parallel()
	w := newWired(t).loaded()
	clients, err := rediskit.Open(rediskit.Config{URL: "redis://" + w.direct.Options().Addr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	leases, err := lease.NewRedis(clients, rediskit.Server, w.ps, "w1")
	require.NoError(t, err)
	id := w.submit("k1")
	got, _, err := leases.Grant(t.Context(), 0, "n1", 1)
	require.NoError(t, err)
	require.Len(t, got, 1)
	ordered, err := w.kill(id, "k1")
	require.NoError(t, err)
	require.Equal(t, job.Waiting, ordered.Verdict)

	reads, tally := 0, redistest.Containing("hgetall", "tally:")
	rule := w.link.HoldReplies(1, func(request []byte) bool {
		if tally(request) {
			reads++
		}
		return reads == 1
	})
	told := make(chan job.Receipt, 1)
	go func() {
		r, err := w.orders.Receipt(context.WithoutCancel(t.Context()), ordered.Order.ID)
		assert.NoError(t, err)
		told <- r
	}()
	<-rule.Bitten()
	_, err = leases.Finish(t.Context(), job.Ending{ID: id, Claim: got[0].Claim, Outcome: job.Failed})
	require.NoError(t, err)
	rule.Release()
	r := <-told
	require.Equal(t, job.Stopped, r.Verdict)
	require.Equal(t, job.Quiesced, r.Stage, "a job that has stopped waits for nobody")
	require.Zero(t, r.Tally.Waiting)
	require.EqualValues(t, 1, r.Tally.Stopped)
}

func TestNoCallOfControlOutlivesItsDeadline(t *testing.T) {
	t.Parallel()
	w := newWired(t).loaded()
	id := w.submit("k1")
	w.link.Freeze()
	for name, call := range map[string]struct {
		most time.Duration
		do   func(context.Context) error
	}{
		"kill":  {2 * rediskit.CallTimeout, func(context.Context) error { _, err := w.kill(id, "k1"); return err }},
		"tip":   {rediskit.CallTimeout, func(ctx context.Context) error { _, err := w.orders.Tip(ctx, 0); return err }},
		"hints": {rediskit.ReadDeadline, func(ctx context.Context) error { _, _, err := w.orders.Hints(ctx, 0, "0-0"); return err }},
		"sweep": {rediskit.CallTimeout, func(ctx context.Context) error { _, err := w.orders.Sweep(ctx, 0, id); return err }},
		"fence": {rediskit.CallTimeout, func(ctx context.Context) error { _, _, err := w.orders.Fence(ctx, 0, job.Ripe{}, 1); return err }},
		"view":  {rediskit.CallTimeout, func(ctx context.Context) error { _, err := w.orders.View(ctx); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := time.Now()
			require.ErrorIs(t, call.do(context.WithoutCancel(t.Context())), job.ErrUnavailable)
			require.Less(t, time.Since(from), call.most+slack)
		})
	}
}
