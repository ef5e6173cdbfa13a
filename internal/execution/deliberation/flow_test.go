package deliberation

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/modelsim"
	"github.com/rtfm-si/gavel/internal/problem"
)

func TestTheOwnerIsAskedOnceAndTheAnswerIsHeard(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	input := strings.Replace(one, `{`, `{"may_ask":true,`, 1)
	rt := newMemory()
	_, err := b.run(t.Context(), rt, input)
	var park *job.Park
	require.ErrorAs(t, err, &park)
	require.Equal(t, "input", park.Reason)
	var questions []string
	require.NoError(t, json.Unmarshal(park.Questions, &questions))
	require.Len(t, questions, 2)
	require.Equal(t, 1, b.sim.Totals().Requests)

	last := rt.checkpoints[len(rt.checkpoints)-1]
	more := rt.resumedFrom(&last)
	more.answers = json.RawMessage(`["growth","nothing"]`)
	_, err = b.run(t.Context(), more, input)
	require.NoError(t, err)
	require.NotContains(t, more.settled, "clarify")
}

func TestEachAnswerStandsBelowItsQuestion(t *testing.T) {
	r := &run{asked: []string{"Which market?", "How much?"}}
	for answers, want := range map[string]string{
		`["Peru",5]`:        "Asked: Which market?\nAnswered: Peru\nAsked: How much?\nAnswered: 5\n",
		`["Peru"]`:          `["Peru"]`,
		`{"market":"Peru"}`: `{"market":"Peru"}`,
	} {
		r.work.Answers = json.RawMessage(answers)
		require.Equal(t, want, r.answered())
	}
}

func TestTheAnswersOfTheOwnerReachTheModel(t *testing.T) {
	var asked []model.Request
	x := newExecutor(t, Config{}, func(_ context.Context, req model.Request) (model.Reply, error) {
		asked = append(asked, req)
		return model.Reply{}, &model.StatusError{Status: 400}
	})
	rt := newMemory()
	rt.answers = json.RawMessage(`["growth above all"]`)
	_, err := x.Execute(t.Context(), rt.work(one), rt)
	require.Error(t, err)
	require.Contains(t, asked[0].Messages[1].Text, "growth above all")
	require.Contains(t, asked[0].Messages[1].Text, "Should we raise the price")
	require.Equal(t, testJob.String(), asked[0].Job)
	require.Equal(t, "decompose", asked[0].Call)
}

func TestGivenPersonasAndRoundsAreKept(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	a, err := b.run(t.Context(), rt, strings.Replace(one, `"max_rounds":2`, `"max_rounds":1`, 1))
	require.NoError(t, err)
	require.Len(t, a.SubProblems, 1)
	s := a.SubProblems[0]
	require.Equal(t, 1, s.Rounds)
	require.Equal(t, stopCap, s.StoppedBy)
	require.Equal(t, []string{"risk", "seller", "treasurer"}, []string{s.Personas[0].ID, s.Personas[1].ID, s.Personas[2].ID})
	require.NotContains(t, rt.settled, "s1/select")
	require.Zero(t, rt.kinds()["facilitator"])
}

func TestEachRoleMayHaveItsModel(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	_, err := b.run(t.Context(), rt, strings.Replace(one, `{`, `{"model":"gpt-4o","models":{"persona":"gpt-4o-mini","synthesis":"o3"},`, 1))
	require.NoError(t, err)
	require.Equal(t, "gpt-4o", rt.settled["decompose"].Model)
	require.Equal(t, "gpt-4o-mini", rt.settled["s1/r1/risk"].Model)
	require.Equal(t, "gpt-4o-mini", rt.settled["s1/vote/risk"].Model)
	require.Equal(t, "o3", rt.settled["conclude"].Model)
}

