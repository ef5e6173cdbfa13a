package execution

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// inside runs one job whose work is the test itself.
func inside(t *testing.T, f *fakeRooms, test func(ctx context.Context, rt job.Runtime)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f.queue = []job.Granted{granted(1)}
		r := start(t, Config{}, f, func(ctx context.Context, _ job.Work, rt job.Runtime) (job.Result, error) {
			test(ctx, rt)
			return nil, nil
		})
		time.Sleep(2 * time.Minute)
		require.Len(t, f.written(), 1, "the work came to its end")
		require.NoError(t, r.stop())
	})
}

func TestAPermitIsGoodForAQuarterOfASecondFromItsSend(t *testing.T) {
	f := newFakes()
	f.onReserve = func(job.Call) error { time.Sleep(100 * time.Millisecond); return nil }
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		p, err := rt.Reserve(ctx, job.Call{ID: "a"})
		require.NoError(t, err)
		time.Sleep(140 * time.Millisecond)
		require.NoError(t, p.Check(), "240 ms after the send")
		time.Sleep(20 * time.Millisecond)
		require.ErrorIs(t, p.Check(), job.ErrPermitExpired, "260 ms: the slow reply does not count in its favour")
	})
}

func TestAPermitEndsWithTrustAndWithAStop(t *testing.T) {
	f := newFakes()
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		p, err := rt.Reserve(ctx, job.Call{ID: "a"})
		require.NoError(t, err)
		f.mu.Lock()
		f.untrusted = true
		f.mu.Unlock()
		require.ErrorIs(t, p.Check(), &job.Stop{Kind: job.StopLeaseLost})
		require.ErrorIs(t, context.Cause(ctx), &job.Stop{Kind: job.StopLeaseLost}, "the run ends for that reason")
	})

	f = newFakes()
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		p, err := rt.Reserve(ctx, job.Call{ID: "a"})
		require.NoError(t, err)
		f.stop(id(1), &job.Stop{Kind: job.StopKilled, Actor: "ann"})
		require.ErrorIs(t, p.Check(), &job.Stop{Kind: job.StopKilled})
		_, err = rt.Reserve(ctx, job.Call{ID: "b"})
		require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
		require.Len(t, f.reserved, 1, "no money is asked for after the stop")
	})
}

func TestAReserveThatSaysKilledStopsTheRun(t *testing.T) {
	f := newFakes()
	f.onReserve = func(job.Call) error { return &job.Stop{Kind: job.StopKilled, Order: id(9), Actor: "ann"} }
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		_, err := rt.Reserve(ctx, job.Call{ID: "a"})
		require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
		require.ErrorIs(t, context.Cause(ctx), &job.Stop{Kind: job.StopKilled}, "the hint was lost, the reserve tells")
	})
	require.Equal(t, []string{"finish killed killed"}, f.written())
}

func TestAReserveWaitsOutARedisThatDoesNotAnswer(t *testing.T) {
	f := newFakes()
	n := 0
	f.onReserve = func(job.Call) error {
		if n++; n < 4 {
			return job.ErrUnavailable
		}
		return nil
	}
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		p, err := rt.Reserve(ctx, job.Call{ID: "a"})
		require.NoError(t, err)
		require.NoError(t, p.Check(), "its age counts from the send that was answered")
		require.Equal(t, []string{"a@1.x#0", "a@1.x#0", "a@1.x#0", "a@1.x#0"}, f.reserved, "one booking, whatever is retried")
	})
}

func TestACallMadeAgainIsBookedAgain(t *testing.T) {
	f := newFakes()
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		for range 2 {
			_, err := rt.Reserve(ctx, job.Call{ID: "a"})
			require.NoError(t, err)
			require.NoError(t, rt.Settle(ctx, job.Usage{CallID: "a", Cost: 5}))
		}
		require.Equal(t, []string{"a@1.x#0", "a@1.x#1"}, f.reserved)
		require.Equal(t, "a@1.x#0", f.settled[0].CallID)
		require.Equal(t, "a@1.x#1", f.settled[1].CallID)
	})
}

