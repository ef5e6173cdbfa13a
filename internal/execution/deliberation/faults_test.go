package deliberation

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

// one is a deliberation of one part with three personas and two rounds.
const one = `{"problem":"Should we raise the price of our basic plan by a fifth?","personas":["risk","seller","treasurer"],` +
	`"max_rounds":2,"max_sub_problems":1}`

// strike makes one call fail in a way, the first n times it is asked.
func strike(fault modelsim.Fault, times int, calls ...string) modelsim.Config {
	return modelsim.Config{Fault: func(a modelsim.Asked) modelsim.Fault {
		id, _, _ := strings.Cut(a.Call, "~")
		n := 0
		for _, c := range calls {
			if c == id || c == "*" {
				n = times
			}
		}
		try := 1
		if _, rest, ok := strings.Cut(a.Call, "~"); ok {
			try = int(rest[0] - '0')
		}
		if try <= n {
			return fault
		}
		return ""
	}}
}

func quick(_ *Config, m *model.Config) { m.Silence = 60 * time.Millisecond }

func events(rt *memory, kind string) []map[string]any {
	var out []map[string]any
	for _, e := range rt.events {
		if e.Type == kind {
			var data map[string]any
			_ = json.Unmarshal(e.Data, &data)
			out = append(out, data)
		}
	}
	return out
}

func TestServerTroubleIsRetriedVisiblyAndPaidTryByTry(t *testing.T) {
	for fault, paid := range map[modelsim.Fault]bool{
		modelsim.FaultThrottle: false, modelsim.FaultError: false,
		modelsim.FaultHang: true, modelsim.FaultStall: true, modelsim.FaultCut: true, modelsim.FaultShort: true,
	} {
		t.Run(string(fault), func(t *testing.T) {
			b := newBench(t, strike(fault, 2, "s1/r1/risk"), quick)
			rt := newMemory()
			a, err := b.run(t.Context(), rt, one)
			require.NoError(t, err)
			require.False(t, a.SubProblems[0].Contributions[0].Declined)

			retries := events(rt, "model.retry")
			require.Len(t, retries, 2)
			require.Equal(t, "s1/r1/risk", retries[0]["call"])
			require.NotEmpty(t, retries[0]["reason"])
			for _, id := range []string{"s1/r1/risk", "s1/r1/risk~2"} {
				require.Contains(t, rt.settled, id)
				require.Equal(t, paid, rt.settled[id].Cost > 0, id)
				require.Equal(t, paid, rt.settled[id].Estimated, id)
			}
			require.False(t, rt.settled["s1/r1/risk~3"].Estimated)
			require.Empty(t, rt.open())
		})
	}
}

func TestServerTroubleThatStaysEndsTheAttemptForAnother(t *testing.T) {
	for _, fault := range []modelsim.Fault{modelsim.FaultThrottle, modelsim.FaultError, modelsim.FaultHang, modelsim.FaultCut} {
		t.Run(string(fault), func(t *testing.T) {
			b := newBench(t, strike(fault, 9, "decompose"), quick, func(c *Config, _ *model.Config) { c.Tries = 3 })
			rt := newMemory()
			_, err := b.run(t.Context(), rt, one)
			require.ErrorIs(t, err, job.ErrRetryable)
			require.ErrorContains(t, err, "after 3 tries")
			require.Equal(t, 3, b.sim.Totals().Requests)
			require.Empty(t, rt.open())
		})
	}
}

func TestWhatAnotherTryCannotCureFailsAtOnce(t *testing.T) {
	for fault, want := range map[modelsim.Fault]string{
		modelsim.FaultDeny: "401 Unauthorized: simulated: the key is not valid",
		modelsim.FaultPage: "check the base URL",
	} {
		b := newBench(t, strike(fault, 9, "decompose"))
		rt := newMemory()
		_, err := b.run(t.Context(), rt, one)
		require.ErrorContains(t, err, want)
		require.NotErrorIs(t, err, job.ErrRetryable)
		require.Equal(t, 1, b.sim.Totals().Requests)
		require.Empty(t, rt.open())
	}
}

func TestAnUnusableStructuredReplyIsAskedForOnceMore(t *testing.T) {
	for _, fault := range []modelsim.Fault{modelsim.FaultGarbage, modelsim.FaultEmpty, modelsim.FaultRefuse, modelsim.FaultEndless} {
		for _, call := range []string{"decompose", "s1/facilitate2", "s1/check2", "s1/options", "s1/vote/seller", "s1/synthesis", "conclude"} {
			t.Run(string(fault)+" "+call, func(t *testing.T) {
				b := newBench(t, strike(fault, 1, call))
				rt := newMemory()
				_, err := b.run(t.Context(), rt, one)
				require.NoError(t, err)
				require.Len(t, events(rt, "model.again"), 1)
				require.Contains(t, rt.settled, call+"/again")
				require.Equal(t, 1, rt.kinds()["vote"]/3)

				b = newBench(t, strike(fault, 1, call, call+"/again"))
				rt = newMemory()
				_, err = b.run(t.Context(), rt, one)
				require.ErrorContains(t, err, call+": the model's reply could not be used, nor could its second")
				require.NotErrorIs(t, err, job.ErrRetryable)
				require.Empty(t, rt.open())
			})
		}
	}
}

