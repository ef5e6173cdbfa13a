package modelsim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const label = "[simulated] "

// answer is the whole reply to a question.
func answer(seed uint64, a ask, p prompt) string {
	d := throw(seed, a)
	makers := map[string]func(dice, prompt) any{
		"clarify": clarify, "decompose": decompose, "select": cast, "facilitate": facilitate, "check": check,
		"options": options, "vote": vote, "synthesize": synthesize, "conclude": conclude,
	}
	if maker, ok := makers[p.step()]; ok {
		data, err := json.Marshal(maker(d, p))
		if err != nil {
			return label + "I cannot answer that."
		}
		return string(data)
	}
	if p.step() == "contribute" {
		return label + speech(d, p)
	}
	return label + plain(d, p, a)
}

type object = map[string]any

func clarify(_ dice, p prompt) any {
	return object{"questions": []string{
		label + "Which outcome would make you call it a success a year from now?",
		label + "What have you already ruled out when you ask whether to " + p.course() + ", and why?",
	}}
}

var atMost = regexp.MustCompile(`at most (\d+)`)

func decompose(d dice, p prompt) any {
	most := 5
	if m := atMost.FindStringSubmatch(p.sections["Reply"]); m != nil {
		most, _ = strconv.Atoi(m[1])
	}
	course := p.course()
	parts := []object{
		{
			"id": "s1", "title": "What it is worth, and to whom", "depends_on": []string{}, "complexity": 3 + d.IntN(2),
			"goal": label + "Settle who gains if we " + course + ", how much, and how sure we can be of it.",
		},
		{
			"id": "s2", "title": "What it takes, and what can go wrong", "depends_on": []string{}, "complexity": 3 + d.IntN(2),
			"goal": label + "Settle what it costs to " + course + ", what can fail on the way, and what could not be undone.",
		},
		{
			"id": "s3", "title": "What to commit to now, and in which order", "depends_on": []string{"s1", "s2"}, "complexity": 2 + d.IntN(2),
			"goal": label + "Settle whether to " + course + " in full, in part or not yet, and what would make us stop.",
		},
	}
	parts = parts[:max(1, min(len(parts), most))]
	return object{"complexity": 4 + d.IntN(4), "sub_problems": parts}
}

func cast(d dice, p prompt) any {
	rows := p.rows("Advisers")
	var chosen []object
	for _, i := range d.some(3+d.IntN(2), len(rows)) {
		chosen = append(chosen, object{"id": rows[i][0], "why": label + "Looks at " + rows[i][2] + "."})
	}
	return object{"personas": chosen}
}

func facilitate(d dice, p prompt) any {
	next := "discuss"
	if p.round() > 4 && d.IntN(2) == 0 {
		next = "vote"
	}
	focus := []string{
		"Settle which assumption carries the most weight if we " + p.course() + ".",
		"Settle what would have to be true for it to be worth its cost.",
		"Settle what we would see first if we were wrong.",
		"Settle how much can be tried before anything is committed to.",
	}
	if facts := p.facts(); len(facts) > 0 {
		focus = append(focus, "Settle what follows from this: "+d.pick(facts)+".")
	}
	return object{
		"next": next, "focus": label + d.pick(focus),
		"question": label + d.pick([]string{
			"What evidence would move you, and how soon could we have it?",
			"Which part of the others' case do you now accept?",
			"What is the smallest step you could all support?",
			"What would you regret more in two years: having done it or having left it?",
		}),
	}
}

func check(d dice, p prompt) any {
	round := p.round()
	agreements := []string{label + "The decision should be taken in steps that can be measured."}
	if c := p.bullets("Constraints"); len(c) > 0 {
		agreements = append(agreements, label+"Nobody wants to touch this limit: "+d.pick(c))
	}
	return object{
		"convergence": min(97, 34+22*round+d.IntN(12)),
		"novelty":     max(4, 72-19*round+d.IntN(10)),
		"agreements":  agreements,
		"disagreements": []string{label + d.pick([]string{
			"How much to commit before the first result is in.",
			"Whether waiting costs more than a wrong start.",
			"Who carries the loss if it turns out smaller than hoped.",
			"Whether the figures we have are good enough to decide on.",
		})},
	}
}

func options(d dice, p prompt) any {
	course := p.course()
	trial := d.pick([]string{"with one team and one quarter", "in one segment and for ninety days", "with a fixed sum and a date on which it is judged"})
	return object{"options": []object{
		{"id": "A", "title": "Commit now", "summary": label + "Decide to " + course + ", put the organisation behind it, and say so."},
		{"id": "B", "title": "Prove it first", "summary": label + "Try to " + course + " " + trial + "; write the stop rule first."},
		{"id": "C", "title": "Hold and prepare", "summary": label + "Do not " + course + " yet; remove the two largest unknowns and decide then."},
	}}
}