func TestCostsAreSettledAndStatesSavedAfterAStop(t *testing.T) {
	f := newFakes()
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		_, err := rt.Reserve(ctx, job.Call{ID: "a"})
		require.NoError(t, err)
		f.stop(id(1), &job.Stop{Kind: job.StopDraining})
		require.NoError(t, rt.Settle(ctx, job.Usage{CallID: "a", Cost: 5, Estimated: true}))
		require.NoError(t, rt.Checkpoint(ctx, job.Checkpoint{Seq: 1}))
		require.NoError(t, rt.Event(ctx, job.Event{Type: "x", Data: json.RawMessage(`{}`)}))
	})
	require.Len(t, f.settled, 1)
	require.Len(t, f.saved, 1)
}

func TestWorkThatFindsItsTrustEndedIsHandedBackAndNotFailed(t *testing.T) {
	f := newFakes()
	synctest.Test(t, func(t *testing.T) {
		f.queue = []job.Granted{granted(1)}
		r := start(t, Config{}, f, func(ctx context.Context, _ job.Work, rt job.Runtime) (job.Result, error) {
			p, err := rt.Reserve(ctx, job.Call{ID: "a"})
			require.NoError(t, err)
			f.mu.Lock()
			f.untrusted = true
			f.mu.Unlock()
			return nil, p.Check()
		})
		time.Sleep(time.Second)
		require.Equal(t, []string{"release " + string(job.StopLeaseLost)}, f.written())
		require.NoError(t, r.stop())
	})
}

func TestACostIsSettledWhenRedisComesBackWithinTrust(t *testing.T) {
	f := newFakes()
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		back := time.Now().Add(8 * time.Second)
		f.onSettle = func() error {
			if time.Now().Before(back) {
				return job.ErrUnavailable
			}
			return nil
		}
		_, err := rt.Reserve(ctx, job.Call{ID: "a"})
		require.NoError(t, err)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		require.NoError(t, rt.Settle(short, job.Usage{CallID: "a", Cost: 5}), "whatever the executor's patience")
	})
	require.Len(t, f.settled, 1)
}

func TestACostThatCannotBeSettledAfterAStopIsLeftToTheClaimsEnd(t *testing.T) {
	f := newFakes()
	f.onSettle = func() error { return job.ErrUnavailable }
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		_, err := rt.Reserve(ctx, job.Call{ID: "a"})
		require.NoError(t, err)
		f.stop(id(1), &job.Stop{Kind: job.StopDraining})
		from := time.Now()
		require.ErrorIs(t, rt.Settle(ctx, job.Usage{CallID: "a", Cost: 5}), job.ErrUnavailable)
		require.Less(t, time.Since(from), settleFor+time.Second)
	})
}

func TestAStopWhileACheckpointIsUnderWayDoesNotLoseIt(t *testing.T) {
	f := newFakes()
	f.onSave = func(ctx context.Context) error {
		f.stop(id(1), &job.Stop{Kind: job.StopDraining})
		time.Sleep(100 * time.Millisecond)
		return ctx.Err() // what a cancelled call to Redis would say
	}
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		require.NoError(t, rt.Checkpoint(ctx, job.Checkpoint{Seq: 1}))
		require.ErrorIs(t, context.Cause(ctx), &job.Stop{Kind: job.StopDraining})
	})
	require.Len(t, f.saved, 1)
}

func TestATailThatRedisDoesNotTakeEnds(t *testing.T) {
	f := newFakes()
	f.onEvent = func() error { return job.ErrUnavailable }
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		f.stop(id(1), &job.Stop{Kind: job.StopKilled})
		began := time.Now()
		err := rt.Event(ctx, job.Event{Type: "x", Data: json.RawMessage(`{}`)})
		require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
		require.InDelta(t, tailFor.Seconds(), time.Since(began).Seconds(), 0.6)
	})
}

func TestALostLeaseWritesNothingMore(t *testing.T) {
	f := newFakes()
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		f.stop(id(1), &job.Stop{Kind: job.StopLeaseLost})
		require.ErrorIs(t, rt.Checkpoint(ctx, job.Checkpoint{Seq: 1}), &job.Stop{Kind: job.StopLeaseLost})
		require.ErrorIs(t, rt.Event(ctx, job.Event{Type: "x", Data: json.RawMessage(`{}`)}), &job.Stop{Kind: job.StopLeaseLost})
	})
	require.Empty(t, f.saved)
	require.Empty(t, f.events)
}

