package show

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// Story tells the events of one job as they happen: when, at what cost so far,
// and what. An event that comes twice, as after a resume, is told once.
type Story struct {
	screen *Screen
	began  time.Time
	cost   client.MicroUSD
	told   map[string]bool
	brief  bool
	warned bool // that the texts are simulated
}

// NewStory tells a job's events on the screen. A brief one leaves details out,
// and the warning that a model server is simulated to its teller.
func NewStory(s *Screen, brief bool) *Story {
	return &Story{screen: s, told: map[string]bool{}, brief: brief, warned: brief}
}

// Cost is what the job has cost so far, as far as events have said.
func (s *Story) Cost() client.MicroUSD { return s.cost }

// line is one line of the story.
type line struct {
	where string // part and round
	who   string
	what  string
	style Style
	minor bool // a detail, left out of a brief story
	long  bool // may take two lines of a terminal
}

// Tell writes an event.
func (s *Story) Tell(e client.Event) {
	if s.began.IsZero() {
		s.began = e.At
	}
	var c contents
	if json.Unmarshal(e.Data, &c) != nil {
		c = contents{} // an event of another kind of job; its type is told
	}
	if key := c.key(e.Type); key != "" {
		if s.told[key] {
			return
		}
		s.told[key] = true
	}
	s.cost = max(s.cost, c.Cost)
	if !s.warned && simulated(string(e.Data)) {
		s.warned = true
		s.write(e.At, line{what: "from here on a simulated model server speaks: the texts are made up and no advice", style: Yellow})
	}
	for _, l := range c.lines(e) {
		if !s.brief || !l.minor {
			s.write(e.At, l)
		}
	}
}

// The columns before what is told.
const (
	whenWidth  = 7
	costWidth  = 8
	whereWidth = 5
)

func (s *Story) write(at time.Time, l line) {
	when := fmt.Sprintf("%*s", whenWidth, fmt.Sprintf("%.1fs", max(at.Sub(s.began), 0).Seconds()))
	head := s.screen.Paint(Dim, when+"  "+pad(Money(s.cost), costWidth)+"  "+pad(Clean(l.where), whereWidth)) + "  "
	used := whenWidth + 2 + costWidth + 2 + max(whereWidth, length(Clean(l.where))) + 2
	who := ""
	if l.who != "" {
		who = s.screen.Paint(Bold, Clean(l.who)) + "  "
		used += length(Clean(l.who)) + 2
	}
	for i, text := range s.lines(l, used) {
		if i > 0 {
			head = strings.Repeat(" ", used)
			who = ""
		}
		s.screen.Line("%s%s%s", head, who, s.screen.Paint(l.style, text))
	}
}

// lines are what is told behind so many columns: one line, or two where a long
// text has a terminal to be read on.
func (s *Story) lines(l line, used int) []string {
	text, room := Clean(l.what), max(s.most()-used, leastCut)
	if !l.long || !s.screen.IsTerminal() || length(text) <= room {
		return []string{cut(text, room)}
	}
	first := text[:len(string([]rune(text)[:room]))]
	if i := strings.LastIndexByte(first, ' '); i > 0 {
		first = first[:i]
	}
	return []string{first, cut(strings.TrimSpace(text[len(first):]), room)}
}

// unseen is how long a line is where there is no terminal.
const unseen = 160

func (s *Story) most() int {
	if s.screen.width > 0 {
		return s.screen.width
	}
	return unseen
}

// place names the part and the round: "s1 r2".
func place(part string, round int) string {
	if round > 0 {
		return strings.TrimSpace(fmt.Sprintf("%s r%d", part, round))
	}
	return part
}
