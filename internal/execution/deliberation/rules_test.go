package deliberation

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/problem"
)

func TestBothGraphsAreSound(t *testing.T) {
	require.NoError(t, wholeGraph().validate())
	require.NoError(t, subGraph().validate())
}

func TestGraphsThatCouldGoOnForEverAreRefused(t *testing.T) {
	for want, edges := range map[string]map[node][]edge{
		"does not exist":           {"a": {{to: "b"}}},
		"has no exit":              {"a": {{to: "b"}}, "b": {{to: "a", counted: true}}},
		"a cycle through":          {"a": {{to: "b"}}, "b": {{to: "a"}, {to: end}}},
		"nothing leads to c":       {"a": {{to: end}}, "c": {{to: end}}},
		"no way from b to the end": {"a": {{to: "b"}, {to: end}}, "b": {}},
		"cycle through c":          {"a": {{to: "c"}}, "c": {{to: "c"}, {to: end}}},
	} {
		require.ErrorContains(t, graph{name: "g", start: "a", edges: edges}.validate(), want)
	}
}

func TestAWalkKeepsToItsGraphItsLapsAndItsSteps(t *testing.T) {
	g := graph{name: "g", start: "a", edges: map[node][]edge{"a": {{to: "a", counted: true}, {to: end}}}}
	require.NoError(t, g.validate())
	visits := 0
	steps := map[node]step{"a": func(context.Context) (node, error) { visits++; return "a", nil }}
	err := (&walk{graph: g, steps: steps, laps: 3, budget: &stepBudget{limit: 100}}).run(t.Context())
	require.ErrorContains(t, err, "taken too often")
	require.Equal(t, 4, visits)

	err = (&walk{graph: g, steps: steps, laps: 1000, budget: &stepBudget{limit: 10}}).run(t.Context())
	require.ErrorContains(t, err, "step limit of 10")

	steps["a"] = func(context.Context) (node, error) { return "b", nil }
	err = (&walk{graph: g, steps: steps, laps: 1, budget: &stepBudget{limit: 10}}).run(t.Context())
	require.ErrorContains(t, err, "no way from a to b")

	delete(steps, "a")
	err = (&walk{graph: g, steps: steps, laps: 1, budget: &stepBudget{limit: 10}}).run(t.Context())
	require.ErrorContains(t, err, "nothing to do at a")
}

func TestTheRoundCapFollowsTheComplexity(t *testing.T) {
	for complexity, want := range map[int]int{1: 3, 3: 3, 4: 4, 5: 4, 6: 5, 7: 5, 8: 6, 10: 6} {
		require.Equal(t, want, roundCap(complexity, 0), complexity)
	}
	require.Equal(t, 2, roundCap(9, 2))
	require.Equal(t, 3, roundCap(2, 6), "the input lowers it and does not raise it")
}

func TestWhenADiscussionStops(t *testing.T) {
	m := func(pairs ...int) (out []measure) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, measure{Convergence: &pairs[i], Novelty: &pairs[i+1]})
		}
		return out
	}
	for _, c := range []struct {
		measures []measure
		rounds   int
		want     string
	}{
		{nil, 1, ""},
		{nil, 6, stopCap},
		{m(84, 10), 2, ""},
		{m(85, 29), 2, stopConverged},
		{m(85, 30), 2, ""},
		{m(90, 99), 2, stopConverged},
		{m(40, 14, 40, 14), 3, stopStalled},
		{m(40, 14, 40, 15), 3, ""},
		{m(40, 14, 95, 14), 3, stopConverged},
		{m(40, 50), 6, stopCap},
	} {
		require.Equal(t, c.want, stopReason(c.measures, c.rounds, 6), "%+v", c)
	}
}

func TestVotesAreCountedByTheirConfidence(t *testing.T) {
	options := []problem.Option{{ID: "A"}, {ID: "B"}, {ID: "C"}}
	v := func(option string, confidence int) problem.Vote {
		return problem.Vote{Option: option, Confidence: confidence}
	}
	counted, winner := count(options, []problem.Vote{v("A", 30), v("A", 30), v("B", 90)})
	require.Equal(t, "B", winner, "one who is sure outweighs two who are not")
	require.Equal(t, []problem.Option{{ID: "A", Weight: 60, Votes: 2}, {ID: "B", Weight: 90, Votes: 1}, {ID: "C"}}, counted)
	_, winner = count(options, []problem.Vote{v("A", 30), v("A", 30), v("B", 60)})
	require.Equal(t, "A", winner, "at the same weight the number of votes decides")
	_, winner = count(options, []problem.Vote{v("A", 60), v("B", 60)})
	require.Empty(t, winner, "and then it is a tie")
	_, winner = count(options, []problem.Vote{v("A", 60), v("B", 60), v("C", 61)})
	require.Equal(t, "C", winner)
	require.Zero(t, options[0].Weight, "the options that were voted on are not touched")
}

