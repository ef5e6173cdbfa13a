package execution

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rtfm-si/gavel/internal/job"
)

// The table of the package's documentation, line by line.
func TestHowARunIsConcluded(t *testing.T) {
	result := job.Result(`{"a":1}`)
	kill := &job.Stop{Kind: job.StopKilled, Order: id(9), Actor: "ann", Reason: "enough"}
	type line struct {
		stop *job.Stop
		res  job.Result
		err  error
		want string
	}
	for name, l := range map[string]line{
		"killed, work obeys":           {kill, nil, kill, "finish killed killed"},
		"killed, work succeeds anyway": {kill, result, nil, "finish killed killed"},
		"killed, work fails":           {kill, nil, errBroken, "finish killed killed"},
		"draining, work obeys":         {&job.Stop{Kind: job.StopDraining}, nil, context.Canceled, "release draining"},
		"draining, work succeeds":      {&job.Stop{Kind: job.StopDraining}, result, nil, "finish succeeded done"},
		"draining, work fails":         {&job.Stop{Kind: job.StopDraining}, nil, errBroken, "release draining"},
		"lease lost, work succeeds":    {&job.Stop{Kind: job.StopLeaseLost}, result, nil, "finish succeeded done"},
		"lease lost, work obeys":       {&job.Stop{Kind: job.StopLeaseLost}, nil, context.Canceled, "release lease lost"},
		"budget":                       {&job.Stop{Kind: job.StopBudget}, nil, context.Canceled, "park budget"},
		"succeeded":                    {nil, result, nil, "finish succeeded done"},
		"failed for good":              {nil, nil, errBroken, "finish failed error"},
		"retryable":                    {nil, nil, fmt.Errorf("x: %w", job.ErrRetryable), "retry"},
		"needs input":                  {nil, nil, fmt.Errorf("x: %w", &job.Park{Reason: "input"}), "park input"},
		"the budget does not allow it": {nil, nil, &job.Park{Reason: "budget"}, "park budget"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(granted(1))
				r := start(t, Config{}, f, func(ctx context.Context, _ job.Work, _ job.Runtime) (job.Result, error) {
					if l.stop != nil {
						<-ctx.Done()
					}
					return l.res, l.err
				})
				synctest.Wait()
				if l.stop != nil {
					f.stop(id(1), l.stop)
					synctest.Wait()
				}
				require.Equal(t, []string{l.want}, f.written())
				require.Equal(t, []job.ID{id(1)}, f.dropped)
				require.Equal(t, string(l.res), string(f.ended[0].Result), "a result that came is kept")
				require.NoError(t, r.stop())
			})
		})
	}
}

func TestAPanicOfTheWorkIsAFailedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		r := start(t, Config{}, f, func(context.Context, job.Work, job.Runtime) (job.Result, error) { panic("poison") })
		synctest.Wait()
		require.Equal(t, []string{"retry"}, f.written())
		require.Contains(t, f.ended[0].Error, "poison")
		require.NoError(t, r.stop())
	})
}

func TestAPoisonRecordFailsAndTheRoadKeepsMoving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, unknown := granted(1), granted(2)
		bad.Bad = job.ErrBadRecord
		unknown.Job.Kind = "no such kind"
		f := newFakes(bad, unknown, granted(3))
		r := start(t, Config{Slots: 1}, f, func(context.Context, job.Work, job.Runtime) (job.Result, error) { return nil, nil })
		synctest.Wait()
		require.Equal(t, []string{"finish failed error", "finish failed error", "finish succeeded done"}, f.written())
		require.NoError(t, r.stop())
	})
}

func TestTheDeadlineFailsAndSilenceIsAFailedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2))
		f.queue[0].Job.Timeout = time.Minute
		r := start(t, Config{Silence: 10 * time.Minute}, f, func(ctx context.Context, w job.Work, rt job.Runtime) (job.Result, error) {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for w.ID == id(1) && ctx.Err() == nil {
				<-tick.C
				rt.Progress()
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		time.Sleep(time.Minute + 3*time.Second)
		require.Equal(t, []string{"finish failed deadline"}, f.written())
		time.Sleep(9 * time.Minute)
		require.Equal(t, []string{"finish failed deadline", "retry"}, f.written(), "no output is needed to notice silence")
		require.NoError(t, r.stop())
	})
}

func TestProgressKeepsTheWatchdogQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		r := start(t, Config{Silence: time.Minute, Timeout: time.Hour}, f, func(_ context.Context, _ job.Work, rt job.Runtime) (job.Result, error) {
			for range 20 {
				time.Sleep(50 * time.Second)
				rt.Progress()
			}
			return nil, nil
		})
		time.Sleep(20 * time.Minute)
		require.Equal(t, []string{"finish succeeded done"}, f.written())
		require.NoError(t, r.stop())
	})
}

func TestALostGrantReplyIsAskedAgainUnderTheSameNonce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		f.onGrant = func(n int) error {
			if n <= 3 {
				return job.ErrUnavailable
			}
			return nil
		}
		r := start(t, Config{}, f, func(context.Context, job.Work, job.Runtime) (job.Result, error) { return nil, nil })
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{"finish succeeded done"}, f.written())
		require.Equal(t, f.nonces[0], f.nonces[1])
		require.Equal(t, f.nonces[0], f.nonces[3])
		require.NotEqual(t, f.nonces[0], f.nonces[len(f.nonces)-1], "a new attempt draws a new one")
		require.NoError(t, r.stop())
	})
}

func TestAHintThatOvertakesTheGrantsReplyIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		f.hints = []job.Hint{{Order: job.Order{ID: id(9), Actor: "ann", Scope: job.Scope{Kind: job.ScopeJob, Job: id(1)}}}}
		r := start(t, Config{}, f, obedient)
		synctest.Wait()
		require.Equal(t, []string{"finish killed killed"}, f.written())
		require.NoError(t, r.stop())
	})
}

func TestAHorizonReachesTheJobsBehindItOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := granted(2)
		other.Job.Owner = "bob"
		f := newFakes(granted(1), other, granted(3))
		r := start(t, Config{}, f, obedient)
		synctest.Wait()
		r.Deliver(job.Hint{Order: job.Order{ID: id(9), Scope: job.Scope{Kind: job.ScopeOwner, Owner: "ann"}, Horizon: map[int]uint64{0: 2}}})
		synctest.Wait()
		require.Equal(t, []job.ID{id(1)}, f.dropped, "bob's is not ann's, and the third is above the horizon")
		r.Deliver(job.Hint{Order: job.Order{ID: id(9), Scope: job.Scope{Kind: job.ScopeFleet}, Horizon: map[int]uint64{0: 2}}})
		synctest.Wait()
		require.Equal(t, []job.ID{id(1), id(2)}, f.dropped)
		require.NoError(t, r.stop())
	})
}

func TestAnOrderOverManyCancelsAtOnceAndConfirmsAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50
		f := newFakes(grantedMany(n)...)
		f.endTakes = time.Millisecond
		cancelled := make(chan time.Time, n)
		r := start(t, Config{Slots: n}, f, func(ctx context.Context, _ job.Work, _ job.Runtime) (job.Result, error) {
			<-ctx.Done()
			cancelled <- time.Now()
			return nil, ctx.Err()
		})
		time.Sleep(time.Second)
		began := time.Now()
		r.Deliver(job.Hint{Order: job.Order{ID: id(9), Scope: job.Scope{Kind: job.ScopeFleet}, Horizon: map[int]uint64{0: n}}})
		synctest.Wait()
		require.Len(t, cancelled, n)
		for range n {
			require.Equal(t, began, <-cancelled)
		}
		time.Sleep(confirmAfter)
		require.Empty(t, f.written(), "the news goes first")
		time.Sleep(n/confirmTurns*time.Millisecond + time.Microsecond)
		require.Len(t, f.written(), n, "and nobody waits longer than that takes")
		require.Equal(t, confirmTurns, f.atOnce)
		require.NoError(t, r.stop())
	})
}

