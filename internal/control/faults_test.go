package control_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/beat"
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
		"kill": {2 * rediskit.CallTimeout, func(context.Context) error { _, err := w.kill(id, "k1"); return err }},
		"tip":  {rediskit.CallTimeout, func(ctx context.Context) error { _, err := w.orders.Line("w1").Tip(ctx, 0); return err }},
		"hints": {rediskit.ReadDeadline, func(ctx context.Context) error {
			_, _, err := w.orders.Line("w1").Hints(ctx, 0, control.Cursor{"0-0", "0-0"})
			return err
		}},
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

// The records of a backlog say so only when a clerk has come by: nobody is shown
// a job as queued that can never start.
func TestAJobBehindAHorizonIsShownAsItIs(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	running := w.submit("k1")
	clients, err := rediskit.Open(rediskit.Config{URL: w.link.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	leases, err := lease.NewRedis(clients, rediskit.Server, w.ps, "w1")
	require.NoError(t, err)
	got, _, err := leases.Grant(t.Context(), 0, "n1", 1)
	require.NoError(t, err)
	require.Len(t, got, 1)
	queued := w.submit("k2")
	permit, err := access.Authorize(admin(), access.KillFleet, access.WholeFleet())
	require.NoError(t, err)
	order, err := w.orders.KillAll(t.Context(), permit, job.Order{Reason: "flood", RequestedAt: time.Now()}, "")
	require.NoError(t, err)

	raw, err := w.direct.HGet(t.Context(), w.slot.Of("job", string(queued)), "state").Result()
	require.NoError(t, err)
	require.Equal(t, "queued", raw, "no clerk runs here")
	dead, err := w.road.Job(t.Context(), queued)
	require.NoError(t, err)
	require.Equal(t, job.Killed, dead.Visible())
	require.True(t, dead.Unbooked)
	require.Equal(t, order.Order.ID, dead.Order)
	require.Equal(t, job.NotRunning, dead.Verdict)
	require.Equal(t, []string{"root", "flood"}, []string{dead.KilledBy, dead.KillReason})
	require.Equal(t, order.Order.RecordedAt, dead.KilledAt)
	held, err := w.road.Job(t.Context(), running)
	require.NoError(t, err)
	require.Equal(t, job.Killing, held.Visible(), "somebody holds it still")
	require.False(t, held.Unbooked)
	for state, want := range map[job.State]job.ID{job.Killed: queued, job.Killing: running} {
		page, err := w.road.List(t.Context(), job.Query{States: []job.State{state}, Limit: 10})
		require.NoError(t, err)
		require.Len(t, page.Jobs, 1)
		require.Equal(t, want, page.Jobs[0].ID)
	}
	page, err := w.road.List(t.Context(), job.Query{States: []job.State{job.Queued, job.Running}, Limit: 10})
	require.NoError(t, err)
	require.Empty(t, page.Jobs)

	_, err = w.orders.Sweep(t.Context(), 0, order.Order.ID)
	require.NoError(t, err)
	booked, err := w.road.Job(t.Context(), queued)
	require.NoError(t, err)
	require.False(t, booked.Unbooked)
	require.Equal(t, []any{dead.State, dead.Cause, dead.Verdict, dead.Order, dead.KilledBy, dead.KillReason, dead.KilledAt},
		[]any{booked.State, booked.Cause, booked.Verdict, booked.Order, booked.KilledBy, booked.KillReason, booked.KilledAt}, "nothing of it changes then")
}

// A dispatcher that is killed leaves its nonce behind; the others see that its
// beat stands still, and take it off.
func TestAKilledDispatcherLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	run := rediskit.Runner{Client: w.direct, Profile: rediskit.Server}
	sampler := func(name string) *beat.Sampler {
		s, err := beat.NewSampler(run, w.slot, name, beat.NewStillness(15*time.Second, 10*time.Millisecond))
		require.NoError(t, err)
		return s
	}
	_, _, err := sampler("dispatcher-dead").Tick(t.Context())
	require.NoError(t, err)
	k := control.Clerk{
		Control: w.orders, Samplers: map[int]control.Sampler{0: sampler("dispatcher-alive")}, Every: 10 * time.Millisecond,
		BuryAfter: time.Second, Log: zap.NewNop(),
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	names := func() []string { return w.direct.HKeys(context.WithoutCancel(t.Context()), w.slot.Of("reapers")).Val() }
	require.Eventually(t, func() bool { return len(names()) == 2 }, 5*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return slices.Equal(names(), []string{"dispatcher-alive"}) }, 20*time.Second, 10*time.Millisecond)
	stop()
	<-done
	require.Empty(t, names(), "one that leaves in order takes itself off")
}

// Somebody deletes the gate, and nothing else, while an owner's and the fleet's
// order wait for a worker. What ends then ends under its order.
func TestReceiptsSumUpThoughTheGateIsDeleted(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	clients, err := rediskit.Open(rediskit.Config{URL: w.link.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, clients.Close()) })
	leases, err := lease.NewRedis(clients, rediskit.Server, w.ps, "w1")
	require.NoError(t, err)
	for _, key := range []string{"a", "b", "c"} {
		w.submit(key)
	}
	held, _, err := leases.Grant(t.Context(), 0, "n1", 2)
	require.NoError(t, err)
	require.Len(t, held, 2)
	issue := func(may access.Act, scope access.Target) job.ID {
		permit, err := access.Authorize(admin(), may, scope)
		require.NoError(t, err)
		r, err := w.orders.KillAll(t.Context(), permit, job.Order{Reason: "stop", RequestedAt: time.Now()}, "")
		require.NoError(t, err)
		return r.Order.ID
	}
	owners := issue(access.KillOwner, access.JobsOf("ann"))
	later := w.submit("d")
	got, _, err := leases.Grant(t.Context(), 0, "n2", 3)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, later, got[0].Job.ID)
	fleets := issue(access.KillFleet, access.WholeFleet())

	require.NoError(t, w.direct.Del(t.Context(), w.slot.Of("gate")).Err())
	end := job.Ending{ID: held[0].Job.ID, Claim: held[0].Claim, Outcome: job.Killed}
	_, err = leases.Finish(t.Context(), end)
	require.ErrorIs(t, err, job.ErrUnavailable, "nobody can tell whose order it is")
	require.NotErrorIs(t, err, job.ErrOutcomeUnknown)
	_, err = w.road.Job(t.Context(), held[0].Job.ID)
	require.ErrorIs(t, err, job.ErrUnavailable)
	_, err = w.orders.Sweep(t.Context(), 0, fleets) // another dispatcher's, which has seen no gate
	require.NoError(t, err)
	for _, c := range append(held[:2:2], got[0]) {
		_, err = leases.Finish(t.Context(), job.Ending{ID: c.Job.ID, Claim: c.Claim, Outcome: job.Killed})
		require.NoError(t, err)
	}
	for _, id := range []job.ID{owners, fleets} {
		for word := "more"; word != "quiesced"; {
			word, err = w.orders.Sweep(t.Context(), 0, id)
			require.NoError(t, err)
			require.NotEqual(t, "waiting", word)
		}
	}
	of := func(id job.ID) job.Tally {
		r, err := w.orders.Receipt(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, job.Quiesced, r.Stage)
		return r.Tally
	}
	require.Equal(t, job.Tally{Targeted: 3, Stopped: 2, NotRunning: 1}, of(owners))
	require.Equal(t, job.Tally{Targeted: 1, Stopped: 1, CoveredBefore: 2}, of(fleets))
}
