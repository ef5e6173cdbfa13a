package problem

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const least = `"problem":"Shall we open a second shop?"`

func TestParseReadsEveryField(t *testing.T) {
	in, err := Parse([]byte(`{` + least + `,"context":" two lines\nof it ","constraints":["cheap","soon"],
		"personas":["risk","treasurer",{"id":"cook","name":"The Cook","voice":"You cook.","lens":"food","asks":["Is it hot?"]}],
		"max_rounds":4,"max_sub_problems":2,"model":"m","models":{"lead":"l","persona":"p","synthesis":"s"},"seed":9,"may_ask":true}`))
	require.NoError(t, err)
	require.Equal(t, "Shall we open a second shop?", in.Problem)
	require.Equal(t, "two lines\nof it", in.Context)
	require.Equal(t, []string{"cheap", "soon"}, in.Constraints)
	require.Equal(t, []string{"risk", "treasurer", "cook"}, []string{in.Personas[0].ID, in.Personas[1].ID, in.Personas[2].ID})
	require.NotEmpty(t, in.Personas[0].Voice, "an id stands for the whole persona of the library")
	require.Equal(t, []string{"Is it hot?"}, in.Personas[2].Asks)
	require.Equal(t, Models{Lead: "l", Persona: "p", Synthesis: "s"}, in.Models)
	require.Equal(t, 4, in.MaxRounds)
	require.Equal(t, 2, in.MaxSubProblems)
	require.Equal(t, int64(9), in.Seed)
	require.True(t, in.MayAsk)
}