func TestAWriteThatRedisFencesEndsTheRun(t *testing.T) {
	f := newFakes()
	f.onEvent = func() error { return job.ErrFenced }
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		err := rt.Event(ctx, job.Event{Type: "x", Data: json.RawMessage(`{}`)})
		require.ErrorIs(t, err, job.ErrFenced)
		require.ErrorIs(t, context.Cause(ctx), &job.Stop{Kind: job.StopLeaseLost})
	})
}

func TestEventsThatAreRefused(t *testing.T) {
	f := newFakes()
	inside(t, f, func(ctx context.Context, rt job.Runtime) {
		for name, e := range map[string]job.Event{
			"no type":     {Data: json.RawMessage(`{}`)},
			"the fleet's": {Type: "job.killed", Data: json.RawMessage(`{}`)},
			"no JSON":     {Type: "x", Data: json.RawMessage(`{`)},
			"too large":   {Type: "x", Data: append(append([]byte{'"'}, make([]byte, MaxEvent)...), '"')},
		} {
			require.ErrorIs(t, rt.Event(ctx, e), ErrBadEvent, name)
		}
	})
}

func TestAResumedJobGetsItsCheckpointAndHearsOfDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := granted(1)
		g.Job.Checkpoint, g.Job.Attempts = 7, 1
		f := newFakes(g)
		f.last, f.damaged = &job.Checkpoint{Seq: 6, Data: []byte("state")}, 1
		var got job.Work
		r := start(t, Config{}, f, func(_ context.Context, w job.Work, _ job.Runtime) (job.Result, error) {
			got = w
			return nil, nil
		})
		synctest.Wait()
		require.Equal(t, f.last, got.Checkpoint)
		require.Equal(t, 2, got.Attempt)
		require.Equal(t, "checkpoint.damaged", f.events[0].Type)
		require.NoError(t, r.stop())
	})
}

func TestACallIsTranscribedAlsoWhileTheJobIsBeingStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(granted(1))
		r := start(t, Config{}, f, func(ctx context.Context, _ job.Work, rt job.Runtime) (job.Result, error) {
			rec, ok := rt.(job.Recorder)
			require.True(t, ok)
			<-ctx.Done()
			return nil, rec.Record(ctx, job.Exchange{Call: "s1", Messages: []job.Turn{{Role: "user", Text: "why?"}}, Reply: "because", Cost: 7})
		})
		synctest.Wait()
		f.stop(granted(1).Job.ID, &job.Stop{Kind: job.StopKilled})
		synctest.Wait()
		require.Len(t, f.transcribed, 1)
		require.JSONEq(t, `{"call":"s1","messages":[{"role":"user","text":"why?"}],"reply":"because","cost_micro_usd":7}`, f.transcribed[0])
		require.NoError(t, r.stop())
	})
}

// What goes on from an older checkpoint, or from none, writes its next one above
// the last that was accepted: Redis would refuse it otherwise.
func TestWorkBehindADamagedCheckpointCountsOnFromTheLastAccepted(t *testing.T) {
	for name, last := range map[string]*job.Checkpoint{"the one before": {Seq: 5}, "none": nil} {
		synctest.Test(t, func(t *testing.T) {
			g := granted(1)
			g.Job.Checkpoint = 7
			f := newFakes(g)
			f.last, f.damaged = last, 2
			r := start(t, Config{}, f, func(ctx context.Context, w job.Work, rt job.Runtime) (job.Result, error) {
				next := uint64(1)
				if w.Checkpoint != nil {
					next += w.Checkpoint.Seq
				}
				return nil, rt.Checkpoint(ctx, job.Checkpoint{Seq: next, Node: "n"})
			})
			synctest.Wait()
			require.Len(t, f.saved, 1)
			require.Equal(t, uint64(8), f.saved[0].Seq, name)
			require.NoError(t, r.stop())
		})
	}
}
