package problem

import (
	"fmt"
	"strings"
)

// Report is the answer as a document for the person who has to decide: first
// what to do, then why, then who said what. It is Markdown, and plain enough to
// be read as it is.
func Report(a Answer) string {
	r := &report{}
	r.head(a)
	for _, s := range a.SubProblems {
		r.sub(s)
	}
	r.foot(a)
	return r.b.String()
}

// Summary is the report without what was found and said about each part.
func Summary(a Answer) string {
	r := &report{}
	r.head(a)
	r.foot(a)
	return r.b.String()
}

type report struct{ b strings.Builder }

func (r *report) head(a Answer) {
	r.line("# Deliberation report")
	if a.Simulated {
		r.line("> **Simulated.** A simulated model server wrote these texts. They show the form of a deliberation and are no advice.")
	}
	r.line("## The problem")
	r.line(quoteBlock(a.Problem))
	r.line("## Answer")
	r.line(demote(a.Synthesis))
	r.recommendations(a.Recommendations)
	if len(a.NextSteps) > 0 {
		r.line("## Next steps")
		r.numbered(a.NextSteps)
	}
	r.overview(a.SubProblems)
}

func (r *report) foot(a Answer) {
	r.line("---")
	r.line(fmt.Sprintf("%d model calls, %s.", a.Calls, dollars(a.CostMicroUSD)))
}

func (r *report) line(s string) { r.b.WriteString(strings.TrimSpace(s) + "\n\n") }

func (r *report) bullets(lines []string) {
	if len(lines) > 0 {
		r.line("- " + strings.Join(lines, "\n- "))
	}
}

func (r *report) numbered(lines []string) {
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, "%d. %s\n", i+1, oneLine(l))
	}
	r.line(b.String())
}

func (r *report) recommendations(list []Recommendation) {
	r.line("## Recommendations")
	var lines []string
	for _, rec := range list {
		text := fmt.Sprintf("**%s** (confidence %d %%", oneLine(rec.Title), rec.Confidence)
		if len(rec.SubProblems) > 0 {
			text += "; rests on " + strings.Join(rec.SubProblems, ", ")
		}
		text += ")"
		if d := oneLine(rec.Detail); d != "" {
			text += "  \n   " + d
		}
		lines = append(lines, text)
	}
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, "%d. %s\n", i+1, l)
	}
	r.line(b.String())
}

func (r *report) overview(subs []SubProblem) {
	r.line("## The parts")
	var b strings.Builder
	b.WriteString("| | question | rounds | ended by | confidence | dissent |\n|---|---|---|---|---|---|\n")
	for _, s := range subs {
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %d %% | %d of %d |\n",
			s.ID, cell(s.Title), s.Rounds, cell(s.StoppedBy), s.Confidence, len(s.Dissent), len(s.Personas))
	}
	r.line(b.String())
}

func (r *report) sub(s SubProblem) {
	r.line(fmt.Sprintf("## %s: %s", s.ID, oneLine(s.Title)))
	r.line("*" + oneLine(s.Goal) + "*")
	if len(s.DependsOn) > 0 {
		r.line("Builds on " + strings.Join(s.DependsOn, ", ") + ".")
	}
	r.line("**" + oneLine(s.Action) + "**")
	r.line(demote(s.Synthesis))
	r.ballot(s)
	if len(s.Risks) > 0 {
		r.line("### Risks")
		r.bullets(oneLines(s.Risks))
	}
	if len(s.Dissent) > 0 {
		r.line("### Dissent")
		var lines []string
		for _, d := range s.Dissent {
			lines = append(lines, "**"+s.name(d.Persona)+"**: "+oneLine(d.View))
		}
		r.bullets(lines)
	}
	r.discussion(s)
}

func (r *report) ballot(s SubProblem) {
	if len(s.Options) == 0 {
		return
	}
	r.line("### Options and votes")
	var b strings.Builder
	b.WriteString("| | option | votes | weight |\n|---|---|---|---|\n")
	for _, o := range s.Options {
		mark := ""
		if o.ID == s.Winner {
			mark = " **(chosen)**"
		}
		fmt.Fprintf(&b, "| %s | **%s**%s: %s | %d | %d |\n", o.ID, cell(o.Title), mark, cell(o.Summary), o.Votes, o.Weight)
	}
	r.line(b.String())
	if s.Winner == "" {
		r.line("The vote was tied.")
	}
	var lines []string
	for _, v := range s.Votes {
		text := fmt.Sprintf("**%s** votes %s (%d %%): %s", s.name(v.Persona), v.Option, v.Confidence, oneLine(v.Reason))
		if len(v.Conditions) > 0 {
			text += " *If: " + strings.Join(oneLines(v.Conditions), "; ") + "*"
		}
		lines = append(lines, text)
	}
	r.bullets(lines)
}

func (r *report) discussion(s SubProblem) {
	r.line("### The discussion")
	var seats []string
	for _, p := range s.Personas {
		text := "**" + oneLine(p.Name) + "**"
		if p.Why != "" {
			text += ": " + oneLine(p.Why)
		}
		seats = append(seats, text)
	}
	r.bullets(seats)
	round := 0
	for _, c := range s.Contributions {
		if c.Round != round {
			round = c.Round
			r.line(fmt.Sprintf("#### Round %d", round))
		}
		if c.Declined {
			r.line("**" + s.name(c.Persona) + "** sat this round out (" + oneLine(c.Text) + ").")
			continue
		}
		r.line("**" + s.name(c.Persona) + "**")
		r.line(quoteBlock(c.Text))
	}
}

func (s SubProblem) name(id string) string {
	for _, p := range s.Personas {
		if p.ID == id {
			return oneLine(p.Name)
		}
	}
	return id
}

// oneLine keeps a model's text from breaking out of a list, a table or a heading.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func oneLines(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = oneLine(s)
	}
	return out
}

func cell(s string) string { return strings.ReplaceAll(oneLine(s), "|", "\\|") }

func quoteBlock(s string) string {
	return "> " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n> ")
}

// demote puts the headings of a model's Markdown below the report's own.
func demote(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, "#") {
			line = "###" + strings.TrimLeft(line, "#")
		}
		b.WriteString(line)
	}
	return b.String()
}

func dollars(micro int64) string {
	const perDollar, perTenThousandth = 1_000_000, 100
	return fmt.Sprintf("$%d.%04d", micro/perDollar, micro%perDollar/perTenThousandth)
}