// A write that Redis does not answer keeps its turn, and the others not for long.
func TestAConfirmationThatIsNotAnsweredDoesNotHoldUpTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10
		f := newFakes(grantedMany(n)...)
		f.onEnd = func(n int) error {
			if n <= confirmTurns {
				return job.ErrUnavailable
			}
			return nil
		}
		f.endTakes = time.Minute
		r := start(t, Config{Slots: n}, f, obedient)
		time.Sleep(time.Second)
		r.Deliver(job.Hint{Order: job.Order{ID: id(9), Scope: job.Scope{Kind: job.ScopeFleet}, Horizon: map[int]uint64{0: n}}})
		time.Sleep(confirmAfter + confirmWithin + time.Minute + time.Second)
		require.Len(t, f.written(), n-confirmTurns)
		time.Sleep(2 * time.Minute)
		require.Len(t, f.written(), n)
		require.NoError(t, r.stop())
	})
}

func TestTheEndOfAJobIsWrittenUntilRedisTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		f.onEnd = func(n int) error {
			if n < 100 {
				return job.ErrUnavailable
			}
			return nil
		}
		r := start(t, Config{}, f, func(context.Context, job.Work, job.Runtime) (job.Result, error) { return job.Result(`1`), nil })
		time.Sleep(10 * time.Minute)
		require.Equal(t, []string{"finish succeeded done"}, f.written())
		require.Equal(t, 100, f.ends)
		require.NoError(t, r.stop())
	})
}

func TestAStaleClaimWritesNothingAndFreesItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2))
		f.onEnd = func(n int) error {
			if n == 1 {
				return job.ErrFenced
			}
			return nil
		}
		r := start(t, Config{Slots: 1}, f, func(context.Context, job.Work, job.Runtime) (job.Result, error) { return nil, nil })
		synctest.Wait()
		require.Equal(t, []string{"finish succeeded done"}, f.written(), "the second job ran in the same slot")
		require.NoError(t, r.stop())
	})
}

func TestKilledWorkKeepsItsSlotUntilItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2))
		r := start(t, Config{Slots: 1, KillPatience: time.Hour}, f, func(ctx context.Context, w job.Work, _ job.Runtime) (job.Result, error) {
			if w.ID == id(1) {
				<-ctx.Done()
				time.Sleep(time.Minute) // deaf for a while
			}
			return nil, nil
		})
		synctest.Wait()
		f.stop(id(1), &job.Stop{Kind: job.StopKilled})
		time.Sleep(59 * time.Second)
		require.Empty(t, f.written())
		require.Equal(t, 1, r.Status().Running)
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"finish killed killed", "finish succeeded done"}, f.written())
		require.NoError(t, r.stop())
	})
}

func TestJobsWithoutASignOfLifeAreCountedAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2), granted(3))
		r := start(t, Config{Quiet: 2 * time.Minute, Slots: 3}, f, func(ctx context.Context, w job.Work, rt job.Runtime) (job.Result, error) {
			for w.ID == id(1) && ctx.Err() == nil {
				rt.Progress()
				pause(ctx, time.Minute)
			}
			if w.ID == id(2) {
				pause(ctx, 30*time.Second)
				rt.Progress()
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		synctest.Wait()
		require.Zero(t, r.Status().NoProgress, "a job that has just begun")
		time.Sleep(3 * time.Minute)
		require.Equal(t, 2, r.Status().NoProgress, "the silent ones alone")
		require.Equal(t, []job.ID{id(3), id(2)}, r.Status().NoProgressJobs, "the longest silent first")
		require.NoError(t, r.stop())
	})
}

