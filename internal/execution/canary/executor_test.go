package canary

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestParseIsStrict(t *testing.T) {
	good := []string{
		`{}`, `{"steps":10000}`, `{"calls_per_step":2,"call_url":"http://127.0.0.1:9/x"}`,
		`{"fail":"panic","fail_at":1,"fail_times":2}`, `{"park_at":1,"checkpoint":true,"events":true,"deaf_ms":5}`,
	}
	for _, in := range good {
		require.NoError(t, Parse([]byte(in)), in)
	}
	bad := map[string]string{
		``: "not a JSON object", `null`: "not a JSON object", `[]`: "not a JSON object", `{"steps":1`: "not valid JSON",
		`{"steps":1}{}`: "more after", `{"Steps":1}`: "unknown field", `{"steps":1,"steps":2}`: "twice",
		`{"steps":0}`: "1 to 10000", `{"steps":10001}`: "1 to 10000", `{"steps":1.5}`: "whole number", `{"steps":null}`: "whole number",
		`{"steps":"2"}`: "whole number", `{"step_ms":-1}`: "0 to", `{"deaf_ms":99999999}`: "0 to", `{"call_micro_usd":1e30}`: "whole number",
		`{"checkpoint":1}`: "wrong type", `{"events":null}`: "wrong type", `{"fail":"sometimes"}`: "fail is",
		`{"fail_at":1}`: "without fail", `{"fail":"retryable","fail_at":2}`: "only 1 steps", `{"park_at":2}`: "only 1 steps",
		`{"call_url":"http://127.0.0.1/"}`:                               "without calls_per_step",
		`{"calls_per_step":1,"call_url":"https://127.0.0.1/"}`:           "must be like",
		`{"calls_per_step":1,"call_url":"http://u:p@127.0.0.1/"}`:        "must be like",
		`{"calls_per_step":1,"call_url":"file:///etc/passwd"}`:           "must be like",
		`{"` + strings.Repeat("long", 50) + `":1}`:                       "…",
		`{"steps":{"deep":` + strings.Repeat("[", 20000) + `}`:           "not valid JSON",
		`{"calls_per_step":1,"call_url":"http://127.0.0.1/\ud800%zz\n"}`: "must be like",
	}
	for in, why := range bad {
		err := Parse([]byte(in))
		require.ErrorIs(t, err, job.ErrBadCanary, in)
		require.ErrorContains(t, err, why)
		a := newAttempt(t, in)
		_, err = a.run()
		require.ErrorIs(t, err, job.ErrBadCanary, "the executor checks again")
		require.NotErrorIs(t, err, job.ErrRetryable)
	}
}

func TestEmptyInputIsOneStepOfNothing(t *testing.T) {
	a := newAttempt(t, `{}`)
	require.Equal(t, Outcome{StepsDone: 1}, a.mustRun(t))
	require.Equal(t, []string{"progress"}, a.history())
}

func TestStepsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a := newAttempt(t, `{"steps":20,"step_ms":250}`)
		require.Equal(t, 20, a.mustRun(t).StepsDone)
		require.Equal(t, 5*time.Second, time.Since(begin))
		require.Equal(t, 20, a.count("progress"))
	})
}

func TestCallsAreReservedCheckedAndSettledInThisOrder(t *testing.T) {
	a := newAttempt(t, `{"steps":2,"calls_per_step":2,"call_micro_usd":700,"events":true,"checkpoint":true}`)
	require.Equal(t, Outcome{StepsDone: 2, Calls: 4}, a.mustRun(t))
	want := []string{}
	for n := range 2 {
		for c := range 2 {
			id := fmt.Sprintf("s%d-c%d", n+1, c+1)
			want = append(want, "reserve "+id, "check "+id, "settle "+id)
		}
		want = append(want, "progress", "event", "checkpoint")
	}
	require.Equal(t, want, a.history())
	for _, u := range a.usages {
		require.EqualValues(t, 700, u.Cost)
		require.False(t, u.Estimated)
	}
	require.JSONEq(t, `{"step":2,"calls":4}`, string(a.events[1].Data))
}