func TestAPersonaThatWillNotSpeakSitsTheRoundOut(t *testing.T) {
	for _, fault := range []modelsim.Fault{modelsim.FaultEmpty, modelsim.FaultRefuse, modelsim.FaultEndless} {
		t.Run(string(fault), func(t *testing.T) {
			b := newBench(t, strike(fault, 1, "s1/r1/risk", "s1/r1/risk/again"))
			rt := newMemory()
			a, err := b.run(t.Context(), rt, one)
			require.NoError(t, err)
			c := a.SubProblems[0].Contributions[0]
			require.True(t, c.Declined)
			require.NotEmpty(t, c.Text)
			told := events(rt, "contribution")
			require.Len(t, told, 6, "one event for each, the declined one included")
		})
	}
}

func TestARoundInWhichNobodySpeaksFailsTheJob(t *testing.T) {
	all := []string{"risk", "seller", "treasurer"}
	var calls []string
	for _, p := range all {
		calls = append(calls, "s1/r1/"+p, "s1/r1/"+p+"/again")
	}
	b := newBench(t, strike(modelsim.FaultRefuse, 1, calls...))
	_, err := b.run(t.Context(), newMemory(), one)
	require.ErrorIs(t, err, errSilent)
	require.NotErrorIs(t, err, job.ErrRetryable)
}

func TestAnEndlessAnswerIsCutAndBookedWithinItsReservation(t *testing.T) {
	b := newBench(t, strike(modelsim.FaultEndless, 1, "s1/r1/risk"))
	rt := newMemory()
	_, err := b.run(t.Context(), rt, one)
	require.NoError(t, err)
	u := rt.settled["s1/r1/risk"]
	require.True(t, u.Estimated)
	require.Positive(t, int64(u.Cost))
	require.LessOrEqual(t, u.Cost, rt.reserved["s1/r1/risk"])
	require.LessOrEqual(t, u.OutputTokens, tokensSpeech)
	require.NoError(t, b.sim.Await(t.Context(), func(n modelsim.Totals) bool { return n.Cut == 1 }), "the socket is closed")
}

func TestAnAnswerWithoutUsageIsBookedAsAnEstimate(t *testing.T) {
	b := newBench(t, strike(modelsim.FaultNoUsage, 1, "decompose"))
	rt := newMemory()
	_, err := b.run(t.Context(), rt, one)
	require.NoError(t, err)
	require.True(t, rt.settled["decompose"].Estimated)
	require.False(t, rt.settled["conclude"].Estimated)
}

func TestAModelWithoutAPriceIsRefusedBeforeAnyCall(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	_, err := b.run(t.Context(), rt, strings.Replace(one, `{`, `{"models":{"persona":"nobody-knows"},`, 1))
	require.ErrorIs(t, err, price.ErrUnknownModel)
	require.Zero(t, b.sim.Totals().Requests)
	require.Empty(t, rt.reserved)
}

func TestOutOfBudgetParksAndCallsUnderWayAreFinishedAndKept(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	rt.onReserve = func(c job.Call) error {
		if c.ID == "s1/r1/treasurer" {
			return &job.Park{Reason: "budget", Detail: "the budget of $5.00 is used up"}
		}
		return nil
	}
	_, err := b.run(t.Context(), rt, one)
	var park *job.Park
	require.ErrorAs(t, err, &park)
	require.Equal(t, "budget", park.Reason)
	require.Empty(t, rt.open())
	last := rt.checkpoints[len(rt.checkpoints)-1]
	kept, err := openJournal([]byte(one), &last)
	require.NoError(t, err)
	for id := range rt.settled {
		_, ok := kept.find(id)
		require.True(t, ok, "%s was paid and is not in the checkpoint", id)
	}
	require.NotContains(t, rt.reserved, "s1/facilitate2", "nothing new begins")

	more := rt.resumedFrom(&last)
	_, err = b.run(t.Context(), more, one)
	require.NoError(t, err, "with a raised budget it goes on")
	for id := range rt.settled {
		require.NotContains(t, more.settled, id)
	}
}

func TestAPermitThatIsTooOldIsReservedAgain(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	var mu sync.Mutex
	checks := map[string]int{}
	rt.onPermit = func(c job.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if checks[c.ID]++; checks[c.ID] == 1 {
			return job.ErrPermitExpired
		}
		return nil
	}
	a, err := b.run(t.Context(), rt, one)
	require.NoError(t, err)
	require.Equal(t, a.Calls, b.sim.Totals().Requests)
}

