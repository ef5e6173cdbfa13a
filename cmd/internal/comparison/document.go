package comparison

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rtfm-si/gavel/internal/job"
)

// Document writes pairs down in Markdown. Simulated says who wrote the texts.
func Document(pairs []Pair, modelName string, simulated bool) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# What a deliberation adds, and what it costs\n")
	line("The same problems, put to the model `%s` twice: as one plain call, and as a deliberation.\n", modelName)
	if simulated {
		line("> A simulated model server wrote these texts, by rule. They show the form of both, and calls, tokens and prices as they fall;")
		line("> they are no advice, and say nothing about how good a real model's would be. `gavel compare --model-url … --model-key-file … --model …`")
		line("> writes the same page with a real one (`--prices FILE` for a model that has none here).\n")
	}
	var plain, whole Bill
	line("| problem | one call | tokens in / out | cost | deliberation | tokens in / out | cost | dearer by |")
	line("|---|---|---|---|---|---|---|---|")
	for _, p := range pairs {
		row(line, "["+p.Name+"](#"+p.Name+")", p.Plain.Bill, p.Deliberated.Bill)
		plain, whole = plain.plus(p.Plain.Bill), whole.plus(p.Deliberated.Bill)
	}
	row(line, "together", plain, whole)
	line("\nA plain call gives one view. A deliberation takes the problem apart, hears several views on each part against each other, has them vote, and keeps")
	line("who disagreed: what it adds is in the counts below each problem. It is worth its price where a wrong decision costs more than that.")
	for _, p := range pairs {
		p.write(line)
	}
	return b.String()
}

func (b Bill) plus(o Bill) Bill {
	return Bill{b.Calls + o.Calls, b.InputTokens + o.InputTokens, b.OutputTokens + o.OutputTokens, b.Cost + o.Cost}
}

func row(line func(string, ...any), name string, plain, whole Bill) {
	times := "–"
	if plain.Cost > 0 {
		times = strconv.FormatFloat(float64(whole.Cost)/float64(plain.Cost), 'f', 0, 64) + " ×"
	}
	line("| %s | %d | %d / %d | %s | %d | %d / %d | %s | %s |", name,
		plain.Calls, plain.InputTokens, plain.OutputTokens, dollars(plain.Cost),
		whole.Calls, whole.InputTokens, whole.OutputTokens, dollars(whole.Cost), times)
}

func dollars(m job.MicroUSD) string { return fmt.Sprintf("$%.4f", float64(m)/float64(job.USD)) }

func (p Pair) write(line func(string, ...any)) {
	a := p.Deliberated.Answer
	voices, said, rounds, options, votes, dissent := map[string]bool{}, 0, 0, 0, 0, 0
	for _, s := range a.SubProblems {
		for _, seat := range s.Personas {
			voices[seat.ID] = true
		}
		said += len(s.Contributions)
		rounds += s.Rounds
		options += len(s.Options)
		votes += len(s.Votes)
		dissent += len(s.Dissent)
	}
	line("\n## %s\n", p.Name)
	line("> %s\n", strings.ReplaceAll(p.Problem.Problem, "\n", "\n> "))
	line("| | one plain call | deliberation |")
	line("|---|---|---|")
	for _, r := range []struct {
		what  string
		plain string
		whole int
	}{
		{"parts looked at on their own", "1", len(a.SubProblems)},
		{"voices", "1", len(voices)},
		{"contributions", "1", said},
		{"rounds", "–", rounds},
		{"options weighed", "–", options},
		{"votes with a confidence", "–", votes},
		{"dissent kept", "–", dissent},
		{"recommendations with a confidence", "–", len(a.Recommendations)},
	} {
		line("| %s | %s | %d |", r.what, r.plain, r.whole)
	}
	line("\nThe plain call: %s\n", clip(p.Plain.Text))
	line("The deliberation: %s", clip(a.Synthesis))
	for _, r := range a.Recommendations {
		line("\n- **%s** (%d %%): %s", clip(r.Title), r.Confidence, clip(r.Detail))
	}
}

// clip is the beginning of a text, on one line.
func clip(s string) string {
	const most = 400
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