func TestADeafWorkerHandsItsOtherJobsBackAndLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2))
		release := make(chan struct{})
		r := start(t, Config{KillPatience: 30 * time.Second}, f, func(ctx context.Context, w job.Work, _ job.Runtime) (job.Result, error) {
			<-ctx.Done()
			if w.ID == id(1) {
				<-release
			}
			return nil, ctx.Err()
		})
		synctest.Wait()
		f.stop(id(1), &job.Stop{Kind: job.StopKilled})
		time.Sleep(31 * time.Second)
		require.Equal(t, 1, r.Status().Deaf)
		require.Equal(t, []job.ID{id(1)}, r.Status().DeafJobs)
		err := <-r.done
		require.ErrorIs(t, err, ErrDeaf)
		require.ErrorIs(t, err, ErrUnreturned)
		require.Equal(t, []string{"release draining"}, f.written(), "the other job")
		require.Contains(t, f.left, id(1))
		close(release)
		synctest.Wait()
		r.cancel()
	})
}

// Each kill is logged once, and before the end that confirms it, whichever of the
// two would be first.
func TestAKillIsLoggedBeforeItsEnd(t *testing.T) {
	for name, patience := range map[string]time.Duration{"returns at once": 0, "returns late": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(granted(1), granted(2))
				w := func(ctx context.Context, _ job.Work, _ job.Runtime) (job.Result, error) {
					<-ctx.Done()
					time.Sleep(patience)
					return nil, ctx.Err()
				}
				core, logs := observer.New(zap.InfoLevel)
				worker, err := New(Config{ID: "w1", Partitions: []int{0}, KillPatience: time.Hour}, f.rooms(),
					map[string]job.Executor{"test": work(w)}, zap.New(core))
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- worker.Run(ctx) }()
				synctest.Wait()
				worker.Deliver(job.Hint{Order: job.Order{ID: id(9), Scope: job.Scope{Kind: job.ScopeFleet}, Horizon: map[int]uint64{0: 2}}})
				time.Sleep(time.Hour)
				for _, n := range []byte{1, 2} {
					var told []string
					for _, e := range logs.FilterField(zap.String("job", string(id(n)))).All() {
						told = append(told, e.Message)
					}
					require.Equal(t, []string{"job started", "kill delivered", "job killed"}, told)
				}
				cancel()
				require.NoError(t, <-done)
			})
		})
	}
}

// What there is to do about a kill waits while the news goes round; the patience
// with work that does not return is counted from the kill all the same.
func TestAnOrderOverManyLosesPatienceWithTheDeafInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1), granted(2))
		release := make(chan struct{})
		r := start(t, Config{KillPatience: 30 * time.Second}, f, func(ctx context.Context, w job.Work, _ job.Runtime) (job.Result, error) {
			<-ctx.Done()
			if w.ID == id(1) {
				<-release
			}
			return nil, ctx.Err()
		})
		synctest.Wait()
		r.Deliver(job.Hint{Order: job.Order{ID: id(9), Scope: job.Scope{Kind: job.ScopeFleet}, Horizon: map[int]uint64{0: 2}}})
		time.Sleep(30*time.Second - time.Microsecond)
		require.Equal(t, []string{"finish killed killed"}, f.written(), "the one that obeys")
		require.Zero(t, r.Status().Deaf)
		time.Sleep(time.Microsecond)
		synctest.Wait()
		require.Equal(t, []job.ID{id(1)}, r.Status().DeafJobs)
		require.ErrorIs(t, <-r.done, ErrDeaf)
		close(release)
		time.Sleep(time.Second)
		r.cancel()
	})
}

func TestSettingsThatAreRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no id":             {Partitions: []int{0}},
		"no partition":      {ID: "w1"},
		"too many slots":    {ID: "w1", Partitions: []int{0}, Slots: 10_001},
		"negative slots":    {ID: "w1", Partitions: []int{0}, Slots: -1},
		"negative duration": {ID: "w1", Partitions: []int{0}, DrainGrace: -1},
	} {
		_, err := New(cfg, Rooms{}, map[string]job.Executor{"test": work(obedient)}, nil)
		require.Error(t, err, name)
	}
}
