package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// text is the whole terminal, never more lines or columns than it has.
func (m top) text(now time.Time) string {
	if m.width == 0 || m.height == 0 {
		return ""
	}
	var out bytes.Buffer
	s := show.Sized(&out, m.width, m.colour)
	m.seen.write(s, m.height-1, now)
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	lines = lines[:min(len(lines), m.height-1)]
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines, m.foot(s, now))
	for i, l := range lines {
		lines[i] = ansi.Truncate(l, m.width, "…")
	}
	return strings.Join(lines, "\n")
}

// foot says how old the picture is, and what the keys do.
func (m top) foot(s *show.Screen, now time.Time) string {
	old := now.Sub(m.at) > stale
	switch {
	case m.err != nil:
		return s.Paint(show.Red, "STALE for "+show.Span(now.Sub(m.at))) + "  q quit  r again  " + show.Clean(rootOf(m.err).Error())
	case old:
		return s.Paint(show.Red, "STALE for "+show.Span(now.Sub(m.at))) + "  q quit  r again  nothing is told any more"
	}
	return s.Paint(show.Dim, fmt.Sprintf("live, seen %s  q quit  r refresh the spend", m.at.UTC().Format("15:04:05")))
}

// section is a table of which there may be less room than rows.
type section struct {
	rows  int
	table func(most int) *show.Table
	shown int
}

// write puts the picture on so many lines, or on as many as it takes when 0.
func (v view) write(s *show.Screen, height int, now time.Time) {
	head := v.head(s, now)
	for _, l := range head {
		s.Line("%s", l)
	}
	all := v.sections(now)
	share(all, height-len(head), height == 0)
	for _, c := range all {
		if c.shown == 0 {
			continue
		}
		s.Line("")
		c.table(c.shown).Write(s)
		if left := c.rows - c.shown; left > 0 {
			s.Line("%s", s.Paint(show.Dim, fmt.Sprintf("and %d more", left)))
		}
	}
}

// share gives each table its rows, one after the other, until the lines are
// used up. A table takes two lines beside its rows, and one to say how many are
// left out.
func share(all []*section, lines int, whole bool) {
	for _, c := range all {
		if whole {
			c.shown = c.rows
		}
	}
	if whole {
		return
	}
	used := func() (n int) {
		for _, c := range all {
			if c.shown > 0 {
				n += 2 + c.shown
			}
			if c.shown > 0 && c.shown < c.rows {
				n++
			}
		}
		return n
	}
	for grown := true; grown; {
		grown = false
		for _, c := range all {
			if c.shown == c.rows {
				continue
			}
			c.shown++
			if used() > lines {
				c.shown--
				continue
			}
			grown = true
		}
	}
}

// head is the state of the whole.
func (v view) head(s *show.Screen, now time.Time) []string {
	f, n := v.Fleet, v.Spend.Now
	burn := fmt.Sprintf("burn  %s (%s)", s.Paint(show.Bold, perMinute(n.PerMinute)), against(n.Baseline))
	if n.Baseline > 0 && n.PerMinute > 2*n.Baseline {
		burn += s.Paint(show.Red, fmt.Sprintf("  %.1f times the base", float64(n.PerMinute)/float64(n.Baseline)))
	}
	lines := []string{
		"fleet " + s.Paint(show.Bold, show.Clean(f.Name)) + "  " + gateLine(s, f.Gate, now),
		strings.TrimRight(burn+"  "+bars(v.Spend.Minutes, 20), " "),
		fmt.Sprintf("spent %s in 5 min, %s today; reserved %s; %s", show.Money(n.LastFive), show.Money(n.Today), show.Money(n.Reserved), topCap(s, v.Spend.Window)),
		"jobs  " + liveJobs(f.Jobs),
	}
	for _, l := range f.Losses {
		lines = append(lines, s.Paint(show.Red, fmt.Sprintf("DATA LOST in partition %d; see gavel fleet", l.Partition)))
	}
	if notes := fleetNotes(f); notes != "" {
		lines = append(lines, s.Paint(show.Yellow, notes))
	}
	return lines
}

func topCap(s *show.Screen, w client.Window) string {
	switch {
	case w.Cap == nil:
		return "no cap"
	case w.ToCap == nil:
		return "cap " + show.Money(*w.Cap)
	default:
		return s.Paint(show.Yellow, "cap "+show.Money(*w.Cap)+" in "+show.Span(time.Duration(*w.ToCap*float64(time.Second))))
	}
}

// bars plots the last minutes against the dearest of them.
func bars(minutes []client.SpentMinute, most int) string {
	minutes = minutes[max(0, len(minutes)-most):]
	var dearest client.MicroUSD
	for _, m := range minutes {
		dearest = max(dearest, m.Spent)
	}
	if dearest == 0 {
		return ""
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	var out strings.Builder
	for _, m := range minutes {
		out.WriteRune(levels[int64(m.Spent)*int64(len(levels)-1)/int64(dearest)])
	}
	return out.String()
}

// sections are the tables, the most urgent first.
func (v view) sections(now time.Time) []*section {
	workers := slices.Clone(v.Fleet.Workers)
	slices.SortStableFunc(workers, func(a, b client.Worker) int {
		return cmp.Or(cmp.Compare(b.Deaf, a.Deaf), cmp.Compare(quiet(b), quiet(a)), cmp.Compare(a.ID, b.ID))
	})
	return []*section{
		{rows: len(v.Fleet.OpenOrders), table: v.orderRows},
		{rows: len(v.Spend.Top), table: func(most int) *show.Table { return spenders(v.Spend, most) }},
		{rows: len(workers), table: func(most int) *show.Table { return workerTable(workers[:most], now) }},
	}
}

// quiet is a worker's silence, where it is worth saying.
func quiet(w client.Worker) float64 {
	if w.Silent > quietFor.Seconds() {
		return w.Silent
	}
	return 0
}

// orderRows are the open orders with what their receipts say so far.
func (v view) orderRows(most int) *show.Table {
	t := show.NewTable("open order!", "what", "stage!", "over!", "waiting!", "deaf", "held by")
	known := map[string]client.Receipt{}
	for _, r := range v.Orders {
		known[r.Order] = r
	}
	for _, id := range v.Fleet.OpenOrders[:most] {
		r, ok := known[id]
		if !ok {
			t.Row(id)
			continue
		}
		var holders []string
		for _, o := range r.Open {
			if !slices.Contains(holders, o.Worker) {
				holders = append(holders, o.Worker)
			}
		}
		deaf := ""
		if r.Tally.Deaf > 0 {
			deaf = strconv.FormatInt(r.Tally.Deaf, 10)
		}
		over := r.Tally.Targeted - r.Tally.Waiting
		t.Row(id, scopeText(r.Scope), string(r.Stage), fmt.Sprintf("%d/%d", over, r.Tally.Targeted), strconv.FormatInt(r.Tally.Waiting, 10), deaf, strings.Join(holders, " "))
		t.Style(4, show.Yellow)
		t.Style(5, show.Red)
	}
	return t
}
