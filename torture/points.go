package main

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

// point counts a process that was killed at one of its calls to Redis.
func (f *figures) point(e history.Event) {
	var a struct{ At string }
	if e.Type == history.Note && json.Unmarshal(e.Args, &a) == nil {
		f.Points[e.Class+" "+a.At]++
	}
}

// points says at how many of its calls each kind of process was killed, and at
// which it never was.
func (w *page) points(reached map[string]int) {
	if len(reached) == 0 {
		return
	}
	for _, binary := range []string{"dispatcher", "worker"} {
		killed, all := 0, rig.Points(binary)
		var never []string
		for _, p := range all {
			n := reached[binary+" "+p.String()]
			killed += n
			if n == 0 {
				never = append(never, p.String())
			}
		}
		w.line("%ss killed at their calls to Redis: %d, at %d of %d points; never: %s", binary, killed, len(all)-len(never), len(all), cmp.Or(strings.Join(never, ", "), "none"))
	}
}
