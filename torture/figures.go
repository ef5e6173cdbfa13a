package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/judge"
)

// figures are what a run did, for machines: figures.json in its directory.
type figures struct {
	Settings settings
	// Lasted is from the first event to the last.
	Lasted time.Duration

	Operations, Unknown int
	Ops                 map[string]*answered
	Faults              map[string]*strikes
	// Points are where processes were killed: of which kind, at which call to Redis.
	Points             map[string]int
	Jobs, Claims       int
	Outcomes, Verdicts map[string]int
	// Orders are by their scope; those of the fleet are kill-alls.
	Orders map[string]int
	// Lost is what Redis lost in so many moments, and nobody had been promised.
	Losses int
	Lost   map[string]int
	// Late and Cut are the worst of the bounds in time, Stall the machine's own.
	Late, Cut, Stall time.Duration
	AtWaking         int
	// Starts are those of processes, Older how many were of an older version.
	Starts, Older int
	Growth        map[string]judge.Grown
	Emptied       bool
	// Broken counts the breaches by checker.
	Broken map[string]int
}

// answered counts the acts of one kind by what came of them.
type answered struct{ OK, Refused, Unknown int }

// strikes counts how often one fault struck.
type strikes struct {
	Struck, Bit int
	Bites       int64
	Unit        string
}

// count adds up what a run did.
func count(s settings, c *judge.Case, found []judge.Breach) figures {
	k, events := c.Figures, c.Events()
	f := figures{
		Settings: s, Ops: map[string]*answered{}, Faults: map[string]*strikes{}, Points: map[string]int{}, Claims: k.Claims, Outcomes: k.Outcomes, Verdicts: k.Verdicts, Orders: k.Orders,
		Losses: k.Losses, Lost: k.Lost, Stall: k.Stall, AtWaking: k.AtWaking, Growth: k.Growth, Emptied: k.Emptied, Broken: map[string]int{},
	}
	if len(events) > 0 {
		f.Lasted = time.Duration(events[len(events)-1].Mono - events[0].Mono)
	}
	for _, e := range events {
		f.add(e)
	}
	for _, n := range k.Outcomes {
		f.Jobs += n
	}
	if len(k.Late) > 0 {
		f.Late = slices.Max(k.Late)
	}
	if len(k.Cut) > 0 {
		f.Cut = slices.Max(k.Cut)
	}
	for _, b := range found {
		f.Broken[b.Checker]++
	}
	return f
}

func (f *figures) add(e history.Event) {
	if e.Op == "nemesis" {
		f.strike(e)
		return
	}
	if e.Op == "start" {
		var a struct{ Older bool }
		_ = json.Unmarshal(e.Args, &a) // ours
		f.Starts++
		if a.Older {
			f.Older++
		}
	}
	if e.Op == "point" {
		f.point(e)
		return
	}
	if e.Type == history.Invoke || e.Type == history.Note {
		return
	}
	if f.Ops[e.Op] == nil {
		f.Ops[e.Op] = &answered{}
	}
	f.Operations++
	switch e.Type {
	case history.OK:
		f.Ops[e.Op].OK++
	case history.Fail:
		f.Ops[e.Op].Refused++
	default:
		f.Ops[e.Op].Unknown++
		f.Unknown++
	}
}

func (f *figures) strike(e history.Event) {
	var a struct {
		Bites int64
		Unit  string
	}
	if e.Type != history.OK || json.Unmarshal(e.Args, &a) != nil {
		return
	}
	if f.Faults[e.Class] == nil {
		f.Faults[e.Class] = &strikes{Unit: a.Unit}
	}
	k := f.Faults[e.Class]
	k.Struck++
	k.Bites += max(a.Bites, 0)
	if a.Bites > 0 {
		k.Bit++
	}
}

func (f *figures) write(dir string) error {
	raw, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "figures.json"), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

func readFigures(dir string) (f figures, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "figures.json"))
	if err == nil {
		err = json.Unmarshal(raw, &f)
	}
	if err != nil {
		return f, fmt.Errorf("read the figures: %w", err)
	}
	return f, nil
}
