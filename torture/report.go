package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/judge"
	"github.com/rtfm-si/gavel/torture/rig"
)

// shown is how many breaches of one checker are printed.
const shown = 5

// report writes what people read.
func report(s settings, out io.Writer, c *judge.Case, found []judge.Breach) error {
	f := count(s, c, found)
	w := &page{out: out}
	w.line("")
	w.operations(f)
	w.faults(f)
	if f.Older > 0 {
		w.line("processes started: %d, %d of them of the older version", f.Starts, f.Older)
	}
	w.points(f.Points)
	w.kills(c)
	w.growth(c.Figures)
	w.breaches(found)
	w.line("seed %d · repeat with: torture -replay %s", s.Seed, s.Dir)
	return errors.Join(w.err, f.write(s.Dir))
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

func (w *page) operations(f figures) {
	w.line("operations: %d (%.1f %% with an outcome that nobody knows)", f.Operations, 100*float64(f.Unknown)/float64(max(f.Operations, 1)))
	for _, op := range slices.Sorted(maps.Keys(f.Ops)) {
		w.line("  %-10s %6d ok %6d refused %6d unknown", op, f.Ops[op].OK, f.Ops[op].Refused, f.Ops[op].Unknown)
	}
}

func (w *page) faults(f figures) {
	w.line("faults:")
	for _, name := range slices.Sorted(maps.Keys(f.Faults)) {
		k := f.Faults[name]
		mark := ""
		if k.Bit == 0 {
			mark = "   NEVER BIT"
		}
		w.line("  %-28s struck %3d, bit %3d times: %d %s%s", name, k.Struck, k.Bit, k.Bites, k.Unit, mark)
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
