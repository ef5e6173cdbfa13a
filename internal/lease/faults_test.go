package lease_test

import (
	"context"
	"crypto/rand"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/lease"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
	"github.com/rtfm-si/gavel/internal/stream"
)

// slack is what a busy machine may add to a deadline.
const slack = 2 * time.Second

// bench is a road, and workers that reach it over a link.
type bench struct {
	t      *testing.T
	link   *redistest.Proxy
	direct *redis.Client
	ps     rediskit.Partitions
	road   *stream.Redis
}

func newBench(t *testing.T) *bench {
	t.Helper()
	server := redistest.Start(t)
	b := &bench{
		t: t, link: redistest.NewProxy(t, server.Addr()), direct: server.Client(t),
		ps: rediskit.Partitions{Fleet: server.Fleet, Count: 1},
	}
	var err error
	b.road, err = stream.NewRedis(rediskit.Runner{Client: b.direct, Profile: rediskit.Server}, b.ps, stream.Config{})
	require.NoError(t, err)
	return b
}

// worker is one worker's leases over the link, with its scripts loaded: a lost
// NOSCRIPT would be no lost reply.
func (b *bench) worker(name string, conns int) *lease.Redis {
	b.t.Helper()
	clients, err := rediskit.Open(rediskit.Config{URL: b.link.URL(), ControlConns: conns})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, clients.Close()) })
	l, err := lease.NewRedis(clients, rediskit.Server, b.ps, name)
	require.NoError(b.t, err)
	ctx := b.t.Context()
	_, _, err = l.Grant(ctx, 0, rand.Text(), 1)
	require.NoError(b.t, err)
	nobody := job.Ending{ID: "0199a000-0000-7000-8000-00000000ff00", Claim: job.Claim{Worker: name, Epoch: "9.x"}, Outcome: job.Failed}
	for _, end := range endings(l) {
		_, err := end(ctx, nobody)
		require.ErrorIs(b.t, err, job.ErrFenced)
	}
	return l
}

// How long a kill took is told by Redis's clock alone, once: a retry is told
// which order it was.
func TestAConfirmationSaysHowLongTheKillTook(t *testing.T) {
	b := newBench(t)
	l := b.worker("w1", 2)
	g := b.running(l)
	key, ctx := b.ps.Slot(0).Of("job", string(g.Job.ID)), t.Context()
	now, err := b.direct.Time(ctx).Result()
	require.NoError(t, err)
	recorded := now.Add(-time.Second).UnixMicro()
	require.NoError(t, b.direct.HSet(ctx, key, "order", "O1", "order_at", recorded).Err())
	e := job.Ending{
		ID: g.Job.ID, Claim: g.Claim, Outcome: job.Killed,
		SinceDelivered: 700 * time.Millisecond, SinceCancelled: 600 * time.Millisecond, SinceReturned: 100 * time.Millisecond,
	}
	ended, err := l.Finish(ctx, e)
	require.NoError(t, err)
	require.NotNil(t, ended.Steps)
	require.GreaterOrEqual(t, ended.Steps.Delivered, 300*time.Millisecond)
	require.Less(t, ended.Steps.Delivered, 30*time.Second)
	require.Equal(t, 100*time.Millisecond, ended.Steps.Cancelled-ended.Steps.Delivered)
	require.Equal(t, 500*time.Millisecond, ended.Steps.Returned-ended.Steps.Cancelled)
	ended, err = l.Finish(ctx, e)
	require.NoError(t, err)
	require.Equal(t, job.Ended{State: job.Killed, Order: "O1"}, ended)
}

func endings(l *lease.Redis) map[string]func(context.Context, job.Ending) (job.Ended, error) {
	return map[string]func(context.Context, job.Ending) (job.Ended, error){
		"finish": l.Finish, "retry": l.Retry, "release": l.Release, "park": l.Park,
	}
}

func (b *bench) submit() job.ID {
	b.t.Helper()
	done, err := b.road.Submit(b.t.Context(), job.Submission{
		Owner: "ann", Submitter: "ann", Kind: "canary", Input: []byte(`{}`), IdempotencyKey: rand.Text(), Digest: "d",
	})
	require.NoError(b.t, err)
	return done.ID
}

// running has a worker hold a new job.
func (b *bench) running(l *lease.Redis) job.Granted {
	b.t.Helper()
	id := b.submit()
	got, _, err := l.Grant(b.t.Context(), 0, rand.Text(), 1)
	require.NoError(b.t, err)
	require.Len(b.t, got, 1)
	require.Equal(b.t, id, got[0].Job.ID)
	return got[0]
}

