package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/judge"
	"github.com/rtfm-si/gavel/torture/rig"
)

// shown is how many breaches of one checker are printed.
const shown = 5

// report writes what people read.
func report(s settings, out io.Writer, c *judge.Case, found []judge.Breach) error {
	events, err := history.Read(s.Dir)
	if err != nil {
		return err
	}
	w := &page{out: out}
	w.line("")
	w.operations(events)
	w.faults(events)
	w.kills(c)
	w.growth(c.Figures)
	w.breaches(found)
	w.line("seed %d · repeat with: torture -replay %s", s.Seed, s.Dir)
	return w.err
}

type page struct {
	out io.Writer
	err error
}

func (w *page) line(format string, args ...any) {
	if _, err := fmt.Fprintf(w.out, format+"\n", args...); err != nil && w.err == nil {
		w.err = fmt.Errorf("write the report: %w", err)
	}
}

func (w *page) operations(events []history.Event) {
	type count struct{ ok, fail, info int }
	ops := map[string]*count{}
	all := count{}
	for _, e := range events {
		if e.Op == "nemesis" || e.Type == history.Invoke || e.Type == history.Note {
			continue
		}
		if ops[e.Op] == nil {
			ops[e.Op] = &count{}
		}
		switch e.Type {
		case history.OK:
			ops[e.Op].ok++
			all.ok++
		case history.Fail:
			ops[e.Op].fail++
			all.fail++
		case history.Info:
			ops[e.Op].info++
			all.info++
		}
	}
	n := all.ok + all.fail + all.info
	w.line("operations: %d (%.1f %% with an outcome that nobody knows)", n, 100*float64(all.info)/float64(max(n, 1)))
	for _, op := range slices.Sorted(maps.Keys(ops)) {
		w.line("  %-10s %6d ok %6d refused %6d unknown", op, ops[op].ok, ops[op].fail, ops[op].info)
	}
}

func (w *page) faults(events []history.Event) {
	type count struct {
		strikes, bit int
		bites        int64
		unit         string
	}
	kinds := map[string]*count{}
	for _, e := range events {
		if e.Op != "nemesis" || e.Type != history.OK {
			continue
		}
		var a struct {
			Bites int64
			Unit  string
		}
		if json.Unmarshal(e.Args, &a) != nil {
			continue
		}
		if kinds[e.Class] == nil {
			kinds[e.Class] = &count{unit: a.Unit}
		}
		k := kinds[e.Class]
		k.strikes++
		k.bites += max(a.Bites, 0)
		if a.Bites > 0 {
			k.bit++
		}
	}
	w.line("faults:")
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[name]
		mark := ""
		if k.bit == 0 {
			mark = "   NEVER BIT"
		}
		w.line("  %-28s struck %3d, bit %3d times: %d %s%s", name, k.strikes, k.bit, k.bites, k.unit, mark)
	}
}

func (w *page) kills(c *judge.Case) {
	f := c.Figures
	var verdicts, outcomes []string
	n := 0
	for _, v := range slices.Sorted(maps.Keys(f.Verdicts)) {
		verdicts = append(verdicts, fmt.Sprintf("%d %s", f.Verdicts[v], v))
		n += f.Verdicts[v]
	}
	for _, o := range slices.Sorted(maps.Keys(f.Outcomes)) {
		outcomes = append(outcomes, fmt.Sprintf("%d %s", f.Outcomes[o], o))
	}
	w.line("jobs: %s, under %d claims", strings.Join(outcomes, ", "), f.Claims)
	w.line("kills: %s, by %d orders", strings.Join(verdicts, ", "), len(f.Late))
	w.line("last new paid call after an order: %s, promised %s (and what a busy machine adds, longest stall here %s)",
		quantiles(f.Late), rig.PermitAge, f.Stall.Round(time.Millisecond))
	w.line("calls under way cut after:         %s, promised %s at most", quantiles(f.Cut), rig.Trust)
	w.line("calls let out by a process as it woke from a pause: %d", f.AtWaking)
	if f.Losses > 0 {
		w.line("moments in which Redis may have lost what it was told: %d; lost then, and promised to nobody: %v", f.Losses, f.Lost)
	}
	w.line("with 0 failures in %d kills, fewer than %.2f %% fail, with 95 %% confidence (rule of three)", n, 300/float64(max(n, 1)))
}

// growth tells how the longest-lived process of each kind grew.
func (w *page) growth(f judge.Figures) {
	if len(f.Growth) == 0 {
		return
	}
	w.line("growth of the longest-lived, first → last (max), slope per hour over its second half:")
	for _, kind := range slices.Sorted(maps.Keys(f.Growth)) {
		g := f.Growth[kind]
		var parts []string
		for _, what := range slices.Sorted(maps.Keys(g.What)) {
			parts = append(parts, what+" "+grew(what, g.What[what]))
		}
		w.line("  %s %s, %s: %s", kind, g.Of, g.For.Round(time.Second), strings.Join(parts, ", "))
	}
	if f.Emptied {
		w.line("  all jobs and orders were forgotten at the end, and their keys counted")
	}
}

func grew(what string, g judge.Growth) string {
	unit, in := "", 1.0
	if what == "rss" || what == "memory" || what == "heap" {
		unit, in = " MB", 1<<20
	}
	return fmt.Sprintf("%.3g → %.3g (%.3g), %+.1f%s", float64(g.First)/in, float64(g.Last)/in, float64(g.Max)/in, g.PerHour/in, unit)
}

func quantiles(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	d = slices.Sorted(slices.Values(d))
	at := func(q float64) time.Duration { return d[int(q*float64(len(d)-1))].Round(time.Millisecond) }
	return fmt.Sprintf("p50 %s, p99 %s, max %s of %d", at(0.5), at(0.99), at(1), len(d))
}

func (w *page) breaches(found []judge.Breach) {
	by := map[string][]string{}
	for _, b := range found {
		by[b.Checker] = append(by[b.Checker], b.Text)
	}
	w.line("checkers:")
	for _, name := range judge.Names() {
		texts := by[name]
		if len(texts) == 0 {
			w.line("  %-13s holds", name)
			continue
		}
		w.line("  %-13s BROKEN, %d times", name, len(texts))
		for _, t := range texts[:min(len(texts), shown)] {
			w.line("      %s", t)
		}
	}
}