func TestPermitsThatAreAlwaysTooOldSendNothing(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	rt.onPermit = func(job.Call) error { return job.ErrPermitExpired }
	_, err := b.run(t.Context(), rt, one)
	require.ErrorIs(t, err, job.ErrRetryable)
	require.Zero(t, b.sim.Totals().Requests)
	require.Empty(t, rt.open())
	require.Zero(t, rt.spent)
}

func TestAStopAtThePermitSendsNothing(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	rt.onPermit = func(job.Call) error { return &job.Stop{Kind: job.StopLeaseLost} }
	_, err := b.run(t.Context(), rt, one)
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopLeaseLost})
	require.Zero(t, b.sim.Totals().Requests)
	require.Empty(t, rt.open())
}

// Kill at many moments, among them the middle of streams.
func TestAKillCutsTheStreamsBooksThemAndNothingIsAskedAfter(t *testing.T) {
	for kill := 1; kill <= 12; kill++ {
		b := newBench(t, modelsim.Config{Seed: 3, Pace: 4000})
		rt := newMemory()
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := &job.Stop{Kind: job.StopKilled, Actor: "alice", Reason: "enough"}
		go func() {
			_ = b.sim.Await(ctx, func(n modelsim.Totals) bool { return n.Requests >= kill && n.InFlight > 0 })
			cancel(stop)
		}()
		_, err := b.run(ctx, rt, one)
		require.ErrorIs(t, err, stop)
		require.NoError(t, b.sim.Await(t.Context(), func(n modelsim.Totals) bool { return n.InFlight == 0 }))
		totals := b.sim.Totals()
		require.LessOrEqual(t, totals.Requests, checks(rt), "nothing was sent without a check, and after the kill none passes")
		require.Empty(t, rt.open(), "every reservation is settled although the context is cancelled")
		require.LessOrEqual(t, totals.Requests, len(rt.settledCalls())-unsent(rt), "what arrived was sent")
		for _, rec := range b.sim.Records(testJob.String()) {
			u := rt.settled[rec.Call]
			if !u.Estimated {
				require.False(t, rec.Cut, rec.Call)
				require.Equal(t, []int{rec.InputTokens, rec.OutputTokens}, []int{u.InputTokens, u.OutputTokens}, rec.Call)
			}
			require.GreaterOrEqual(t, u.InputTokens, rec.InputTokens, rec.Call)
		}
		cancel(nil)
	}
}

func checks(rt *memory) (n int) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for _, line := range rt.order {
		if strings.HasPrefix(line, "check ") {
			n++
		}
	}
	return n
}

func unsent(rt *memory) (n int) {
	for _, u := range rt.settledCalls() {
		if u.InputTokens == 0 {
			n++
		}
	}
	return n
}

func TestWhatWasPaidWhileTheJobWasBeingDrainedIsKept(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	rt.onSettle = func(_ context.Context, u job.Usage) error {
		if u.CallID == "decompose" {
			cancel(&job.Stop{Kind: job.StopDraining})
		}
		return nil
	}
	_, err := b.run(ctx, rt, one)
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopDraining})
	require.Len(t, rt.checkpoints, 1, "the reply had arrived and was paid")
	require.Equal(t, "decompose", rt.checkpoints[0].Node)
}

func TestARuntimeOutOfReachIsWorthAnotherAttemptAndARefusalIsNot(t *testing.T) {
	away := errors.Join(job.ErrUnavailable, errors.New("connection reset"))
	tooLarge := errors.New("checkpoint too large")
	for name, hook := range map[string]func(*memory, error){
		"reserve":    func(m *memory, err error) { m.onReserve = func(job.Call) error { return err } },
		"settle":     func(m *memory, err error) { m.onSettle = func(context.Context, job.Usage) error { return err } },
		"event":      func(m *memory, err error) { m.onEvent = func(job.Event) error { return err } },
		"checkpoint": func(m *memory, err error) { m.onCheckpoint = func(job.Checkpoint) error { return err } },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, modelsim.Config{})
			rt := newMemory()
			hook(rt, away)
			_, err := b.run(t.Context(), rt, one)
			require.ErrorIs(t, err, job.ErrRetryable)
			require.ErrorIs(t, err, job.ErrUnavailable)
			require.LessOrEqual(t, b.sim.Totals().Requests, 1, "nothing is paid on top")

			rt = newMemory()
			hook(rt, tooLarge)
			_, err = b.run(t.Context(), rt, one)
			require.ErrorIs(t, err, tooLarge)
			require.NotErrorIs(t, err, job.ErrRetryable)
		})
	}
}