func TestTooOldPermitIsReservedAgain(t *testing.T) {
	a := newAttempt(t, `{"calls_per_step":1}`)
	a.expire = 3
	require.Equal(t, 1, a.mustRun(t).Calls)
	require.Equal(t, 4, a.count("reserve s1-c1"))
	require.Equal(t, 1, a.count("settle s1-c1"))
}

func TestPermitsThatAreAlwaysTooOldEndTheAttempt(t *testing.T) {
	a := newAttempt(t, `{"calls_per_step":1,"call_micro_usd":5}`)
	a.expire = 1000
	_, err := a.run()
	require.ErrorIs(t, err, job.ErrRetryable)
	require.Equal(t, maxPermits, a.count("reserve s1-c1"))
	require.Len(t, a.usages, 1)
	require.Zero(t, a.usages[0].Cost, "nothing was sent")
}

func TestResumesAtTheStepAfterTheCheckpoint(t *testing.T) {
	first := newAttempt(t, `{"steps":5,"calls_per_step":2,"checkpoint":true,"fail":"retryable","fail_at":4,"fail_times":1}`)
	_, err := first.run()
	require.ErrorIs(t, err, job.ErrRetryable)
	require.ErrorIs(t, err, ErrPrescribed)
	require.Len(t, first.checkpoints, 3)

	second := newAttempt(t, string(first.work.Input))
	second.work.Attempt, second.work.Checkpoint = 2, &first.checkpoints[2]
	require.Equal(t, Outcome{StepsDone: 5, Calls: 10, ResumedFrom: 3}, second.mustRun(t))
	require.Equal(t, "reserve s4-c1", second.history()[0], "no call is made twice")
	require.EqualValues(t, 4, second.checkpoints[0].Seq, "numbers go on")
}

func TestWithoutCheckpointEveryAttemptBeginsAnew(t *testing.T) {
	a := newAttempt(t, `{"steps":3,"fail":"retryable","fail_at":3,"fail_times":1}`)
	_, err := a.run()
	require.ErrorIs(t, err, job.ErrRetryable)
	a = newAttempt(t, string(a.work.Input))
	a.work.Attempt = 2
	require.Equal(t, Outcome{StepsDone: 3}, a.mustRun(t))
}

func TestForeignCheckpointIsNotGuessedAt(t *testing.T) {
	for _, data := range []string{"", "garbage", `{"step":-4}`, `[]`} {
		a := newAttempt(t, `{}`)
		a.work.Checkpoint = &job.Checkpoint{Seq: 9, Data: []byte(data)}
		_, err := a.run()
		require.ErrorContains(t, err, "checkpoint 9")
		require.NotErrorIs(t, err, job.ErrRetryable)
	}
}

func TestFailsAsPrescribed(t *testing.T) {
	permanent := newAttempt(t, `{"steps":3,"fail":"permanent","fail_at":2}`)
	_, err := permanent.run()
	require.ErrorIs(t, err, ErrPrescribed)
	require.NotErrorIs(t, err, job.ErrRetryable)
	require.Equal(t, 1, permanent.count("progress"), "step 1 was done")

	permanent.work.Attempt = 99
	_, err = permanent.run()
	require.ErrorIs(t, err, ErrPrescribed, "without fail_times every attempt fails")

	require.Panics(t, func() { _, _ = newAttempt(t, `{"fail":"panic"}`).run() })
}

func TestParksForInputUntilThereAreAnswers(t *testing.T) {
	a := newAttempt(t, `{"steps":4,"park_at":3,"checkpoint":true}`)
	_, err := a.run()
	var park *job.Park
	require.ErrorAs(t, err, &park)
	require.Equal(t, "input", park.Reason)
	require.True(t, json.Valid(park.Questions))

	b := newAttempt(t, string(a.work.Input))
	b.work.Checkpoint, b.work.Answers = &a.checkpoints[1], json.RawMessage(`{"go_on":"yes"}`)
	require.Equal(t, Outcome{StepsDone: 4, ResumedFrom: 2}, b.mustRun(t))
}

func TestReturnsAtOnceWhenStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a := newAttempt(t, `{"steps":100,"step_ms":60000,"calls_per_step":1,"checkpoint":true}`)
		kill := &job.Stop{Kind: job.StopKilled, Actor: "bob", Reason: "drill"}
		time.AfterFunc(90*time.Second, func() { a.stop(kill) })
		_, err := a.run()
		require.Equal(t, kill, err)
		require.Equal(t, 90*time.Second, time.Since(begin))
		require.Len(t, a.checkpoints, 1, "a kill leaves what was there")
	})
}

func TestDrainKeepsTheCallsOfHalfAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempt(t, `{"steps":2,"step_ms":60000,"calls_per_step":3,"checkpoint":true}`)
		time.AfterFunc(time.Second, func() { a.stop(&job.Stop{Kind: job.StopDraining}) })
		_, err := a.run()
		require.ErrorIs(t, err, &job.Stop{Kind: job.StopDraining})
		require.Len(t, a.checkpoints, 1)

		b := newAttempt(t, string(a.work.Input))
		b.work.Checkpoint = &a.checkpoints[0]
		require.Equal(t, Outcome{StepsDone: 2, Calls: 6}, b.mustRun(t))
		require.Equal(t, 0, b.count("reserve s1-c3"))
		require.Equal(t, 1, b.count("reserve s2-c1"))
	})
}

func TestDeafReturnsLateAndNotLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a := newAttempt(t, `{"steps":1000,"step_ms":1000,"deaf_ms":30000}`)
		time.AfterFunc(10*time.Second, func() { a.stop(&job.Stop{Kind: job.StopKilled}) })
		_, err := a.run()
		require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
		require.Equal(t, 40*time.Second, time.Since(begin))
		require.InDelta(t, 40, a.count("progress"), 1, "it went on meanwhile")
	})
}

func TestDeafPaysNothingAndSitsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		a := newAttempt(t, `{"steps":1000,"step_ms":1000,"deaf_ms":30000,"calls_per_step":1,"checkpoint":true}`)
		time.AfterFunc(1500*time.Millisecond, func() { a.stop(&job.Stop{Kind: job.StopLeaseLost}) })
		_, err := a.run()
		require.ErrorIs(t, err, &job.Stop{Kind: job.StopLeaseLost})
		require.Equal(t, 31500*time.Millisecond, time.Since(begin))
		require.Len(t, a.usages, 2)
	})
}

func TestDeafMaySucceedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempt(t, `{"steps":5,"step_ms":1000,"deaf_ms":30000}`)
		time.AfterFunc(time.Second, func() { a.stop(&job.Stop{Kind: job.StopKilled}) })
		require.Equal(t, 5, a.mustRun(t).StepsDone)
		require.ErrorIs(t, context.Cause(a.live), &job.Stop{Kind: job.StopKilled})
	})
}

func TestKilledBetweenReserveAndSendDoesNotPay(t *testing.T) {
	a := newAttempt(t, `{"calls_per_step":1,"call_micro_usd":9}`)
	a.onCheck = func(job.Call) { a.stop(&job.Stop{Kind: job.StopKilled}) }
	_, err := a.run()
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
	require.Len(t, a.usages, 1)
	require.Zero(t, a.usages[0].Cost)
}

func TestRedisOutOfReachIsRetryable(t *testing.T) {
	down := fmt.Errorf("write: %w", job.ErrUnavailable)
	for name, fail := range map[string]func(*attempt){
		"reserve":    func(a *attempt) { a.onReserve = func(job.Call) error { return down } },
		"checkpoint": func(a *attempt) { a.onCheckpoint = func(job.Checkpoint) error { return down } },
		"settle":     func(a *attempt) { a.onSettle = func(job.Usage) error { return down } },
	} {
		a := newAttempt(t, `{"calls_per_step":1,"checkpoint":true}`)
		fail(a)
		_, err := a.run()
		require.ErrorIs(t, err, job.ErrRetryable, name)
	}
}

func TestNoMoneyParks(t *testing.T) {
	a := newAttempt(t, `{"calls_per_step":1}`)
	a.onReserve = func(job.Call) error { return fmt.Errorf("reserve: %w", &job.Park{Reason: "budget"}) }
	_, err := a.run()
	var park *job.Park
	require.ErrorAs(t, err, &park)
	require.Equal(t, "budget", park.Reason)
}
