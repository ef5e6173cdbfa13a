package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/judge"
	"github.com/rtfm-si/gavel/torture/mutant"
	"github.com/rtfm-si/gavel/torture/rig"
)

// mutants builds one broken product after the other and has each tortured. One
// that nobody catches, or is caught by a checker that should not have, fails.
func mutants(ctx context.Context, args []string, out io.Writer) (int, error) {
	f := flag.NewFlagSet("torture mutants", flag.ContinueOnError)
	f.SetOutput(out)
	root := f.String("root", ".", "the module")
	dir := f.String("dir", "bin/mutants", "where builds and histories go")
	only := f.String("only", "", "names, separated by commas; default all")
	long := f.Duration("for", 20*time.Second, "how long faults strike each, with one seed")
	seed := f.Uint64("seed", 1, "what everything follows from")
	seeds := f.Int("seeds", 3, "with how many seeds, one after the other, one that is not caught is tried")
	if err := f.Parse(args); err != nil {
		return 2, fmt.Errorf("flags: %w", err)
	}
	caught, all := 0, 0
	begun := time.Now()
	for _, m := range mutant.All() {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), m.Name) {
			continue
		}
		all++
		one := time.Now()
		place := filepath.Join(*dir, m.Name)
		if err := m.Build(ctx, *root, filepath.Join(place, "bin")); err != nil {
			return 2, err
		}
		s := settings{
			Seed: *seed, For: *long, Pace: 150 * time.Millisecond, Patience: 30 * time.Second, Dispatchers: 2, Workers: 4, Slots: 6, Partitions: 1,
			Owners: 4, Topology: rig.Single, Losses: m.Losses, Only: m.Faults, Bin: filepath.Join(place, "bin"), Dir: filepath.Join(place, time.Now().Format("150405")),
		}
		s.Slots, s.Pace = cmp.Or(m.Slots, s.Slots), cmp.Or(m.Pace, s.Pace)
		word, found, err := hunt(ctx, m, s, *seeds)
		if err != nil {
			return 2, fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		if found {
			caught++
		}
		if _, err := fmt.Fprintf(out, "%-26s %s (%s)\n", m.Name, word, time.Since(one).Round(time.Second)); err != nil {
			return 2, fmt.Errorf("report: %w", err)
		}
	}
	_, err := fmt.Fprintf(out, "mutants: %d of %d caught in %s\n", caught, all, time.Since(begun).Round(time.Second))
	if caught < all {
		return 1, err
	}
	return 0, err
}

// hunt tortures a mutant with one seed after the other until it is caught, and
// says by whom. A schedule whose faults did not bite, or not where this mutant is
// wrong, proves nothing about the checkers.
func hunt(ctx context.Context, m mutant.Mutant, s settings, seeds int) (word string, found bool, err error) {
	var missed []string
	dir := s.Dir
	for last := s.Seed + uint64(max(seeds, 1)); s.Seed < last; s.Seed++ {
		s.Dir = fmt.Sprintf("%s-%d", dir, s.Seed)
		by, err := accuse(ctx, s)
		if err != nil {
			return "", false, err
		}
		bites, err := bitten(s.Dir)
		if err != nil {
			return "", false, err
		}
		if slices.ContainsFunc(m.Caught, func(k string) bool { return slices.Contains(by, k) }) {
			word = fmt.Sprintf("caught by %s, seed %d, %s", strings.Join(by, " "), s.Seed, bites)
			if missed != nil {
				word += "; not with " + strings.Join(missed, " nor ")
			}
			return word, true, nil
		}
		missed = append(missed, fmt.Sprintf("seed %d, %s, by %s", s.Seed, bites, cmp.Or(strings.Join(by, " "), "nobody")))
	}
	return "NOT CAUGHT with " + strings.Join(missed, " nor "), false, nil
}

// bitten says how many of a run's strikes have bitten.
func bitten(dir string) (string, error) {
	events, err := history.Read(dir)
	if err != nil {
		return "", err
	}
	struck, bit := 0, 0
	for _, e := range events {
		if e.Op != "nemesis" || e.Type != history.OK {
			continue
		}
		var did struct{ Bites int64 }
		if err := json.Unmarshal(e.Args, &did); err != nil {
			return "", fmt.Errorf("the history of %s: %w", e.Class, err)
		}
		struck++
		if did.Bites > 0 {
			bit++
		}
	}
	return fmt.Sprintf("%d of %d faults bit", bit, struck), nil
}

// accuse tortures a build and names the checkers that found something.
func accuse(ctx context.Context, s settings) ([]string, error) {
	if err := s.place(); err != nil {
		return nil, err
	}
	found, err := torment(ctx, s, io.Discard)
	if err != nil {
		return nil, err
	}
	exports, err := filepath.Glob(filepath.Join(s.Dir, "audit-*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("exports: %w", err)
	}
	c, err := judge.New(s.Dir, s.terms(), exports)
	if err != nil {
		return nil, err
	}
	var by []string
	for _, b := range append(found, c.Judge()...) {
		if !slices.Contains(by, b.Checker) {
			by = append(by, b.Checker)
		}
	}
	return by, nil
}
