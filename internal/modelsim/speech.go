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

// speech is what a persona says in a round: where it stands, what it asks, how
// it answers somebody, and what it wants done.
func speech(d dice, p prompt) string {
	parts := []string{opening(d, p), d.pick(p.asks()), reasoning(d, p)}
	if other := p.other(d); other != "" {
		parts = append([]string{response(d, other, p)}, parts[1:]...)
	}
	parts = append(parts, demand(d, p))
	if c := constraint(p); c != "" && d.IntN(2) == 0 {
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
		"On %[1]s I look first at %[2]s, and there the case is thinner than it sounds.",
		"I would treat %[1]s as a question of %[2]s before anything else.",
		"When I hear %[1]s I think of %[2]s; the rest follows from that.",
		"My concern about %[1]s is %[2]s. I can be convinced, but not by enthusiasm.",
	}), p.question(), p.lens())
}

func response(d dice, other string, p prompt) string {
	return fmt.Sprintf(d.pick([]string{
		"%[1]s is right that delay has a price, but from the side of %[2]s the price of a wrong start is larger.",
		"I have come closer to %[1]s since the last round: the numbers matter less than what we can take back. Yet %[2]s stays on my list.",
		"I accept the point of %[1]s and would add %[2]s to it, because that is where it will be felt first.",
		"With %[1]s I differ on one thing only, and it is %[2]s.",
	}), other, p.lens())
}

func reasoning(d dice, p prompt) string {
	topic := p.topic()
	return fmt.Sprintf(d.pick([]string{
		"As it is put to us — %s — nobody has yet said what we would stop doing to make room for it.",
		"The statement before us, %s, mixes what we know with what we hope; I would separate the two on one page.",
		"If we take it at its word, %s, then the second year decides, not the launch.",
		"Behind %s there is one assumption that carries all the others, and it can be tested in weeks.",
	}), quoted(topic))
}

func quoted(s string) string { return "“" + s + "”" }

func demand(d dice, p prompt) string {
	if p.round() > 2 {
		return d.pick([]string{
			"I could sign a bounded trial with a date and a stop rule, and I would vote for that now.",
			"Give me a named owner and a written limit, and I will carry this.",
			"We are close. What is left is the size of the first step, and I would make it small and visible.",
		})
	}
	return d.pick([]string{
		"I want a range instead of a figure, and the name of whoever stands behind it.",
		"Before I agree I want to see the downside priced and owned.",
		"Let us find the smallest version that could prove us wrong.",
		"I would ask the people who have to live with it before we go on.",
	})
}

// constraint quotes one of the owner's constraints.
func constraint(p prompt) string {
	list := p.bullets("Constraints")
	if len(list) == 0 {
		return ""
	}
	return " And the constraint stands: " + strings.TrimRight(list[0], ".") + "."
}

func summary(d dice, p prompt, winner string, votes, against int) string {
	return fmt.Sprintf(
		"The advisers began apart on %s and ended nearer than they began. Of %d votes, %d went elsewhere. "+
			"What carried **%s** is that it limits the loss while the open questions are answered; %s "+
			"What remains disputed is the size of the first step.",
		p.question(), votes, against, lower(winner), d.pick([]string{
			"nobody found evidence that waiting improves the odds.",
			"the strongest objection concerned timing and not direction.",
			"two views that looked opposed turned out to differ on dates alone.",
		}))
}

// plain answers a question that is not a deliberation's.
func plain(d dice, p prompt, a ask) string {
	last := a.Messages[len(a.Messages)-1].Content
	return fmt.Sprintf("You wrote: %s %s", quoted(cut(firstLine(last), 200)), d.pick([]string{
		"I am a simulated model and can only play a part in a deliberation.",
		"This server simulates a model; it does not know the answer.",
	})) + constraint(p)
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