// where counts the places a job is in, and how often it is on the road.
func (b *bench) where(id job.ID) (places map[string]int) {
	b.t.Helper()
	ctx, slot := b.t.Context(), b.ps.Slot(0)
	places = map[string]int{}
	entries, err := b.direct.XRange(ctx, slot.Of("road"), "-", "+").Result()
	require.NoError(b.t, err)
	for _, e := range entries {
		if e.Values["job"] == string(id) {
			places["road"]++
		}
	}
	for _, set := range []string{"leases", "later", "over"} {
		if b.direct.ZScore(ctx, slot.Of(set), string(id)).Err() == nil {
			places[set]++
		}
	}
	return places
}

func (b *bench) events(id job.ID, kind string) (n int) {
	b.t.Helper()
	entries, err := b.direct.XRange(b.t.Context(), b.ps.Slot(0).Of("events", string(id)), "-", "+").Result()
	require.NoError(b.t, err)
	for _, e := range entries {
		if e.Values["type"] == kind {
			n++
		}
	}
	return n
}

func TestAGrantWhoseReplyIsLostIsGivenAgain(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]redistest.Then{"closed": redistest.Close, "silent": redistest.Silent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			w, id, nonce := b.worker("w1", 1), b.submit(), rand.Text()
			rule := b.link.DropReplies(1, redistest.Containing(nonce), then)
			from := time.Now()
			_, _, err := w.Grant(t.Context(), 0, nonce, 4)
			require.ErrorIs(t, err, job.ErrOutcomeUnknown)
			require.Less(t, time.Since(from), rediskit.CallTimeout+slack)
			<-rule.Bitten()
			require.Equal(t, map[string]int{"leases": 1}, b.where(id), "it was granted, and nobody knows")

			for range 2 {
				got, _, err := w.Grant(t.Context(), 0, nonce, 4)
				require.NoError(t, err)
				require.Len(t, got, 1)
				require.Equal(t, id, got[0].Job.ID)
				require.Equal(t, "1."+nonce, got[0].Claim.Epoch, "the same claim")
			}
			require.Equal(t, 1, b.events(id, "job.started"))
		})
	}
}

func TestAnEndWhoseReplyIsLostIsAnsweredTheSameAndHappensOnce(t *testing.T) {
	t.Parallel()
	after := map[string]struct {
		place, event string
		state        job.State
	}{
		"finish":  {"over", "job.succeeded", job.Succeeded},
		"retry":   {"later", "job.delayed", job.Delayed},
		"release": {"road", "job.released", job.Queued},
		"park":    {"later", "job.parked", job.Parked},
	}
	for verb, want := range after {
		for name, then := range map[string]redistest.Then{"closed": redistest.Close, "silent": redistest.Silent} {
			t.Run(verb+" "+name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				w := b.worker("w1", 1)
				g := b.running(w)
				end := endings(w)[verb]
				e := job.Ending{
					ID: g.Job.ID, Claim: g.Claim, Outcome: job.Succeeded, Cause: "done", Result: []byte(`{"a":1}`),
					Due: time.Now().Add(time.Hour), Reason: "input", SinceDelivered: -1, SinceCancelled: -1, SinceReturned: -1,
				}
				rule := b.link.DropReplies(1, redistest.Containing(g.Claim.Epoch), then)
				_, err := end(t.Context(), e)
				require.ErrorIs(t, err, job.ErrOutcomeUnknown)
				<-rule.Bitten()
				for range 2 {
					ended, err := end(t.Context(), e)
					require.NoError(t, err)
					require.Equal(t, want.state, ended.State)
				}
				require.Equal(t, map[string]int{want.place: 1}, b.where(g.Job.ID))
				require.Equal(t, 1, b.events(g.Job.ID, want.event))
			})
		}
	}
}

// A release is retried while its job runs elsewhere already, and an old entry of
// the job is still on the road: the job is in one place all the time.
func TestAnOldEntryBesideARetriedReleaseNeverMakesTwo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w1, w2 := b.worker("w1", 1), b.worker("w2", 1)
	g := b.running(w1)
	release := job.Ending{ID: g.Job.ID, Claim: g.Claim, Cause: "draining"}
	rule := b.link.DropReplies(1, redistest.Containing(g.Claim.Epoch), redistest.Close)
	_, err := w1.Release(t.Context(), release)
	require.ErrorIs(t, err, job.ErrOutcomeUnknown)
	<-rule.Bitten()
	stale := b.direct.XAdd(t.Context(), &redis.XAddArgs{Stream: b.ps.Slot(0).Of("road"), Values: []any{"job", string(g.Job.ID)}})
	require.NoError(t, stale.Err())

	got, _, err := w2.Grant(t.Context(), 0, rand.Text(), 1)
	require.NoError(t, err)
	require.Len(t, got, 1)
	_, err = w1.Release(t.Context(), release)
	require.NoError(t, err, "the retry gets the answer of the first")
	require.Equal(t, 1, b.where(g.Job.ID)["leases"])

	again, _, err := w2.Grant(t.Context(), 0, rand.Text(), 4)
	require.NoError(t, err)
	require.Empty(t, again, "the stale entry grants nothing")
	require.Equal(t, map[string]int{"leases": 1}, b.where(g.Job.ID))
	require.Equal(t, 1, b.events(g.Job.ID, "job.released"))

	_, err = w1.Finish(t.Context(), job.Ending{ID: g.Job.ID, Claim: g.Claim, Outcome: job.Succeeded, SinceDelivered: -1})
	require.ErrorIs(t, err, job.ErrFenced, "the old claim ends nobody else's run")
}

func TestNoCallOutlivesItsDeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker("w1", 2)
	g := b.running(w)
	b.link.Freeze()
	type timed struct {
		most time.Duration
		do   func(context.Context) error
	}
	calls := map[string]timed{
		"grant":   {rediskit.CallTimeout, func(ctx context.Context) error { _, _, err := w.Grant(ctx, 0, rand.Text(), 1); return err }},
		"wait":    {rediskit.ReadDeadline, func(ctx context.Context) error { _, err := w.Wait(ctx, 0); return err }},
		"leave":   {rediskit.CallTimeout, func(ctx context.Context) error { return w.Leave(ctx, 0, nil) }},
		"reclaim": {rediskit.CallTimeout, func(ctx context.Context) error { _, _, err := w.Reclaim(ctx, 0, job.Ripe{}, 1, time.Now()); return err }},
		"renew": {rediskit.CallTimeout, func(ctx context.Context) error {
			_, err := w.Renew(ctx, 0, nil, []lease.Held{{ID: g.Job.ID, Claim: g.Claim}})
			return err
		}},
	}
	for name, end := range endings(w) {
		calls[name] = timed{rediskit.CallTimeout, func(ctx context.Context) error {
			_, err := end(ctx, job.Ending{ID: g.Job.ID, Claim: g.Claim, Outcome: job.Failed})
			return err
		}}
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := time.Now()
			require.ErrorIs(t, call.do(context.WithoutCancel(t.Context())), job.ErrUnavailable)
			require.Less(t, time.Since(from), call.most+slack)
		})
	}
}

var blocked = regexp.MustCompile(`blocked_clients:([2-9]|[1-9][0-9])`)

// Every connection of the blocking client waits; a renewal does not.
func TestAStuckBlockingPoolDelaysNoRenewal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker("w1", 2)
	g := b.running(w)
	_, err := w.Renew(t.Context(), 0, nil, nil)
	require.NoError(t, err)
	require.NoError(t, b.direct.Del(t.Context(), b.ps.Slot(0).Of("wake")).Err())
	b.link.DropReplies(1_000_000, redistest.Containing("blpop"), redistest.Silent)
	stuck, stop := context.WithCancel(t.Context())
	var waits sync.WaitGroup
	for range 8 {
		waits.Go(func() {
			for stuck.Err() == nil {
				_, _ = w.Wait(stuck, 0) // it does not come back before its deadline
			}
		})
	}
	require.Eventually(t, func() bool {
		info, err := b.direct.Info(t.Context(), "clients").Result()
		return err == nil && blocked.MatchString(info)
	}, slack, time.Millisecond, "both connections of the pool wait")
	for range 20 {
		from := time.Now()
		beat, err := w.Renew(t.Context(), 0, nil, []lease.Held{{ID: g.Job.ID, Claim: g.Claim}})
		require.NoError(t, err, "a renewal that had to wait for a blocked connection runs into its deadline")
		require.False(t, beat.Renewals[0].Lost)
		require.Less(t, time.Since(from), rediskit.CallTimeout)
	}
	stop()
	waits.Wait()
}

// After a thaw at a rate a worker that was given nothing waits for the next turn,
// not for a token: nobody is woken when a turn has come.
func TestAWorkerWaitsForItsTurnAfterAThawAtARate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.worker("w1", 4)
	for range 3 {
		b.submit()
	}
	require.NoError(t, b.direct.HSet(t.Context(), b.ps.Slot(0).Of("gate"), "rate", "5", "interval", "200000").Err())
	require.NoError(t, b.direct.Del(t.Context(), b.ps.Slot(0).Of("wake")).Err())
	took := 0
	from := time.Now()
	for n := 0; took < 3; n++ {
		got, more, err := w.Grant(t.Context(), 0, "turn-"+strconv.Itoa(n), 5)
		require.NoError(t, err)
		took += len(got)
		require.LessOrEqual(t, len(got), 1)
		if !more && took < 3 {
			woken, err := w.Wait(t.Context(), 0)
			require.NoError(t, err)
			require.True(t, woken)
		}
	}
	require.GreaterOrEqual(t, time.Since(from), 390*time.Millisecond)
	require.Less(t, time.Since(from), 400*time.Millisecond+2*slack)
	require.Empty(t, b.direct.LPop(t.Context(), b.ps.Slot(0).Of("wake")).Val(), "nothing was pushed to wake anybody")
}
