package judge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// Spare is what a process that has nothing to do may have more than one that
// never had: connections that it keeps for its next request, and goroutines that
// come and go.
type Spare struct{ Descriptors, Goroutines int64 }

// swells says how much a process's memory may grow in the last quarter of a calm
// run, over the quarter before it, and how long the run has to be for that to
// mean something: Go gives memory back late, and a young process takes it.
const (
	swells    = 12 << 20
	swellsFor = 5 * time.Minute
)

// Size is what a process had when it was looked at, -1 for what was not learned.
type Size struct {
	PID         int    `json:"pid"`
	Kind        string `json:"kind"`
	RSS         int64  `json:"rss"`
	Threads     int64  `json:"threads"`
	Descriptors int64  `json:"descriptors"`
	Goroutines  int64  `json:"goroutines"`
	Heap        int64  `json:"heap"`
	Memory      int64  `json:"memory"`
	Keys        int64  `json:"keys"`
}

// look is one look at one process.
type look struct {
	Size

	at   int64 // ns
	when string
}

// life is all that was seen of one process.
type life struct {
	name  string
	looks []look
}

func (l life) kind() string { return l.looks[0].Kind }
func (l life) span() int64  { return l.looks[len(l.looks)-1].at - l.looks[0].at }

// lives are the processes that were looked at, in the order of their names.
func (c *Case) lives() (out []life) {
	at, done := map[string]int{}, false
	for _, e := range c.events {
		var a struct{ Size Size }
		if e.Type != history.Note || e.Op != "size" || json.Unmarshal(e.Args, &a) != nil {
			continue
		}
		if done = done || e.Class == "done"; done && e.Class != "done" {
			continue // the run is over, and is being taken down
		}
		// A server keeps its name over its restarts.
		key := fmt.Sprint(e.Worker, a.Size.PID)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, life{name: e.Worker})
		}
		out[i].looks = append(out[i].looks, look{a.Size, e.Mono, e.Class})
	}
	slices.SortStableFunc(out, func(a, b life) int { return cmp.Compare(a.name, b.name) })
	return out
}

// growth: a process that has nothing left to do has what one has that never had
// anything; in a calm run its memory stands still; no key is of nobody, and none is
// left when what it was of has been forgotten.
func growth(c *Case) {
	lives := c.lives()
	idle := map[string]Spare{}
	for _, l := range lives {
		most := idle[l.kind()]
		for _, k := range l.looks {
			if k.when == "idle" {
				most.Descriptors, most.Goroutines = max(most.Descriptors, k.Descriptors), max(most.Goroutines, k.Goroutines)
			}
		}
		idle[l.kind()] = most
	}
	for _, l := range lives {
		if most, ok := c.Spare[l.kind()]; ok {
			c.atRest(l, Spare{most.Descriptors + idle[l.kind()].Descriptors, most.Goroutines + idle[l.kind()].Goroutines})
		}
		if rise, over := l.swell(); c.Calm && l.kind() != "redis" && over > swellsFor && rise > swells {
			c.breach("the memory of %s grew by %d KiB in the last quarter of a calm run", l.name, rise>>10)
		}
	}
	c.belong()
	c.emptied()
	c.Figures.Growth = grown(lives)
}

// atRest holds a process, when nothing was left to do, to what one may have.
func (c *Case) atRest(l life, most Spare) {
	least := Spare{-1, -1}
	for _, k := range l.looks {
		if k.when != "done" {
			continue
		}
		if least.Descriptors < 0 || k.Descriptors < least.Descriptors {
			least.Descriptors = k.Descriptors
		}
		if k.Goroutines >= 0 && (least.Goroutines < 0 || k.Goroutines < least.Goroutines) {
			least.Goroutines = k.Goroutines
		}
	}
	if least.Descriptors > most.Descriptors {
		c.breach("%s has nothing to do and %d descriptors; one that never had anything, and the connections that it may keep, are %d", l.name, least.Descriptors, most.Descriptors)
	}
	if least.Goroutines > most.Goroutines {
		c.breach("%s has nothing to do and %d goroutines; one that never had anything has %d at most", l.name, least.Goroutines, most.Goroutines)
	}
}

// swell is by how much the mean of a process's memory in its last quarter, as long
// as there was something to do, is above that in the one before, and how long it
// was looked at.
func (l life) swell() (rise int64, over time.Duration) {
	busy := slices.DeleteFunc(slices.Clone(l.looks), func(k look) bool { return k.when != "busy" })
	if len(busy) < 4 {
		return 0, 0
	}
	mean := func(some []look) (sum int64) {
		for _, k := range some {
			sum += k.RSS
		}
		return sum / int64(len(some))
	}
	n := len(busy)
	return mean(busy[n*3/4:]) - mean(busy[n/2:n*3/4]), time.Duration(busy[n-1].at - busy[0].at)
}

