package show

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// Progress shows an order filling up: on a terminal as a bar on one line that is
// written over, elsewhere on a line for each change.
type Progress struct {
	screen *Screen
	last   string
	began  time.Time
}

// NewProgress shows the order whose time counts from began.
func NewProgress(s *Screen, began time.Time) *Progress { return &Progress{screen: s, began: began} }

// Tell shows what the order has done so far.
func (p *Progress) Tell(r client.Receipt) {
	text := progressOf(r)
	if text == p.last && !p.screen.IsTerminal() {
		return
	}
	p.last = text
	took := Span(time.Since(p.began))
	if p.screen.IsTerminal() {
		head := took + "  " + bar(r.Tally) + "  "
		p.screen.Over(head + p.screen.Fit(text, length(head)+1))
		return
	}
	p.screen.Line("%s  %s", took, text)
}

// Done leaves the screen to what follows.
func (p *Progress) Done() {
	if p.screen.IsTerminal() && p.last != "" {
		p.screen.Over("")
	}
}

// cells is how wide a bar is.
const cells = 20

// bar is how much of an order is over. It is full only when nothing waits.
func bar(t client.Tally) string {
	full := 0
	if t.Targeted > 0 {
		full = int(cells * max(t.Targeted-t.Waiting, 0) / t.Targeted)
	}
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}

// progressOf is where an order stands, in one line.
func progressOf(r client.Receipt) string {
	t := r.Tally
	over := t.Stopped + t.NotRunning + t.AlreadyOver + t.Fenced
	text := fmt.Sprintf("%d of %d over: %d stopped, %d not running, %d fenced; %d waiting", over, t.Targeted, t.Stopped, t.NotRunning, t.Fenced, t.Waiting)
	if len(r.Missing) > 0 {
		text = fmt.Sprintf("not taken yet by the partitions %v; %s", r.Missing, text)
	}
	if r.Scan != nil && len(r.Scan.Open) > 0 {
		text += fmt.Sprintf("; %d looked at so far", r.Scan.Looked)
	}
	if who := holders(r.Open); who != "" {
		text += " for " + who
	}
	return text
}

// mostHolders is how many workers a line names.
const mostHolders = 3

// holders names the workers that still hold jobs, those with the most first.
func holders(open []client.Open) string {
	n := map[string]int{}
	var names []string
	for _, o := range open {
		if n[o.Worker]++; n[o.Worker] == 1 {
			names = append(names, o.Worker)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(a, b)
	})
	var out []string
	for i, name := range names {
		if i == mostHolders {
			out = append(out, fmt.Sprintf("%d more workers", len(names)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s (%d)", Clean(name), n[name]))
	}
	return strings.Join(out, ", ")
}