// Each role may have a server and a model of its own; what the input names goes
// to the server of its role.
func TestEachRoleMayHaveItsServer(t *testing.T) {
	aside, err := modelsim.New(modelsim.Config{})
	require.NoError(t, err)
	web := httptest.NewServer(aside.Handler())
	t.Cleanup(web.Close)
	chat, err := model.New(model.Config{BaseURL: web.URL + "/v1"})
	require.NoError(t, err)
	t.Cleanup(chat.Close)
	b := newBench(t, modelsim.Config{}, func(c *Config, _ *model.Config) {
		c.Routes = Routes{Persona: Route{Model: "gpt-4o-mini", Chat: chat}, Synthesis: Route{Model: "o3"}}
	})
	for input, want := range map[string][3]string{
		one: {modelsim.Model, "gpt-4o-mini", "o3"},
		strings.Replace(one, `{`, `{"models":{"persona":"gpt-4o"},`, 1): {modelsim.Model, "gpt-4o", "o3"},
	} {
		before := len(b.sim.Records(""))
		asideBefore := len(aside.Records(""))
		rt := newMemory()
		_, err = b.run(t.Context(), rt, input)
		require.NoError(t, err)
		require.Equal(t, want, [3]string{rt.settled["decompose"].Model, rt.settled["s1/r1/risk"].Model, rt.settled["conclude"].Model})
		for _, r := range aside.Records("")[asideBefore:] {
			require.Equal(t, want[1], r.Model, r.Call)
		}
		require.Greater(t, len(aside.Records("")), asideBefore)
		for _, r := range b.sim.Records("")[before:] {
			require.NotEqual(t, want[1], r.Model, r.Call)
		}
	}
}

func TestABadInputFailsForGoodBeforeAnyCall(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	_, err := b.run(t.Context(), newMemory(), `{"problem":"short"}`)
	require.ErrorIs(t, err, problem.ErrBadInput)
	require.NotErrorIs(t, err, job.ErrRetryable)
	require.Zero(t, b.sim.Totals().Requests)
}

func TestTheStepLimitEndsADeliberation(t *testing.T) {
	b := newBench(t, modelsim.Config{}, func(c *Config, _ *model.Config) { c.Steps = 5 })
	rt := newMemory()
	_, err := b.run(t.Context(), rt, one)
	require.ErrorContains(t, err, "step limit of 5")
	require.NotErrorIs(t, err, job.ErrRetryable)
	require.Empty(t, rt.open())
}

func TestNoMoreCallsAreInFlightThanAllowed(t *testing.T) {
	most := 0
	var b bench
	b = newBench(t, modelsim.Config{Fault: func(modelsim.Asked) modelsim.Fault {
		most = max(most, b.sim.Totals().InFlight)
		return ""
	}, Latency: 2 * time.Millisecond}, func(c *Config, _ *model.Config) { c.Parallel = 1 })
	_, err := b.run(t.Context(), newMemory(), one)
	require.NoError(t, err)
	require.Equal(t, 1, most)
}

// chatFunc is a model without a wire.
type chatFunc func(ctx context.Context, req model.Request) (model.Reply, error)

func (f chatFunc) Chat(ctx context.Context, req model.Request, before func() error) (model.Reply, error) {
	if err := before(); err != nil {
		return model.Reply{}, err
	}
	reply, err := f(ctx, req)
	reply.Sent = true
	return reply, err
}

func newExecutor(t *testing.T, cfg Config, f chatFunc) *Executor {
	t.Helper()
	prices, err := price.Embedded()
	require.NoError(t, err)
	cfg.Model = modelsim.Model
	x, err := New(cfg, f, prices)
	require.NoError(t, err)
	return x
}

func TestRetriesWaitLongerEachTimeAndNotLessThanTheServerAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		status := &model.StatusError{Status: 429}
		x := newExecutor(t, Config{Backoff: time.Second, Patience: 20 * time.Second, Tries: 5},
			func(context.Context, model.Request) (model.Reply, error) {
				at = append(at, time.Now())
				if status.RetryAfter = 0; len(at) == 3 {
					status.RetryAfter = 10 * time.Second
				}
				return model.Reply{}, status
			})
		rt := newMemory()
		_, err := x.Execute(t.Context(), rt.work(one), rt)
		require.ErrorIs(t, err, job.ErrRetryable)
		require.Len(t, at, 5)
		between := func(i int, low, high time.Duration) {
			d := at[i+1].Sub(at[i])
			require.GreaterOrEqual(t, d, low)
			require.LessOrEqual(t, d, high)
		}
		between(0, 500*time.Millisecond, time.Second)
		between(1, time.Second, 2*time.Second)
		between(2, 10*time.Second, 12500*time.Millisecond)
		between(3, 4*time.Second, 8*time.Second)
		require.Zero(t, rt.spent, "nothing is owed for a refusal")
	})
}

