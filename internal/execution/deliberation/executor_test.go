package deliberation

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

func TestDeliberationGoesFromProblemToAnswer(t *testing.T) {
	b := newBench(t, modelsim.Config{Seed: 1})
	rt := newMemory()
	a, err := b.run(t.Context(), rt, smallInput)
	require.NoError(t, err)

	require.True(t, a.Simulated)
	require.NotEmpty(t, a.Synthesis)
	require.NotEmpty(t, a.Recommendations)
	require.Len(t, a.SubProblems, 3)
	for _, s := range a.SubProblems {
		require.NotEmpty(t, s.Action)
		require.NotEmpty(t, s.StoppedBy)
		require.Len(t, s.Votes, len(s.Personas))
		require.Len(t, s.Contributions, s.Rounds*len(s.Personas))
		require.GreaterOrEqual(t, s.Rounds, 2)
	}
	kinds := rt.kinds()
	for _, k := range []string{"decomposed", "personas.selected", "round.started", "contribution", "facilitator", "convergence", "options", "vote", "synthesis", "done"} {
		require.Positive(t, kinds[k], k)
	}
	require.Equal(t, 3, kinds["personas.selected"])
	require.Equal(t, 1, kinds["done"])
	require.Positive(t, rt.progress)
}

func TestEveryCallIsReservedThenCheckedThenSettled(t *testing.T) {
	b := newBench(t, modelsim.Config{Seed: 1})
	rt := newMemory()
	a, err := b.run(t.Context(), rt, smallInput)
	require.NoError(t, err)
	stage := map[string]string{}
	for _, line := range rt.order {
		what, id, _ := strings.Cut(line, " ")
		require.Equal(t, map[string]string{"reserve": "", "check": "reserve", "settle": "check"}[what], stage[id], line)
		stage[id] = what
	}
	require.Empty(t, rt.open())

	totals := b.sim.Totals()
	require.Len(t, rt.settled, totals.Requests)
	require.Equal(t, a.Calls, totals.Requests)
	in, out := 0, 0
	for id, u := range rt.settled {
		require.False(t, u.Estimated, id)
		in, out = in+u.InputTokens, out+u.OutputTokens
	}
	require.Equal(t, totals.InputTokens, in, "booked is what the server billed")
	require.Equal(t, totals.OutputTokens, out)
	require.Equal(t, int64(rt.spent), a.CostMicroUSD)
}

// A transcript has every call, also those that failed, with what was asked, and
// costs nobody their job when it cannot be kept.
func TestATranscriptHasEveryCallOfAJobThatAsksForOne(t *testing.T) {
	b := newBench(t, modelsim.Config{Fault: func(a modelsim.Asked) modelsim.Fault {
		if a.Call == "decompose" {
			return modelsim.FaultError
		}
		return ""
	}})
	rt := newMemory()
	_, err := b.run(t.Context(), rt, strings.Replace(smallInput, "{", `{"transcript":true,`, 1))
	require.NoError(t, err)
	require.Len(t, rt.transcript, len(b.sim.Records("")))
	first := rt.transcript[0]
	require.Equal(t, "decompose", first.Call)
	require.Contains(t, first.Error, "503")
	for _, e := range rt.transcript {
		require.Contains(t, e.Messages[len(e.Messages)-1].Text, "price of our basic plan", e.Call)
		if e.Error == "" {
			require.NotEmpty(t, e.Reply, e.Call)
			require.Positive(t, e.Cost)
		}
	}
	rt = newMemory()
	_, err = b.run(t.Context(), rt, smallInput)
	require.NoError(t, err)
	require.Empty(t, rt.transcript, "nobody asked for it")
}

func TestThereIsACheckpointForEveryReply(t *testing.T) {
	b := newBench(t, modelsim.Config{Seed: 1})
	rt := newMemory()
	a, err := b.run(t.Context(), rt, smallInput)
	require.NoError(t, err)
	require.Len(t, rt.checkpoints, a.Calls)
	seen := map[string]bool{}
	for i, c := range rt.checkpoints {
		require.Equal(t, uint64(i+1), c.Seq)
		require.False(t, seen[c.Node])
		seen[c.Node] = true
	}
}

func TestEventsCarryWhatThePersonSeesAndTheCostSoFar(t *testing.T) {
	b := newBench(t, modelsim.Config{Seed: 1})
	rt := newMemory()
	_, err := b.run(t.Context(), rt, smallInput)
	require.NoError(t, err)
	var cost int64
	for _, e := range rt.events {
		var data struct {
			Persona string `json:"persona"`
			Round   int    `json:"round"`
			Text    string `json:"text"`
			Cost    int64  `json:"cost_micro_usd"`
		}
		require.NoError(t, json.Unmarshal(e.Data, &data))
		if e.Type == "contribution" {
			require.NotEmpty(t, data.Persona)
			require.Positive(t, data.Round)
			require.Contains(t, data.Text, "[simulated]")
			require.Positive(t, data.Cost)
		}
		cost = max(cost, data.Cost)
	}
	require.Equal(t, int64(rt.spent), cost)
}

func TestSameSeedSameAnswerOtherSeedAnother(t *testing.T) {
	var answers []string
	for _, seed := range []string{"7", "7", "8"} {
		b := newBench(t, modelsim.Config{Seed: 1})
		a, err := b.run(t.Context(), newMemory(), strings.Replace(smallInput, `"seed":7`, `"seed":`+seed, 1))
		require.NoError(t, err)
		answers = append(answers, free(t, a))
	}
	require.Equal(t, answers[0], answers[1])
	require.NotEqual(t, answers[0], answers[2])
}

// Cut the run after every single checkpoint and resume it from there.
func TestResumeFromAnyCheckpointGivesTheSameAnswerAndRepeatsNoCall(t *testing.T) {
	input := strings.Replace(smallInput, `{`, `{"max_rounds":2,`, 1)
	b := newBench(t, modelsim.Config{Seed: 1})
	whole := newMemory()
	want, err := b.run(t.Context(), whole, input)
	require.NoError(t, err)

	for i := range whole.checkpoints {
		from := whole.checkpoints[i]
		before := b.sim.Totals().Requests
		rt := whole.resumedFrom(&from)
		got, err := b.run(t.Context(), rt, input)
		require.NoError(t, err)
		require.Equal(t, free(t, want), free(t, got), "resumed after %s", from.Node)
		require.Equal(t, len(whole.checkpoints)-i-1, b.sim.Totals().Requests-before, "resumed after %s", from.Node)
		for _, done := range whole.checkpoints[:i+1] {
			require.NotContains(t, rt.settled, done.Node, "paid again")
		}
	}
}

func TestResumedEventsAreOnlyTheMissingOnes(t *testing.T) {
	b := newBench(t, modelsim.Config{Seed: 1})
	whole := newMemory()
	_, err := b.run(t.Context(), whole, smallInput)
	require.NoError(t, err)
	last := whole.checkpoints[len(whole.checkpoints)-1]
	rt := whole.resumedFrom(&last)
	_, err = b.run(t.Context(), rt, smallInput)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"done": 1}, rt.kinds())
	require.Empty(t, rt.settled)
}

var _ job.Runtime = (*memory)(nil)