func TestParseRefusesAndSaysWhy(t *testing.T) {
	many := func(n int, s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	for input, want := range map[string]string{
		``:                                  "not a JSON object",
		`null`:                              "not a JSON object",
		`[]`:                                "not a JSON object",
		`"problem"`:                         "not a JSON object",
		`{`:                                 "not valid JSON",
		`{"problem":"Shall we open`:         "not valid JSON",
		`{}`:                                "problem is missing",
		`{` + least + `} {}`:                "more after",
		`{` + least + `} x`:                 "more after",
		`{` + least + `,"Problem":"x"}`:     `unknown field "Problem"`,
		`{` + least + `,"budget":1}`:        `unknown field "budget"; known are: constraints, context`,
		`{` + least + `,` + least + `}`:     `"problem" twice`,
		`{"problem":""}`:                    "0 characters; at least 10",
		`{"problem":"         x         "}`: "1 characters; at least 10",
		`{"problem":"` + strings.Repeat("é", 10_001) + `"}`: "10001 characters; at most 10000",
		`{"problem":null}`:                                                                       "problem: want a string, got null",
		`{"problem":["x"]}`:                                                                      "problem: want a string, got a list",
		`{"problem":"Shall we \u0000 open a shop?"}`:                                             "control character (U+0000)",
		`{"problem":"Shall we \u001b[31m open?"}`:                                                "control character (U+001B)",
		"{\"problem\":\"Shall we \xff open a shop?\"}":                                           "not valid UTF-8",
		`{` + least + `,"context":7}`:                                                            "context: want a string, got the number 7",
		`{` + least + `,"context":"` + strings.Repeat("ü", 26_000) + `"}`:                        "context has 52000 bytes; at most 51200",
		`{` + least + `,"constraints":"cheap"}`:                                                  "constraints: want a list, got a string",
		`{` + least + `,"constraints":null}`:                                                     "constraints: want a list, got null",
		`{` + least + `,"constraints":["a",5]}`:                                                  "constraints[1]: want a string, got the number 5",
		`{` + least + `,"constraints":[""]}`:                                                     "constraints[0] has 0 characters",
		`{` + least + `,"constraints":[` + many(11, `"x"`) + `]}`:                                "constraints has 11 entries; at most 10",
		`{` + least + `,"personas":["risk"]}`:                                                    "personas has 1 entries; give 3 to 5",
		`{` + least + `,"personas":[` + many(6, `"risk"`) + `]}`:                                 "personas has 6 entries; at most 5",
		`{` + least + `,"personas":["risk","risk","seller"]}`:                                    `personas has "risk" twice`,
		`{` + least + `,"personas":["risk","seller","nobody"]}`:                                  `personas[2] is "nobody", which is not in the library`,
		`{` + least + `,"personas":["risk","seller",{"id":"x"}]}`:                                "personas[2] needs at least id, name and voice",
		`{` + least + `,"personas":["risk","seller",{"id":"A b","name":"n","voice":"v"}]}`:       "lower-case letters",
		`{` + least + `,"personas":["risk","seller",{"id":"x","name":"n","voice":"v","age":3}]}`: `unknown field "age"`,
		`{` + least + `,"max_rounds":0}`:                                                         "max_rounds is 0; want 1 to 6",
		`{` + least + `,"max_rounds":7}`:                                                         "max_rounds is 7; want 1 to 6",
		`{` + least + `,"max_rounds":2.5}`:                                                       "max_rounds: want a whole number from 1 to 6, got the number 2.5",
		`{` + least + `,"max_rounds":"3"}`:                                                       "max_rounds: want a whole number from 1 to 6, got a string",
		`{` + least + `,"max_rounds":null}`:                                                      "got null",
		`{` + least + `,"seed":1e400}`:                                                           "seed: want a whole number",
		`{` + least + `,"seed":-1}`:                                                              "seed is -1",
		`{` + least + `,"may_ask":1}`:                                                            "may_ask: want true or false, got the number 1",
		`{` + least + `,"model":""}`:                                                             "model has 0 characters",
		`{` + least + `,"models":{"boss":"m"}}`:                                                  `models has an unknown field "boss"`,
		`{` + least + `,"models":"m"}`:                                                           "models is not a JSON object",
		`{` + least + `,"context":` + strings.Repeat("[", 20_000):                                "not valid JSON",
	} {
		_, err := Parse([]byte(input))
		require.ErrorIs(t, err, ErrBadInput, clip(input))
		require.ErrorContains(t, err, want, clip(input))
	}
}

func TestParseTakesAnInputAtItsLimits(t *testing.T) {
	_, err := Parse([]byte(`{"problem":"` + strings.Repeat("é", MaxProblem) + `","context":"` + strings.Repeat("x", MaxContext) + `"}`))
	require.NoError(t, err)
	_, err = Parse([]byte(`{"problem":"` + strings.Repeat("x", MinProblem) + `"}`))
	require.NoError(t, err)
}

func FuzzParseNeverPanicsAndItsInputIsSound(f *testing.F) {
	f.Add([]byte(`{` + least + `}`))
	f.Add([]byte(`{` + least + `,"personas":["risk",{"id":"x"}],"models":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := Parse(data)
		if err != nil {
			require.ErrorIs(t, err, ErrBadInput)
			return
		}
		require.GreaterOrEqual(t, len(in.Problem), MinProblem)
		require.LessOrEqual(t, in.MaxRounds, MaxRounds)
	})
}

func TestLibraryHoldsAtLeastTwentyDistinctPersonas(t *testing.T) {
	l, err := Personas()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(l.All()), 20)
	voices := map[string]bool{}
	for _, p := range l.All() {
		require.NoError(t, p.check(p.ID))
		require.Len(t, p.Asks, 3, p.ID)
		require.NotEmpty(t, p.Lens)
		require.Greater(t, len(p.Voice), 150, p.ID)
		require.False(t, voices[p.Voice] || voices[p.Name], p.ID)
		voices[p.Voice], voices[p.Name] = true, true
	}
	_, err = newLibrary([]Persona{{ID: "a"}, {ID: "a"}})
	require.ErrorContains(t, err, "twice")
}

func TestExamplesAreValidInputs(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 3)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		_, err = Parse(data)
		require.NoError(t, err, f)
	}
}

func sample() Answer {
	return Answer{
		Version: AnswerVersion, Problem: "Line one\nline two", Synthesis: "# Yes\nbecause", Simulated: true,
		Recommendations: []Recommendation{{Title: "Do it", Detail: "slowly", Confidence: 70, SubProblems: []string{"s1"}}},
		NextSteps:       []string{"first", "then"}, CostMicroUSD: 1_234_560, Calls: 31,
		SubProblems: []SubProblem{{
			ID: "s1", Title: "A | B", Goal: "settle it", Personas: []Seat{{ID: "risk", Name: "The Risk Officer", Why: "knows"}},
			Rounds: 2, StoppedBy: "converged", Winner: "A",
			Contributions: []Contribution{{Persona: "risk", Round: 1, Text: "One.\n# not a heading"}, {Persona: "risk", Round: 2, Text: "the model declined", Declined: true}},
			Options:       []Option{{ID: "A", Title: "Go", Summary: "go", Votes: 1, Weight: 80}, {ID: "B", Title: "Stay", Summary: "stay"}},
			Votes:         []Vote{{Persona: "risk", Option: "A", Confidence: 80, Reason: "why not", Conditions: []string{"a date"}}},
			Synthesis:     "so it is", Action: "Go now.", Confidence: 66, Risks: []string{"rain"}, Dissent: []Dissent{{Persona: "risk", View: "not\nyet"}},
		}},
	}
}

func TestReportHasEverythingAPersonNeeds(t *testing.T) {
	text := Report(sample())
	for _, want := range []string{
		"**Simulated.**", "> Line one\n> line two", "### Yes", "1. **Do it** (confidence 70 %; rests on s1)", "2. then",
		"| s1 | A \\| B | 2 | converged | 66 % | 1 of 1 |", "**(chosen)**", "**The Risk Officer** votes A (80 %): why not *If: a date*",
		"- rain", "**The Risk Officer**: not yet", "#### Round 1", "> One.\n> # not a heading", "sat this round out", "31 model calls, $1.2345.",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "\n\n\n")
	plain := sample()
	plain.Simulated, plain.SubProblems[0].Winner = false, ""
	text = Report(plain)
	require.NotContains(t, text, "Simulated")
	require.Contains(t, text, "The vote was tied.")
}

func TestSummaryIsTheReportWithoutItsParts(t *testing.T) {
	text := Summary(sample())
	for _, want := range []string{"**Simulated.**", "### Yes", "1. **Do it**", "| s1 | A \\| B |", "31 model calls, $1.2345."} {
		require.Contains(t, text, want)
	}
	for _, not := range []string{"## s1", "### The discussion", "The Risk Officer"} {
		require.NotContains(t, text, not)
	}
}

func TestAnswerIsReadBackAndAnotherVersionIsRefused(t *testing.T) {
	data, err := json.Marshal(sample())
	require.NoError(t, err)
	a, err := ReadAnswer(data)
	require.NoError(t, err)
	require.Equal(t, sample(), a)
	_, err = ReadAnswer([]byte(fmt.Sprintf(`{"version":%d}`, AnswerVersion+1)))
	require.ErrorContains(t, err, "version 2")
	_, err = ReadAnswer([]byte(`{`))
	require.Error(t, err)
}

func TestAnInputNamesEachModelOnce(t *testing.T) {
	in, err := Parse([]byte(`{"problem":"should we do it?","model":"a","models":{"lead":"b","persona":"a","synthesis":"c"}}`))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, in.Named())
	in, err = Parse([]byte(`{"problem":"should we do it?"}`))
	require.NoError(t, err)
	require.Empty(t, in.Named())
}