func TestStructuredRepliesAreReadWithWhatIsAroundThem(t *testing.T) {
	e := entry{Text: "Sure!\n```json\n{\"next\": \"vote\", \"extra\": 1}\n```\nGood luck."}
	got, err := decode(e, (*lead).check)
	require.NoError(t, err)
	require.Equal(t, "vote", got.Next)
}

func TestStructuredRepliesAreChecked(t *testing.T) {
	library, err := problem.Personas()
	require.NoError(t, err)
	seats := library.All()[:3]
	subs := []*sub{{part: part{ID: "s1"}}}
	plans := func(p *plan) error { return p.check(3) }
	casts := func(c *casting) error { return c.check(library) }
	ballots := func(b *ballot) error { return b.check([]problem.Option{{ID: "A"}}) }
	findings := func(f *finding) error { return f.check(seats) }
	conclusions := func(c *conclusion) error { return c.check(subs) }
	p := func(id, deps string) string {
		return `{"id":"` + id + `","title":"t","goal":"g","complexity":3,"depends_on":[` + deps + `]}`
	}
	for _, c := range []struct {
		want string
		err  error
	}{
		{"no JSON object", bad(`no braces`, plans)},
		{"0 entries", bad(`{"sub_problems":[]}`, plans)},
		{"4 entries; want 1 to 3", bad(`{"sub_problems":[`+p("s1", "")+","+p("s2", "")+","+p("s3", "")+","+p("s4", "")+`]}`, plans)},
		{`want "s1"`, bad(`{"sub_problems":[`+p("s2", "")+`]}`, plans)},
		{"no other sub-problem", bad(`{"sub_problems":[`+p("s1", `"s9"`)+`]}`, plans)},
		{"no other sub-problem", bad(`{"sub_problems":[`+p("s1", `"s1"`)+`]}`, plans)},
		{"waits for itself", bad(`{"sub_problems":[`+p("s1", `"s2"`)+","+p("s2", `"s1"`)+`]}`, plans)},
		{"complexity is 11", bad(`{"sub_problems":[{"id":"s1","title":"t","goal":"g","complexity":11}]}`, plans)},
		{"must not be empty", bad(`{"sub_problems":[{"id":"s1","title":" ","goal":"g","complexity":1}]}`, plans)},
		{"JSON is not as asked", bad(`{"sub_problems":"none"}`, plans)},
		{"2 entries", bad(`{"personas":[{"id":"risk"},{"id":"seller"}]}`, casts)},
		{"named twice", bad(`{"personas":[{"id":"risk"},{"id":"risk"},{"id":"seller"}]}`, casts)},
		{"not in the list", bad(`{"personas":[{"id":"risk"},{"id":"pope"},{"id":"seller"}]}`, casts)},
		{"want discuss or vote", bad(`{"next":"sleep"}`, (*lead).check)},
		{"focus is empty", bad(`{"next":"discuss"}`, (*lead).check)},
		{"novelty is missing", bad(`{"convergence":3}`, (*measure).check)},
		{"convergence is missing or outside", bad(`{"convergence":101,"novelty":3}`, (*measure).check)},
		{"1 entries", bad(`{"options":[{"id":"A","title":"t","summary":"s"}]}`, (*menu).check)},
		{`want "B"`, bad(`{"options":[{"id":"A","title":"t","summary":"s"},{"id":"A","title":"t","summary":"s"}]}`, (*menu).check)},
		{"title and a summary", bad(`{"options":[{"id":"A","title":"t","summary":"s"},{"id":"B","title":"t"}]}`, (*menu).check)},
		{"not on the list", bad(`{"option":"Z","confidence":1,"reason":"r"}`, ballots)},
		{"reason is empty", bad(`{"option":"A","confidence":1}`, ballots)},
		{"confidence is missing", bad(`{"option":"A","reason":"r"}`, ballots)},
		{"must not be empty", bad(`{"synthesis":"s"}`, findings)},
		{"did not take part", bad(`{"synthesis":"s","action":"a","confidence":1,"dissent":[{"persona":"pope"}]}`, findings)},
		{"synthesis is empty", bad(`{}`, conclusions)},
		{"0 entries", bad(`{"synthesis":"s"}`, conclusions)},
		{"has no title", bad(`{"synthesis":"s","recommendations":[{}]}`, conclusions)},
		{"confidence is missing", bad(`{"synthesis":"s","recommendations":[{"title":"t"}]}`, conclusions)},
		{"no sub-problem", bad(`{"synthesis":"s","recommendations":[{"title":"t","confidence":1,"sub_problems":["s2"]}]}`, conclusions)},
	} {
		require.ErrorContains(t, c.err, c.want)
	}
}

func bad[T any](text string, check func(*T) error) error {
	_, err := decode(entry{Text: text}, check)
	return err
}