func TestAServerThatAsksForMoreThanThePatienceEndsTheAttemptAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newExecutor(t, Config{}, func(context.Context, model.Request) (model.Reply, error) {
			return model.Reply{}, &model.StatusError{Status: 429, RetryAfter: time.Hour}
		})
		begin := time.Now()
		rt := newMemory()
		_, err := x.Execute(t.Context(), rt.work(one), rt)
		require.ErrorIs(t, err, job.ErrRetryable)
		require.ErrorContains(t, err, "asks for 1h")
		require.Equal(t, begin, time.Now())
	})
}

func TestAKillDuringThePauseBetweenTriesIsObeyedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := &job.Stop{Kind: job.StopKilled, Actor: "root", Reason: "incident"}
		calls := 0
		x := newExecutor(t, Config{Backoff: 20 * time.Second}, func(context.Context, model.Request) (model.Reply, error) {
			calls++
			time.AfterFunc(time.Second, func() { cancel(stop) })
			return model.Reply{}, &model.StatusError{Status: 503}
		})
		begin := time.Now()
		rt := newMemory()
		_, err := x.Execute(ctx, rt.work(one), rt)
		require.ErrorIs(t, err, stop)
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, 1, calls)
	})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	prices, err := price.Embedded()
	require.NoError(t, err)
	for want, cfg := range map[string]Config{
		"default model": {Model: "nobody-knows"},
		"at least 1":    {Model: "simulated", Tries: -1},
		"negative":      {Model: "simulated", LastWish: -1},
		"patience":      {Model: "simulated", Backoff: time.Hour},
	} {
		_, err := New(cfg, chatFunc(nil), prices)
		require.ErrorContains(t, err, want)
	}
}

func TestDamagedForeignAndNewerCheckpointsAreRefused(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	rt := newMemory()
	_, err := b.run(t.Context(), rt, one)
	require.NoError(t, err)
	good := rt.checkpoints[3]
	requests := b.sim.Totals().Requests
	for name, data := range map[string]string{
		"not readable":  "{",
		"is damaged":    strings.Replace(string(good.Data), "risk", "rusk", 1),
		"has version 2": strings.Replace(string(good.Data), `"version":1`, `"version":2`, 1),
		"not as asked":  "",
	} {
		input := one
		if name == "not as asked" {
			name, data, input = "another input", string(good.Data), smallInput
		}
		bad := job.Checkpoint{Seq: good.Seq, Node: good.Node, Data: []byte(data)}
		_, err := b.run(t.Context(), rt.resumedFrom(&bad), input)
		require.ErrorIs(t, err, ErrCheckpoint)
		require.ErrorContains(t, err, name)
	}
	require.Equal(t, requests, b.sim.Totals().Requests, "nothing is asked from a bad checkpoint")

	spaced := strings.ReplaceAll(strings.ReplaceAll(one, `":`, `" : `), `,"`, ",\n \"")
	_, err = b.run(t.Context(), rt.resumedFrom(&good), spaced)
	require.NoError(t, err, "the layout of the input's JSON does not matter")
}

func TestAnAttemptThatIsCutInMidCallAsksForThatCallAgainUnderItsOwnID(t *testing.T) {
	b := newBench(t, modelsim.Config{Seed: 5, Pace: 5000})
	whole := newMemory()
	want, err := b.run(t.Context(), whole, one)
	require.NoError(t, err)
	for _, id := range []string{"decompose", "s1/r1/seller", "s1/check2", "s1/vote/risk", "conclude"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cut := newMemory()
		cut.onPermit = func(c job.Call) error {
			if c.ID == id {
				time.AfterFunc(2*time.Millisecond, func() { cancel(&job.Stop{Kind: job.StopDraining}) })
			}
			return nil
		}
		_, err := b.run(ctx, cut, one)
		require.Error(t, err)
		var from *job.Checkpoint
		if n := len(cut.checkpoints); n > 0 {
			from = &cut.checkpoints[n-1]
		}
		rest := cut.resumedFrom(from)
		got, err := b.run(t.Context(), rest, one)
		require.NoError(t, err)
		require.Equal(t, free(t, want), free(t, got))
		require.Contains(t, rest.settled, id)
		require.Equal(t, int64(rest.spent), got.CostMicroUSD, "what the cut attempt cost is in the sum")
		for _, c := range cut.checkpoints {
			require.NotContains(t, rest.settled, c.Node)
		}
		cancel(nil)
	}
}