// belong: every key that is a job's or an order's is of one that is there.
func (c *Case) belong() {
	for _, key := range slices.Sorted(maps.Keys(c.dump)) {
		at, ok := c.place(key)
		of := map[string]string{"events": "job", "checkpoints": "job", "transcript": "job", "calls": "job", "tally": "order"}[at.name]
		if !ok || of == "" || len(c.losses) > 0 {
			continue
		}
		if _, there := c.dump[c.key(at.partition, of+":"+at.whom)]; !there {
			c.breach("the key %s is left, and there is no such %s", key, of)
		}
	}
}

// kept are the kinds of keys that stay when all jobs and orders have been forgotten:
// those that a fleet always has, and those that go by a time of their own.
func kept() []string {
	return []string{
		"meta", "seq", "gate", "pace", "road", "wake", "aside", "alive", "beat", "control", "audit", "audit_n", "seal", "money", "holding",
		"reapers", "workers", "worker", // who was cut off; residue has looked at them
		"minute", "day", "window", "idem", "hints", "attempt",
	}
}

// Blocks counts the blocks that Redis had.
func Blocks(d history.Dump) (n int) {
	for key, v := range d {
		if strings.Contains(key, "}:order:") && v.Hash["scope"] == "block" {
			n++
		}
	}
	return n
}

// emptied: when all jobs and orders have been forgotten nothing of them is left.
func (c *Case) emptied() {
	for _, e := range c.events {
		if e.Type != history.Note || e.Op != "emptied" {
			continue
		}
		var a struct{ Kinds map[string]int }
		_ = json.Unmarshal(e.Args, &a)
		c.Figures.Emptied = true
		for _, kind := range slices.Sorted(maps.Keys(a.Kinds)) {
			if kind == "order" && a.Kinds[kind] <= Blocks(c.dump) || kind == "orders" && Blocks(c.dump) > 0 {
				continue // a block stays for 30 days behind its lift
			}
			if !slices.Contains(kept(), kind) {
				c.breach("%d keys of the kind %s are left of jobs and orders that have been forgotten", a.Kinds[kind], kind)
			}
		}
	}
}

// Growth is how one measure of the longest-lived process of a kind went.
type Growth struct {
	First, Last, Max int64
	// PerHour is the slope over the second half of its life, while there was something to do.
	PerHour float64
}

// Grown is how the longest-lived process of a kind grew.
type Grown struct {
	Of   string
	For  time.Duration
	What map[string]Growth
}

// grown finds the longest-lived process of each kind, and how it grew.
func grown(lives []life) map[string]Grown {
	oldest := map[string]life{}
	for _, l := range lives {
		if was, ok := oldest[l.kind()]; !ok || l.span() > was.span() {
			oldest[l.kind()] = l
		}
	}
	out := map[string]Grown{}
	for kind, l := range oldest {
		g := Grown{Of: l.name, For: time.Duration(l.span()), What: map[string]Growth{}}
		for what, of := range map[string]func(look) int64{
			"rss": func(k look) int64 { return k.RSS }, "threads": func(k look) int64 { return k.Threads },
			"descriptors": func(k look) int64 { return k.Descriptors }, "goroutines": func(k look) int64 { return k.Goroutines },
			"heap":   func(k look) int64 { return k.Heap },
			"memory": func(k look) int64 { return k.Memory }, "keys": func(k look) int64 { return k.Keys },
		} {
			if x, ok := l.measure(of); ok {
				g.What[what] = x
			}
		}
		out[kind] = g
	}
	return out
}

func (l life) measure(of func(look) int64) (g Growth, ok bool) {
	var xs, ys []float64
	for _, k := range l.looks {
		v := of(k)
		if v < 0 || v == 0 && k.Kind == "redis" { // it did not answer
			continue
		}
		if !ok {
			g.First, ok = v, true
		}
		g.Last, g.Max = v, max(g.Max, v)
		if k.when == "busy" && k.at >= l.looks[0].at+l.span()/2 {
			xs, ys = append(xs, time.Duration(k.at).Hours()), append(ys, float64(v))
		}
	}
	g.PerHour = slope(xs, ys)
	return g, ok
}

// slope is that of the line through points, by least squares.
func slope(xs, ys []float64) float64 {
	var mx, my, sxy, sxx float64
	for i := range xs {
		mx, my = mx+xs[i]/float64(len(xs)), my+ys[i]/float64(len(xs))
	}
	for i := range xs {
		sxy, sxx = sxy+(xs[i]-mx)*(ys[i]-my), sxx+(xs[i]-mx)*(xs[i]-mx)
	}
	if sxx == 0 {
		return 0
	}
	return sxy / sxx
}
