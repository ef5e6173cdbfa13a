package execution

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestDrainHandsEveryJobBackWithinTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2), granted(3))
		r := start(t, Config{}, f, func(ctx context.Context, w job.Work, rt job.Runtime) (job.Result, error) {
			<-ctx.Done()
			time.Sleep(2 * time.Second) // to its checkpoint
			return nil, rt.Checkpoint(ctx, job.Checkpoint{Seq: 1})
		})
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.stop())
		require.Less(t, time.Since(began), 5*time.Second)
		require.Len(t, f.saved, 3, "a checkpoint is still taken after the stop")
		require.Equal(t, []string{"finish succeeded done", "finish succeeded done", "finish succeeded done"}, f.written())
	})
}

func TestDrainLetsJobsFinishFirstWhenToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2))
		r := start(t, Config{DrainFinish: time.Minute}, f, func(ctx context.Context, w job.Work, _ job.Runtime) (job.Result, error) {
			long := 30 * time.Second
			if w.ID == id(2) {
				long = time.Hour
			}
			select {
			case <-time.After(long):
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		synctest.Wait()
		require.NoError(t, r.stop())
		require.Equal(t, []string{"finish succeeded done", "release draining"}, f.written())
	})
}

func TestASecondSignalSkipsTheGraceAndStillHandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2))
		r := start(t, Config{DrainFinish: time.Hour}, f, func(ctx context.Context, w job.Work, _ job.Runtime) (job.Result, error) {
			<-ctx.Done()
			if w.ID == id(2) {
				time.Sleep(time.Minute)
			}
			return nil, ctx.Err()
		})
		synctest.Wait()
		r.cancel()
		time.Sleep(time.Second)
		began := time.Now()
		r.Hurry()
		r.Hurry() // any number of times
		err := <-r.done
		require.ErrorIs(t, err, ErrUnreturned)
		require.LessOrEqual(t, time.Since(began), time.Second)
		require.Equal(t, map[job.ID]job.Claim{id(2): {Worker: "w1", Epoch: "1.x"}}, f.left)
		time.Sleep(time.Minute)
	})
}

func TestWorkThatOutlivesTheGraceIsFlaggedAndNotReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		r := start(t, Config{}, f, func(ctx context.Context, _ job.Work, _ job.Runtime) (job.Result, error) {
			<-ctx.Done()
			time.Sleep(time.Minute)
			return nil, ctx.Err()
		})
		synctest.Wait()
		began := time.Now()
		require.ErrorIs(t, r.stop(), ErrUnreturned)
		require.Equal(t, 5*time.Second, time.Since(began).Truncate(time.Second), "the grace, no more: work that has not returned is not waited for")
		require.Empty(t, f.written(), "released it would run twice at once")
		require.Contains(t, f.left, id(1))
		time.Sleep(time.Minute)
	})
}

func TestDrainWaitsForTheLastWritesWhenRedisIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		r := start(t, Config{}, f, obedient)
		synctest.Wait()
		f.onEnd = func(n int) error {
			if n < 12 {
				return job.ErrUnavailable
			}
			return nil
		}
		require.NoError(t, r.stop())
		require.Equal(t, []string{"release draining"}, f.written())
	})
}

func TestDrainGivesUpOnARedisThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		r := start(t, Config{}, f, obedient)
		synctest.Wait()
		gone := true
		f.onEnd = func(int) error {
			if gone {
				return job.ErrUnavailable
			}
			return nil
		}
		began := time.Now()
		require.ErrorIs(t, r.stop(), ErrUnreturned)
		require.LessOrEqual(t, time.Since(began), 11*time.Second, "grace and settle")
		f.mu.Lock()
		gone = false
		f.mu.Unlock()
		time.Sleep(2 * time.Second)
	})
}

func TestAKillThatArrivesDuringDrainWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		r := start(t, Config{}, f, func(ctx context.Context, _ job.Work, _ job.Runtime) (job.Result, error) {
			<-ctx.Done()
			time.Sleep(3 * time.Second)
			return job.Result(`"late"`), nil
		})
		synctest.Wait()
		r.cancel()
		time.Sleep(time.Second)
		r.Deliver(job.Hint{Order: job.Order{ID: id(9), Scope: job.Scope{Kind: job.ScopeJob, Job: id(1)}}})
		require.NoError(t, <-r.done)
		require.Equal(t, []string{"finish killed killed"}, f.written())
	})
}

func TestAGrantAnsweredDuringDrainIsHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		slow := make(chan struct{})
		f.onGrant = func(int) error { f.mu.Unlock(); <-slow; f.mu.Lock(); return nil }
		started := false
		r := start(t, Config{}, f, func(ctx context.Context, _ job.Work, _ job.Runtime) (job.Result, error) {
			started = true
			return nil, ctx.Err()
		})
		synctest.Wait()
		r.cancel()
		synctest.Wait()
		close(slow)
		require.NoError(t, <-r.done)
		require.Equal(t, []string{"release draining"}, f.written())
		require.False(t, started, "its work never began")
	})
}

func TestDrainWithZeroJobsIsCleanAndRepeatable(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			f := newFakes()
			r := start(t, Config{}, f, obedient)
			synctest.Wait()
			require.NoError(t, r.stop())
			require.Equal(t, 1, f.leaves)
			require.Empty(t, f.left)
			r.Hurry()
			r.cancel()
		})
	}
}

func TestNothingIsRenewedOnceTheWorkerHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes()
		r := start(t, Config{}, f, obedient)
		synctest.Wait()
		require.NoError(t, r.stop())
		require.True(t, f.renewedLast, "a renewal puts the worker back on the table it has left")
		r.cancel()
	})
}
