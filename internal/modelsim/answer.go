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
		label + "Which outcome would make you call this a success a year from now?",
		label + "What have you already ruled out about " + lower(p.topic()) + ", and why?",
	}}
}

var atMost = regexp.MustCompile(`at most (\d+)`)

func decompose(d dice, p prompt) any {
	most := 5
	if m := atMost.FindStringSubmatch(p.sections["Reply"]); m != nil {
		most, _ = strconv.Atoi(m[1])
	}
	topic := p.topic()
	parts := []object{
		{"id": "s1", "title": "Value and demand", "depends_on": []string{}, "complexity": 3 + d.IntN(2),
			"goal": label + "Settle who gains from this, how much, and how sure we can be of it: " + topic},
		{"id": "s2", "title": "Cost, feasibility and risk", "depends_on": []string{}, "complexity": 3 + d.IntN(2),
			"goal": label + "Settle what it takes, what can go wrong, and what cannot be undone: " + topic},
		{"id": "s3", "title": "Sequence and commitment", "depends_on": []string{"s1", "s2"}, "complexity": 2 + d.IntN(2),
			"goal": label + "Settle what to commit to now, what to try first and where to stop: " + topic},
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
	focus := label + d.pick([]string{
		"Settle which assumption about %s carries the most weight.",
		"Settle what would have to be true for %s to be worth its cost.",
		"Settle what we would see first if we were wrong about %s.",
		"Settle how much of %s can be tried before it is committed to.",
	})
	return object{
		"next": next, "focus": fmt.Sprintf(focus, p.question()),
		"question": label + d.pick([]string{
			"What evidence would move you, and how soon could we have it?",
			"Which part of the others' case do you now accept?",
			"What is the smallest step you could all support?",
		}),
	}
}

func check(d dice, p prompt) any {
	round := p.round()
	return object{
		"convergence": min(97, 34+22*round+d.IntN(12)),
		"novelty":     max(4, 72-19*round+d.IntN(10)),
		"agreements":  []string{label + "The decision should be taken in steps that can be measured."},
		"disagreements": []string{label + d.pick([]string{
			"How much to commit before the first result is in.",
			"Whether waiting costs more than a wrong start.",
			"Who carries the loss if demand is smaller than hoped.",
		})},
	}
}

func options(_ dice, p prompt) any {
	q := p.question()
	return object{"options": []object{
		{"id": "A", "title": "Commit now", "summary": label + "Decide " + q + " in full and put the organisation behind it."},
		{"id": "B", "title": "Prove it first", "summary": label + "Run a bounded trial with a date, a budget and a stop rule, then decide."},
		{"id": "C", "title": "Hold and prepare", "summary": label + "Keep to the present course and remove the two largest unknowns first."},
	}}
}

func vote(d dice, p prompt) any {
	rows := p.rows("Options")
	if len(rows) == 0 {
		return object{}
	}
	// Most rooms end at the careful middle, and some advisers do not.
	i := []int{1, 1, 1, 0, 2}[d.IntN(5)] % len(rows)
	return object{
		"option": rows[i][0], "confidence": 55 + d.IntN(36),
		"reason":     label + "Seen from " + p.lens() + ", " + lower(rows[i][1]) + " loses least if we are wrong and keeps the gain if we are right.",
		"conditions": []string{label + d.pick(p.asks()) + " This must be answered in writing."},
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
			dissent = append(dissent, object{"persona": id, "view": label + "Would rather " + lower(titles[m[2]]) + "."})
		}
	}
	return object{
		"synthesis": label + summary(d, p, titles[best], len(voters), len(dissent)),
		"action":    label + titles[best] + " on " + p.question() + ", with a named owner and a date for the review.",
		// Certainty shrinks with every voice that was not won.
		"confidence": max(35, 82-9*len(dissent)+d.IntN(8)),
		"risks": []string{
			label + "The first result is read as proof because it is the first.",
			label + "The work it displaces is not stopped, only slowed.",
		},
		"dissent": dissent,
	}
}

func conclude(d dice, p prompt) any {
	ids, titles, actions := p.findings()
	var recs []object
	var lines []string
	for i, id := range ids {
		action := strings.TrimPrefix(strings.TrimSpace(actions[i]), label)
		recs = append(recs, object{
			"title": label + titles[i] + ": " + firstClause(action), "detail": action,
			"confidence": 60 + d.IntN(30), "sub_problems": []string{id},
		})
		lines = append(lines, fmt.Sprintf("- **%s** (%s): %s", titles[i], id, action))
	}
	return object{
		"synthesis": label + "**" + p.topic() + ".** The advisers looked at it from " + count(len(ids)) +
			" and came to findings that fit together:\n\n" + strings.Join(lines, "\n") +
			"\n\nTaken together they favour a bounded first step over both a full commitment and waiting. " +
			"Where they differ is how much to stake on it; the dissent is kept below because it says what to watch." +
			constraint(p),
		"recommendations": recs,
		"next_steps": []string{
			label + "Name the owner of the first step and the date on which it is judged.",
			label + "Write down the stop rule before any money is spent.",
			label + "Tell the people who are affected, with the reasons, before they hear of it elsewhere.",
		},
	}
}

func firstClause(s string) string {
	head, _, _ := strings.Cut(s, ",")
	return head
}

func count(n int) string {
	if n == 1 {
		return "one side"
	}
	return strconv.Itoa(n) + " sides"
}
