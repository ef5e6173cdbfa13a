package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/judge"
	"github.com/rtfm-si/gavel/torture/rig"
)

// What a release wants of a soak.
const (
	wantHours    = 24
	wantJobs     = 1_000_000
	wantStrikes  = 2_000
	wantKillAlls = 300
)

// sloped is how long a process has to live for its slopes to mean something.
const sloped = 5 * time.Minute

// total is what several runs did.
type total struct {
	figures

	runs, calm, unjudged int
	emptied              int
	// broken names the runs that broke a promise.
	broken []string
	count  map[string]int       // of runs, by what they ran on
	slopes map[string][]float64 // per hour, of calm runs
}

// sum adds up runs, and fails when one of them broke a promise.
func sum(dirs []string, out io.Writer) (int, error) {
	t := total{count: map[string]int{}, slopes: map[string][]float64{}}
	t.Ops, t.Faults, t.Points = map[string]*answered{}, map[string]*strikes{}, map[string]int{}
	t.Outcomes, t.Verdicts, t.Orders, t.Lost = map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, dir := range dirs {
		f, err := readFigures(dir)
		if err != nil {
			t.unjudged++
			continue
		}
		t.take(dir, f)
	}
	w := &page{out: out}
	t.tell(w)
	if len(t.broken) > 0 {
		return 1, w.err
	}
	return 0, w.err
}

// take adds a run.
func (t *total) take(dir string, f figures) {
	t.runs++
	t.Lasted += f.Lasted
	t.count[f.ground()]++
	t.Operations, t.Unknown, t.Jobs, t.Claims = t.Operations+f.Operations, t.Unknown+f.Unknown, t.Jobs+f.Jobs, t.Claims+f.Claims
	t.Losses, t.AtWaking = t.Losses+f.Losses, t.AtWaking+f.AtWaking
	t.Late, t.Cut, t.Stall = max(t.Late, f.Late), max(t.Cut, f.Cut), max(t.Stall, f.Stall)
	for _, m := range []struct{ to, from map[string]int }{{t.Outcomes, f.Outcomes}, {t.Verdicts, f.Verdicts}, {t.Orders, f.Orders}, {t.Lost, f.Lost}, {t.Points, f.Points}} {
		for k, n := range m.from {
			m.to[k] += n
		}
	}
	for name, k := range f.Faults {
		if t.Faults[name] == nil {
			t.Faults[name] = &strikes{Unit: k.Unit}
		}
		all := t.Faults[name]
		all.Struck, all.Bit, all.Bites = all.Struck+k.Struck, all.Bit+k.Bit, all.Bites+k.Bites
	}
	if len(f.Broken) > 0 {
		t.broken = append(t.broken, fmt.Sprintf("seed %d (%s) broke %s, in %s", f.Settings.Seed, f.ground(), strings.Join(slices.Sorted(maps.Keys(f.Broken)), " "), dir))
	}
	if f.Emptied {
		t.emptied++
	}
	if f.Settings.calm() {
		t.calm++
		t.slope(f.Growth)
	}
}

// slope keeps how the processes of a calm run grew.
func (t *total) slope(of map[string]judge.Grown) {
	for kind, g := range of {
		for what, x := range g.What {
			if what == "heap" || g.For < sloped { // the heap is not asked of who is busy
				continue
			}
			t.slopes[kind+" "+what] = append(t.slopes[kind+" "+what], x.PerHour)
		}
	}
}

// ground says what a run ran on.
func (f figures) ground() string {
	s := f.Settings
	out := s.Topology
	if s.Topology != rig.Single {
		out += " " + s.Durability
	}
	if s.Losses {
		out += " with losses"
	}
	if s.Older != "" {
		out += ", versions mixed"
	}
	if s.calm() {
		out += ", calm"
	}
	return out
}

func (t *total) tell(w *page) {
	w.line("%d runs in %s, %d of them calm, %d broke a promise, %d were not judged: %s", t.runs, t.Lasted.Round(time.Second), t.calm, len(t.broken), t.unjudged, counts(t.count))
	for _, b := range t.broken {
		w.line("  BROKEN: %s", b)
	}
	w.line("operations: %d (%.1f %% with an outcome that nobody knows)", t.Operations, 100*float64(t.Unknown)/float64(max(t.Operations, 1)))
	struck, bit := 0, 0
	var never []string
	for _, name := range slices.Sorted(maps.Keys(t.Faults)) {
		k := t.Faults[name]
		struck, bit = struck+k.Struck, bit+k.Bit
		if k.Bit == 0 {
			never = append(never, name)
		}
	}
	w.line("faults: %d struck, %d bit, of %d kinds; never bit: %s", struck, bit, len(t.Faults), cmp.Or(strings.Join(never, " "), "none"))
	w.points(t.Points)
	kills := 0
	for _, n := range t.Verdicts {
		kills += n
	}
	w.line("jobs: %d (%s), under %d claims", t.Jobs, counts(t.Outcomes), t.Claims)
	w.line("orders: %s; kills: %d (%s)", counts(t.Orders), kills, counts(t.Verdicts))
	w.line("lost, where nobody had been promised it: %s, in %d moments", counts(t.Lost), t.Losses)
	w.line("last new paid call after an order: %s at worst, promised %s; calls under way cut after %s, promised %s; longest stall of the machine %s",
		t.Late.Round(time.Millisecond), rig.PermitAge, t.Cut.Round(time.Millisecond), rig.Trust, t.Stall.Round(time.Millisecond))
	w.line("calls let out by a process as it woke from a pause: %d", t.AtWaking)
	for _, of := range slices.Sorted(maps.Keys(t.slopes)) {
		if s := t.slopes[of]; !strings.HasPrefix(of, "redis") { // its keys grow with the jobs that it keeps
			w.line("slope per hour in calm runs, %-24s least %s, most %s", of, perHour(of, slices.Min(s)), perHour(of, slices.Max(s)))
		}
	}
	w.line("runs at whose end all was forgotten, and no key of it left: %d", t.emptied)
	w.line("of what a release wants: %.1f of %d hours, %d of %d jobs, %d of %d faults, %d of %d kill-alls",
		t.Lasted.Hours(), wantHours, t.Jobs, wantJobs, struck, wantStrikes, t.Orders["fleet"], wantKillAlls)
	w.line("with 0 failures in %d kills, fewer than %.3f %% fail, with 95 %% confidence (rule of three)", kills, 300/float64(max(kills, 1)))
}

func perHour(of string, x float64) string {
	if strings.HasSuffix(of, "rss") {
		return fmt.Sprintf("%+.1f MB", x/(1<<20))
	}
	return fmt.Sprintf("%+.1f", x)
}

func counts(of map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(of)) {
		out = append(out, fmt.Sprintf("%d %s", of[k], k))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}
