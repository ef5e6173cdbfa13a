package execution

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/checkpoint/directory"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// flaky is a store that can be taken away.
type flaky struct {
	checkpoint.Store

	away atomic.Bool
}

var errDown = errors.New("the disk is gone")

func (f *flaky) Put(ctx context.Context, name string, data []byte) error {
	if f.away.Load() {
		return errDown
	}
	return f.Store.Put(ctx, name, data)
}

func (f *flaky) Get(ctx context.Context, name string) ([]byte, error) {
	if f.away.Load() {
		return nil, errDown
	}
	return f.Store.Get(ctx, name)
}

// journalled is a journal on a real Redis whose states are in a directory.
func journalled(t *testing.T, kept int) (r *Redis, store *flaky, hold func(job.ID, job.Claim)) {
	t.Helper()
	s := redistest.Start(t)
	client, ps := s.Client(t), rediskit.Partitions{Fleet: s.Fleet, Count: 1}
	store = &flaky{Store: directory.New(t.TempDir())}
	r, err := NewRedis(rediskit.Runner{Client: client, Profile: rediskit.Server}, ps,
		States{Outside: &checkpoint.Outside{Store: store, Fleet: s.Fleet}, Kept: kept})
	require.NoError(t, err)
	return r, store, func(id job.ID, c job.Claim) {
		require.NoError(t, client.HSet(t.Context(), ps.Slot(0).Of("job", string(id)), "state", "running", "owner", "ann", "seq", "1", "worker", c.Worker, "epoch", c.Epoch).Err())
	}
}

func state(n uint64) job.Checkpoint {
	return job.Checkpoint{Seq: n, Node: "step", Data: fmt.Appendf(nil, "state %d", n)}
}

func TestAStateOutsideRedisCountsOnlyByItsRecord(t *testing.T) {
	r, store, hold := journalled(t, 2)
	ctx, first, second := t.Context(), job.Claim{Worker: "w1", Epoch: "1.a"}, job.Claim{Worker: "w2", Epoch: "2.b"}
	hold(id(1), first)
	require.NoError(t, r.Checkpoint(ctx, id(1), first, state(1)))
	require.NoError(t, r.Checkpoint(ctx, id(1), first, state(1)), "a retry is the same")

	hold(id(1), second)
	require.ErrorIs(t, r.Checkpoint(ctx, id(1), first, state(2)), job.ErrFenced)
	c, damaged, err := r.Last(ctx, id(1))
	require.NoError(t, err)
	require.Zero(t, damaged)
	require.Equal(t, "state 1", string(c.Data), "what a stale worker wrote is never read")

	for n := uint64(2); n <= 5; n++ {
		require.NoError(t, r.Checkpoint(ctx, id(1), second, state(n)))
	}
	c, _, err = r.Last(ctx, id(1))
	require.NoError(t, err)
	require.Equal(t, "state 5", string(c.Data))
	names, err := store.List(ctx, "", "", 100)
	require.NoError(t, err)
	require.Len(t, names, 3, "the last two, and the stale one for the sweeper: %v", names)

	newest := names[slices.IndexFunc(names, func(n string) bool { return strings.Contains(n, "/5-") })]
	require.NoError(t, store.Remove(ctx, newest))
	c, damaged, err = r.Last(ctx, id(1))
	require.NoError(t, err)
	require.Equal(t, 1, damaged)
	require.Equal(t, "state 4", string(c.Data))

	large := state(6)
	large.Data = make([]byte, checkpoint.Max+1)
	require.ErrorIs(t, r.Checkpoint(ctx, id(1), second, large), checkpoint.ErrTooLarge)
	after, err := store.List(ctx, "", "", 100)
	require.NoError(t, err)
	require.Len(t, after, len(names)-1, "nothing of it was kept")

	store.away.Store(true)
	_, _, err = r.Last(ctx, id(1))
	require.ErrorIs(t, err, checkpoint.ErrAway)
	err = r.Checkpoint(ctx, id(1), second, state(6))
	require.ErrorIs(t, err, checkpoint.ErrAway)
	require.ErrorIs(t, err, errDown)
}

func TestHowManyStatesAreKeptIsChecked(t *testing.T) {
	for kept, ok := range map[int]bool{0: true, 1: true, 100: true, -1: false, 101: false} {
		_, err := NewRedis(rediskit.Runner{}, rediskit.Partitions{Fleet: "f", Count: 1}, States{Kept: kept})
		require.Equal(t, ok, err == nil, kept)
	}
}

func TestACheckpointStoreThatIsAwayFailsTheAttemptAfterItsPatience(t *testing.T) {
	f := newFakes()
	tries := 0
	f.onSave = func(context.Context) error {
		tries++
		return fmt.Errorf("%w: no route", checkpoint.ErrAway)
	}
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		began := time.Now()
		err := rt.Checkpoint(ctx, job.Checkpoint{Seq: 1})
		require.ErrorIs(t, err, job.ErrRetryable, "another attempt may be luckier")
		require.ErrorIs(t, err, checkpoint.ErrAway)
		require.NotErrorIs(t, err, job.ErrUnavailable)
		require.InDelta(t, 60, time.Since(began).Seconds(), 2)
		require.Greater(t, tries, 100)
		require.NoError(t, ctx.Err(), "nothing else of the job was touched")
	})
}

func TestACheckpointStoreThatComesBackIsWaitedFor(t *testing.T) {
	f := newFakes()
	f.onSave = func(context.Context) error {
		if f.onSave = nil; true {
			return checkpoint.ErrAway
		}
		return nil
	}
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		require.NoError(t, rt.Checkpoint(ctx, job.Checkpoint{Seq: 1}))
		require.Len(t, f.saved, 1)
	})
}

// A store that hangs holds neither a kill nor a drain longer than any other tail;
// and a kill not until its lease is over, however short that is and however many
// states wait for the store.
func TestAStoreThatHangsHoldsNoStop(t *testing.T) {
	for _, c := range []struct {
		kind  job.StopKind
		trust time.Duration
		most  time.Duration
	}{
		{job.StopKilled, 10 * time.Second, tailFor},
		{job.StopKilled, 900 * time.Millisecond, 300 * time.Millisecond},
		{job.StopDraining, 10 * time.Second, tailFor},
		{job.StopDraining, 900 * time.Millisecond, tailFor},
	} {
		f := newFakes()
		f.onSave = func(ctx context.Context) error {
			<-ctx.Done() // a call that only its context ends
			return fmt.Errorf("%w: %w", checkpoint.ErrAway, ctx.Err())
		}
		synctest.Test(t, func(t *testing.T) {
			f.queue = []job.Granted{granted(1)}
			took := make(chan time.Duration, 1)
			r := start(t, Config{Trust: c.trust}, f, func(ctx context.Context, _ job.Work, rt job.Runtime) (job.Result, error) {
				stopped := make(chan time.Time, 1)
				defer context.AfterFunc(ctx, func() { stopped <- time.Now() })()
				time.AfterFunc(time.Second, func() { f.stop(id(1), &job.Stop{Kind: c.kind}) })
				var err error
				for n := range uint64(8) {
					err = rt.Checkpoint(ctx, job.Checkpoint{Seq: n + 1})
					require.ErrorIs(t, err, &job.Stop{Kind: c.kind})
				}
				took <- time.Since(<-stopped)
				return nil, err
			})
			require.LessOrEqual(t, <-took, c.most+50*time.Millisecond)
			require.NoError(t, r.stop())
		})
	}
}
