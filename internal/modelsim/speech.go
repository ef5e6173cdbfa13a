package modelsim

import (
	"fmt"
	"strings"
)

// lens is what the speaking persona looks at.
func (p prompt) lens() string {
	if l := p.speaker["You look at"]; l != "" {
		return l
	}
	return "the whole of it"
}

// asks are the questions the speaking persona always comes back to.
func (p prompt) asks() []string {
	if list := listed(p.speaker["You always come back to"]); len(list) > 0 {
		return list
	}
	return []string{"What would change our mind?"}
}

// name is the speaking persona's.
func (p prompt) name() string {
	for h := range p.speaker {
		if rest, ok := strings.CutPrefix(h, "You are "); ok {
			return rest
		}
	}
	return ""
}

// speech is what a persona says in a round: where it stands or how it answers
// somebody, what it sees in the facts, what it asks, and what it wants done.
func speech(d dice, p prompt) string {
	var parts []string
	if other := p.other(d); other != "" {
		parts = append(parts, response(d, other, p))
	} else {
		parts = append(parts, opening(d, p))
	}
	parts = append(parts, reasoning(d, p), d.pick(p.asks()), demand(d, p))
	if c := constraint(d, p); c != "" && d.IntN(3) == 0 {
		parts = append(parts, strings.TrimSpace(c))
	}
	return strings.Join(parts, " ")
}

// other is somebody else who has spoken.
func (p prompt) other(d dice) string {
	var others []string
	for _, n := range p.spoken() {
		if n != p.name() {
			others = append(others, n)
		}
	}
	if len(others) == 0 {
		return ""
	}
	return d.pick(others[:min(len(others), 5)])
}

func opening(d dice, p prompt) string {
	return fmt.Sprintf(d.pick([]string{
		"Before we ask %[1]s, I look at %[2]s, and there the case to %[3]s is thinner than it sounds.",
		"I would put %[2]s first. Whether to %[3]s follows from that and not the other way round.",
		"When I hear that we might %[3]s, I think of %[2]s; the rest can be arranged.",
		"I can be convinced to %[3]s, but not by enthusiasm: for me it turns on %[2]s.",
		"Suppose that we %[3]s. Seen from %[2]s, that is a good idea with the wrong date on it.",
		"I start from %[2]s. On that side I find one strong reason to %[3]s and two weak ones.",
	}), p.question(), p.lens(), p.course())
}

func response(d dice, other string, p prompt) string {
	return fmt.Sprintf(d.pick([]string{
		"%[1]s is right that delay has a price; a wrong start has a larger one, at least in %[2]s.",
		"I have come closer to %[1]s since the last round: what we can take back matters more than the figure. Still, %[2]s stays on my list.",
		"I accept the point of %[1]s and would add %[2]s, because that is where it will be felt first.",
		"With %[1]s I differ on one thing only, and it is %[2]s.",
		"%[1]s asks the right question and answers it too early. I would look at %[2]s before I close it.",
		"If %[1]s and I wrote down what we expect, I think we would differ by a quarter and not by a principle. Mine comes from %[2]s.",
		"I was against %[1]s an hour ago. I am not now, provided somebody answers for %[2]s.",
	}), other, p.lens())
}

func reasoning(d dice, p prompt) string {
	lines := []string{
		"Nobody has yet said what we would stop doing to make room for it.",
		"We mix what we know with what we hope; I would put the two in separate columns.",
		"The second year decides this, not the launch.",
		"One assumption carries all the others, and it can be tested in weeks.",
	}
	facts := p.facts()
	if len(facts) == 0 || d.IntN(5) == 0 {
		return d.pick(lines)
	}
	return fmt.Sprintf(d.pick([]string{
		"We are told this: %s. If that holds, the order of the steps matters more than their number.",
		"One line in the brief stays with me: %s. I have not heard anybody draw the consequence.",
		"Take a single fact: %s. It cuts both ways, and we have used only one edge of it.",
		"The brief says: %s. I would want to know how that was counted before I lean on it.",
		"My reading of the brief rests on this: %s. Turn it round and I turn with it.",
	}), d.pick(facts))
}

func quoted(s string) string { return "“" + s + "”" }

func demand(d dice, p prompt) string {
	if p.round() > 2 {
		return d.pick([]string{
			"I could sign a bounded trial with a date and a stop rule, and I would vote for it now.",
			"Give me a named owner and a written limit, and I will carry this.",
			"We are close. What is left is the size of the first step, and I would make it small and visible.",
			"I have said what I came to say; let us choose and write down why.",
		})
	}
	return d.pick([]string{
		"I want a range instead of a figure, and the name of whoever stands behind it.",
		"Before I agree I want to see the bad case priced and owned.",
		"Let us find the smallest version that could prove us wrong.",
		"I would ask the people who have to live with it before we go on.",
		"Show me the week in which we would notice that it is not working.",
	})
}

// constraint quotes one of the owner's constraints.
func constraint(d dice, p prompt) string {
	list := p.bullets("Constraints")
	if len(list) == 0 {
		return ""
	}
	return " And one limit stands: " + strings.TrimRight(d.pick(list), ".") + "."
}

func summary(d dice, p prompt, winner string, votes, against int) string {
	return fmt.Sprintf(
		"The advisers began apart on %s and ended nearer than they began. Of %d votes, %d went elsewhere. "+
			"What carried **%s** was %s; %s What remains disputed is %s.",
		p.question(), votes, against, lower(winner),
		d.pick([]string{"that it limits the loss while the open questions are answered", "that each of them could answer for it", "the one fact that nobody disputed"}),
		d.pick([]string{
			"nobody found evidence that waiting improves the odds.",
			"the strongest objection concerned timing and not direction.",
			"two views that looked opposed turned out to differ on dates alone.",
		}),
		d.pick([]string{"the size of the first step", "who owns the downside", "how good the figures are"}))
}

// plain answers a question that is not a deliberation's.
func plain(d dice, p prompt, a ask) string {
	last := a.Messages[len(a.Messages)-1].Content
	return fmt.Sprintf("You wrote: %s %s", quoted(cut(firstLine(last), 200)), d.pick([]string{
		"I am a simulated model and can only play a part in a deliberation.",
		"This server simulates a model; it does not know the answer.",
	})) + constraint(d, p)
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
