package modelsim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// prompt is a conversation's first question, by its headed sections.
type prompt struct {
	speaker  map[string]string // sections of the system message
	sections map[string]string
	order    []string
}

// readPrompt takes the first system and the first user message apart. A line
// that begins with "# " is a heading. A prompt without headings has none.
func readPrompt(messages []message) prompt {
	p := prompt{speaker: map[string]string{}, sections: map[string]string{}}
	var system, user bool
	for _, m := range messages {
		switch {
		case m.Role == "system" && !system:
			system = true
			p.speaker, _ = sections(m.Content)
		case m.Role == "user" && !user:
			user = true
			p.sections, p.order = sections(m.Content)
		}
	}
	return p
}

func sections(text string) (byHeading map[string]string, order []string) {
	byHeading = map[string]string{}
	heading := ""
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			heading = strings.TrimSpace(rest)
			if _, twice := byHeading[heading]; !twice {
				order = append(order, heading)
			}
			continue
		}
		byHeading[heading] += line
	}
	for h, body := range byHeading {
		byHeading[h] = strings.TrimSpace(body)
	}
	return byHeading, order
}

func (p prompt) step() string { return firstLine(p.sections["Task"]) }

// bullets are the lines of a section that are a list.
func (p prompt) bullets(heading string) []string { return listed(p.sections[heading]) }

func listed(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "- "); ok {
			out = append(out, strings.TrimSpace(rest))
		}
	}
	return out
}

// rows are the bullets of a section, cut at the bars.
func (p prompt) rows(heading string) [][3]string {
	var out [][3]string
	for _, line := range p.bullets(heading) {
		var row [3]string
		copy(row[:], strings.SplitN(line, " | ", 3))
		out = append(out, row)
	}
	return out
}

// findings are the sections "Finding of s1 (title)".
func (p prompt) findings() (ids, titles, actions []string) {
	for _, h := range p.order {
		rest, ok := strings.CutPrefix(h, "Finding of ")
		if !ok {
			continue
		}
		id, title, _ := strings.Cut(rest, " (")
		ids = append(ids, id)
		titles = append(titles, strings.TrimSuffix(title, ")"))
		actions = append(actions, firstLine(p.sections[h]))
	}
	return ids, titles, actions
}

// topic is the problem's own question, or its first sentence.
func (p prompt) topic() string {
	all := sentences(p.sections["Problem"])
	if len(all) == 0 {
		return "the question"
	}
	for _, s := range all {
		if strings.HasSuffix(s, "?") {
			return s
		}
	}
	return all[0]
}

// course is what the problem asks about doing: "enter the German market".
func (p prompt) course() string {
	text := strings.TrimRight(p.topic(), ".?!")
	asks := false
	for _, head := range []string{"Should we ", "Shall we ", "Do we ", "Can we ", "Must we "} {
		if rest, ok := strings.CutPrefix(text, head); ok {
			text, asks = rest, true
		}
	}
	if !asks {
		return "act on “" + cut(text, 90) + "”"
	}
	for _, mark := range []string{", or ", ", and if ", ", ", " or ", " with our "} {
		text, _, _ = strings.Cut(text, mark)
	}
	return cut(text, 110)
}

// facts are the sentences of the context that name a number, or else all.
func (p prompt) facts() []string {
	all := sentences(p.sections["Context"])
	var numbered []string
	for _, s := range all {
		if len(s) < 200 && strings.ContainsAny(s, "0123456789") {
			numbered = append(numbered, strings.TrimRight(s, "."))
		}
	}
	if len(numbered) > 0 {
		return numbered
	}
	return all
}

func sentences(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		rest := strings.TrimSpace(line)
		for rest != "" {
			at := sentenceEnd(rest)
			out = append(out, strings.TrimSpace(rest[:at]))
			rest = strings.TrimSpace(rest[at:])
		}
	}
	return out
}

// sentenceEnd is behind the first full stop that a space follows.
func sentenceEnd(s string) int {
	for i := range len(s) - 1 {
		if strings.IndexByte(".?!", s[i]) >= 0 && s[i+1] == ' ' {
			return i + 1
		}
	}
	return len(s)
}

// question is the sub-problem's title in mid-sentence.
func (p prompt) question() string {
	_, title, ok := strings.Cut(firstLine(p.sections["Sub-problem"]), ": ")
	if !ok {
		return "this"
	}
	return lower(title)
}

// round is the number at the head of the section Round.
func (p prompt) round() int {
	n, err := strconv.Atoi(strings.Fields(p.sections["Round"] + " 1")[0])
	if err != nil {
		return 1
	}
	return n
}

// spoken are the names that have a turn in the discussion, the last first.
func (p prompt) spoken() []string {
	var out []string
	for line := range strings.Lines(p.sections["Discussion so far"]) {
		line = strings.TrimSpace(line)
		name, rest, ok := strings.Cut(line, ", round ")
		if ok && strings.HasSuffix(rest, ":") && len(name) < 80 {
			out = append([]string{name}, out...)
		}
	}
	return out
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// dice is the chance of one answer: from the seeds and the whole question.
type dice struct{ *rand.Rand }

func throw(seed uint64, a ask) dice {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d\x00%d\x00%s\x00", seed, a.Seed, a.Model) // a hash does not fail
	for _, m := range a.Messages {
		_, _ = fmt.Fprintf(h, "%s\x00%s\x00", m.Role, m.Content)
	}
	sum := h.Sum(nil)
	return dice{rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])))} //nolint:gosec // chance, not secrecy
}

func (d dice) pick(list []string) string { return list[d.IntN(len(list))] }

// some are n different ones of the list, in its order.
func (d dice) some(n, of int) []int {
	perm := d.Perm(of)[:min(n, of)]
	in := map[int]bool{}
	for _, i := range perm {
		in[i] = true
	}
	var out []int
	for i := range of {
		if in[i] {
			out = append(out, i)
		}
	}
	return out
}
