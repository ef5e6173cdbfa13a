package judge

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/torture/history"
)

// looked adds a look at a process.
func (w *world) looked(at int64, name, when string, s Size) {
	raw, _ := json.Marshal(map[string]any{"size": s})
	w.add(at, history.Event{Type: history.Note, Op: "size", Worker: name, Class: when, Args: raw})
}

// shift is a run of ten minutes in which a worker is looked at twice a minute; each
// look has what the process has then, by how often it was looked at.
func (w *world) shift(of func(n int64) Size) {
	w.looked(0, "w1", "idle", of(0))
	n := int64(1)
	for ; n < 20; n++ {
		w.looked(n*30*sec, "w1", "busy", of(n))
	}
	w.looked(n*30*sec, "w1", "done", of(n))
	w.looked(n*30*sec+sec, "w1", "done", of(n))
}

func TestGrowth(t *testing.T) {
	flat := Size{PID: 7, Kind: "worker", RSS: 50 << 20, Descriptors: 20, Goroutines: 22, Memory: -1, Keys: -1}
	for name, c := range map[string]struct {
		breach string
		run    func(*world)
	}{
		"a process that stays what it was": {"", func(w *world) { w.shift(func(int64) Size { return flat }) }},
		"connections that are kept": {"", func(w *world) {
			w.shift(func(n int64) Size { s := flat; s.Descriptors += min(n, 10); return s })
		}},
		"a goroutine for every job": {"w1 has nothing to do and 42 goroutines", func(w *world) {
			w.shift(func(n int64) Size { s := flat; s.Goroutines += n; return s })
		}},
		"a descriptor for every job": {"w1 has nothing to do and 40 descriptors", func(w *world) {
			w.shift(func(n int64) Size { s := flat; s.Descriptors += n; return s })
		}},
		"one that does not say how many goroutines it has": {"", func(w *world) {
			w.shift(func(n int64) Size { s := flat; s.Goroutines = -1; return s })
		}},
		"memory that goes up at first": {"", func(w *world) {
			w.shift(func(n int64) Size { s := flat; s.RSS += min(n, 9) << 22; return s })
		}},
		"memory that goes on going up": {"the memory of w1 grew by 20480 KiB", func(w *world) {
			w.shift(func(n int64) Size { s := flat; s.RSS += n << 22; return s })
		}},
		"a key of no job": {"the key {f:0}:events:x is left, and there is no such job", func(w *world) {
			w.stream("{f:0}:events:x", ev("job.queued", 1, "{}"))
		}},
		"a tally of no order": {"the key {f:0}:tally:x is left, and there is no such order", func(w *world) { w.dump["{f:0}:tally:x"] = hash("targeted", "0") }},
		"all is forgotten":    {"", func(w *world) { w.note("emptied", `{"kinds":{"meta":1,"idem":7}}`) }},
		"a block that was lifted stays": {"", func(w *world) {
			w.dump["{f:0}:order:x"] = hash("scope", "block", "lifted_at", "1")
			w.note("emptied", `{"kinds":{"meta":1,"order":1,"orders":1}}`)
		}},
		"an order that was forgotten stays": {"1 keys of the kind order are left", func(w *world) { w.note("emptied", `{"kinds":{"order":1}}`) }},
		"something of a job that was forgotten": {"3 keys of the kind checkpoints are left", func(w *world) {
			w.note("emptied", `{"kinds":{"meta":1,"checkpoints":3}}`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.run(w)
			k := newCase(Terms{Fleet: "f", Partitions: 1, Calm: true, Spare: map[string]Spare{"worker": {Descriptors: 12, Goroutines: 3}}}, w.events, w.dump, nil)
			growth(k)
			if c.breach == "" {
				require.Empty(t, k.breaches)
				return
			}
			require.NotEmpty(t, k.breaches)
			require.Contains(t, fmt.Sprint(k.breaches), c.breach)
		})
	}
}

// A process that took another's place is measured by itself, and so is a server
// that was started again under its name.
func TestSlopesAreOfTheLongestLived(t *testing.T) {
	w := good(t)
	s := Size{PID: 1, Kind: "redis", RSS: 1 << 20, Descriptors: 5, Goroutines: -1, Memory: 10, Keys: 3}
	w.looked(0, "redis", "busy", s)
	s.PID = 2
	for n := range int64(11) {
		s.Keys = 100 + n
		w.looked(60*sec+n*36*sec, "redis", "busy", s)
	}
	c := newCase(Terms{Fleet: "f", Partitions: 1}, w.events, w.dump, nil)
	growth(c)
	g := c.Figures.Growth["redis"]
	require.Equal(t, 6*time.Minute, g.For)
	require.Equal(t, int64(100), g.What["keys"].First)
	require.Equal(t, int64(110), g.What["keys"].Max)
	require.InDelta(t, 100, g.What["keys"].PerHour, 0.001)
	require.NotContains(t, g.What, "goroutines")
}

// Redis's clock is folded by whole hours only in a run in which it jumped: one that
// goes on for an hour is later at its end.
func TestALongRunIsLaterAtItsEnd(t *testing.T) {
	w := good(t)
	at := 3600*int64(sec) + w.events[0].Wall
	c := newCase(Terms{Fleet: "f", Partitions: 1}, w.events, w.dump, nil)
	require.Equal(t, at, c.told(fmt.Sprint(at)))
	w.add(7*sec, history.Event{Type: history.OK, Op: "nemesis", Class: "redis-clock-jumps"})
	c = newCase(Terms{Fleet: "f", Partitions: 1}, w.events, w.dump, nil)
	require.Equal(t, w.events[0].Wall, c.told(fmt.Sprint(at)))
}

// Only the first order of many that was answered is asked of a job: the others
// say nothing new. What is seen after it is held to it all the same.
func TestOfManyOrdersTheFirstIsEnough(t *testing.T) {
	w := good(t)
	w.dump["{f:0}:order:o2"] = hash("id", "o2", "scope", "fleet", "at", "7000000", "h", "9", "quiesced_at", "7100000")
	w.dump["{f:0}:order:o3"] = hash("id", "o3", "scope", "fleet", "at", "8000000", "h", "9", "quiesced_at", "8100000")
	for i, o := range []string{"o2", "o3"} {
		at := int64(7+i) * sec
		w.did(at, at+ms, history.Event{Op: "kill-all", Idem: "k-" + o, Reason: "torture " + o}, map[string]any{"order": o, "stage": "accepted"})
	}
	n := 0
	c := newCase(Terms{Fleet: "f", Partitions: 1}, w.events, w.dump, nil)
	under := map[string]int64{}
	for _, a := range c.acts {
		if a.asked.Op == "kill-all" {
			c.eachCovered(a, under, func(string, act, seen, string) { n++ })
		}
	}
	require.Equal(t, 2, n, "two jobs, one order each")
	w.did(9*sec, 9*sec+1, history.Event{Op: "read", Job: jobA}, map[string]any{"state": "running"})
	c = newCase(Terms{Fleet: "f", Partitions: 1}, w.events, w.dump, nil)
	register(c)
	require.NotEmpty(t, c.breaches)
}