func vote(d dice, p prompt) any {
	rows := p.rows("Options")
	if len(rows) == 0 {
		return object{}
	}
	// Most rooms end at the careful middle, and some advisers do not.
	i := []int{1, 1, 1, 0, 2}[d.IntN(5)] % len(rows)
	reasons := [][]string{
		{"The case will not get better by waiting, and half a step would teach us half.", "We know enough, and whoever comes second pays for both.", "A trial would tell everybody what we intend and commit us to nothing."},
		{"It loses least if we are wrong and keeps the gain if we are right.", "It turns our disagreement into something that can be measured.", "I can answer for this in front of the people whom it concerns."},
		{"Two of our numbers are guesses, and both can be had for little.", "We would pay for speed that nobody asked us for.", "What it displaces is worth more this year."},
	}
	return object{
		"option": rows[i][0], "confidence": 55 + d.IntN(36),
		"reason":     label + d.pick(reasons[i%len(reasons)]) + " I judge it by " + p.lens() + ".",
		"conditions": []string{"An answer in writing: " + lower(d.pick(p.asks()))},
	}
}

var ballotLine = regexp.MustCompile(`^(.+) votes ([A-Z]) with (\d+) %`)

func synthesize(d dice, p prompt) any {
	weight, best := map[string]int{}, ""
	var voters [][]string
	for _, line := range p.bullets("Votes") {
		if m := ballotLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[3])
			weight[m[2]] += n
			voters = append(voters, m)
			if best == "" || weight[m[2]] > weight[best] {
				best = m[2]
			}
		}
	}
	titles := map[string]string{}
	for _, row := range p.rows("Options") {
		titles[row[0]] = row[1]
	}
	ids := map[string]string{}
	for _, row := range p.rows("Advisers") {
		ids[row[1]] = row[0]
	}
	var dissent []object
	for _, m := range voters {
		if id := ids[m[1]]; m[2] != best && id != "" {
			_, reason, _ := strings.Cut(m[0], label)
			dissent = append(dissent, object{"persona": id, "view": label + "Would " + lower(titles[m[2]]) + " instead. " + reason})
		}
	}
	return object{
		"synthesis": label + summary(d, p, titles[best], len(voters), len(dissent)),
		"action":    label + recommend(d, best, p),
		// Certainty shrinks with every voice that was not won.
		"confidence": max(35, 82-9*len(dissent)+d.IntN(8)),
		"risks": []string{
			label + d.pick([]string{"The first result is read as proof because it is the first.", "A success in the small is taken for one in the large."}),
			label + d.pick([]string{"The work it displaces is not stopped, only slowed.", "The people who are to carry it hear of it too late."}),
		},
		"dissent": dissent,
	}
}

// recommend turns the chosen option into a sentence that answers the
// sub-problem.
func recommend(d dice, option string, p prompt) string {
	course, q := p.course(), p.question()
	kind := strings.Index("ABC", option)
	switch {
	case strings.Contains(q, "worth"):
		return pickAt(kind, "Plan with the gain: it is real enough to "+course+".",
			"Treat the gain as likely, and let the first who would have it prove it before we plan with it.",
			"Do not plan with the gain yet; "+d.pick([]string{"two of the figures behind it are guesses.", "those who would have it have not been asked."}))
	case strings.Contains(q, "takes"):
		return pickAt(kind, "Accept the cost, with one owner for the bad case.",
			"Cap the cost by a fixed sum and a fixed time, and write down beforehand what would end it.",
			"Do not start before the part that cannot be undone is known and priced.")
	default:
		return pickAt(kind, "Decide to "+course+", with one owner and a review after the second quarter.",
			"Try to "+course+" in the small first, and judge it on a date that is fixed today.",
			"Do not "+course+" yet; come back with the two answers that are missing.")
	}
}

func pickAt(i int, list ...string) string { return list[max(0, i)] }

func conclude(d dice, p prompt) any {
	ids, titles, actions := p.findings()
	var recs []object
	var lines []string
	for i, id := range ids {
		action, _, _ := strings.Cut(strings.TrimPrefix(actions[i], label), " (confidence")
		recs = append(recs, object{
			"title": label + action, "detail": "From the question " + quoted(lower(titles[i])) + ".",
			"confidence": 60 + d.IntN(30), "sub_problems": []string{id},
		})
		lines = append(lines, fmt.Sprintf("- **%s** (%s): %s", titles[i], id, action))
	}
	fact := ""
	if facts := p.facts(); len(facts) > 0 {
		fact = " What weighed most in the room was this: " + d.pick(facts) + "."
	}
	return object{
		"synthesis": label + "Asked " + quoted(p.topic()) + ", the advisers looked at it from " + count(len(ids)) +
			" and came to findings that fit together:\n\n" + strings.Join(lines, "\n") + "\n\n" + d.pick([]string{
			"Taken together they favour a bounded first step over both a full commitment and waiting.",
			"Read together they say: find out cheaply, then decide fast.",
			"None of them is against the direction; all of them want the size of the first step to be a choice and not an accident.",
		}) + fact + " The dissent is kept with each part, because it says what to watch." + constraint(d, p),
		"recommendations": recs,
		"next_steps": []string{
			label + "Name the owner of the first step and the date on which it is judged.",
			label + "Write down the stop rule before any money is spent.",
			label + "Tell the people who are affected, with the reasons, before they hear of it elsewhere.",
		},
	}
}

func count(n int) string {
	if n == 1 {
		return "one side"
	}
	return strconv.Itoa(n) + " sides"
}