func TestAnEventIsNeverLargerThanTheRuntimeTakes(t *testing.T) {
	rt := newMemory()
	r := &run{rt: rt, work: rt.work(one)}
	require.NoError(t, r.emit(t.Context(), "done", map[string]any{"synthesis": strings.Repeat("é", 20_000), "calls": 3}))
	require.NoError(t, r.emit(t.Context(), "done", map[string]any{"calls": 3, "list": strings.Split(strings.Repeat("x ", 50_000), " ")}))
	require.Len(t, events(rt, "done"), 2)
	require.Less(t, len(rt.events[0].Data), 20_000)
	require.JSONEq(t, `{"calls":3,"cost_micro_usd":0,"shortened":true}`, string(rt.events[1].Data))
}

// edited is a model whose answers to some calls are put in its mouth.
type edited struct {
	chat Chat
	edit func(req model.Request, reply *model.Reply)
}

func (c edited) Chat(ctx context.Context, req model.Request, before func() error) (model.Reply, error) {
	reply, err := c.chat.Chat(ctx, req, before)
	c.edit(req, &reply)
	return reply, err
}

func TestTheFacilitatorMayCallForTheVoteButNotBeforeAnybodyHasAnswered(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	b.exec.cfg.Routes.Lead.Chat = edited{b.exec.cfg.Routes.Lead.Chat, func(req model.Request, reply *model.Reply) {
		switch {
		case strings.Contains(req.Call, "/facilitate"):
			reply.Text = `{"next":"vote","focus":""}`
		case strings.Contains(req.Call, "/check"):
			reply.Text = `{"convergence":10,"novelty":90}`
		}
	}}
	a, err := b.run(t.Context(), newMemory(), strings.Replace(one, `"max_rounds":2`, `"max_rounds":3`, 1))
	require.NoError(t, err)
	require.Equal(t, 2, a.SubProblems[0].Rounds)
	require.Equal(t, stopFacilitator, a.SubProblems[0].StoppedBy)
}

func TestAfterAFailureNothingNewBeginsAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := map[string]string{
			"decompose": `{"sub_problems":[{"id":"s1","title":"t","goal":"g","complexity":1},{"id":"s2","title":"t","goal":"g","complexity":1}]}`,
			"s2/select": `{"personas":[{"id":"risk"},{"id":"seller"},{"id":"treasurer"}]}`,
		}
		x := newExecutor(t, Config{}, func(_ context.Context, req model.Request) (model.Reply, error) {
			if req.Call == "s2/select" {
				synctest.Wait() // until the other part has failed and is gone
			}
			return model.Reply{Text: replies[req.Call], Finish: "stop", Reported: true, InputTokens: 1}, nil
		})
		rt := newMemory()
		began := make(chan struct{})
		rt.onReserve = func(c job.Call) error {
			switch c.ID {
			case "s2/select":
				close(began)
			case "s1/select":
				<-began
				return &job.Park{Reason: "budget"}
			}
			return nil
		}
		_, err := x.Execute(t.Context(), rt.work(smallInput), rt)
		var park *job.Park
		require.ErrorAs(t, err, &park)
		require.Contains(t, rt.settled, "s2/select", "what was under way is finished")
		require.Len(t, rt.reserved, 2, "decompose and s2/select; no contribution was begun")
	})
}

func TestAFindingIsHeardByThePartsThatRestOnIt(t *testing.T) {
	b := newBench(t, modelsim.Config{})
	var heard string
	b.exec.cfg.Routes.Lead.Chat = edited{b.exec.cfg.Routes.Lead.Chat, func(req model.Request, _ *model.Reply) {
		if req.Call == "s3/select" {
			heard = req.Messages[1].Text
		}
	}}
	a, err := b.run(t.Context(), newMemory(), smallInput)
	require.NoError(t, err)
	require.Equal(t, []string{"s1", "s2"}, a.SubProblems[2].DependsOn)
	require.Contains(t, heard, "# Finding of s1")
	require.Contains(t, heard, a.SubProblems[1].Action)
}

func TestNewChecksItsGraphs(t *testing.T) {
	require.ErrorContains(t, sound(graph{name: "g", start: "a", edges: map[node][]edge{"a": {{to: "a"}}}}), "no way from a")
	require.NoError(t, sound(wholeGraph(), subGraph()))
}
