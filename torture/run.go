package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/torture/judge"
	"github.com/rtfm-si/gavel/torture/load"
	"github.com/rtfm-si/gavel/torture/mutant"
	"github.com/rtfm-si/gavel/torture/nemesis"
	"github.com/rtfm-si/gavel/torture/rig"
)

// settings are what a run can be repeated by.
type settings struct {
	Seed                                    uint64
	For, Pace, Patience                     time.Duration
	Dispatchers, Workers, Slots, Partitions int
	Owners                                  int
	Only, Without                           []string
	Topology, Durability                    string
	Losses                                  bool
	// Sizes has everybody who has nothing to do looked at, before the load and after.
	Sizes bool
	// Older is a directory of older binaries, of which some processes are.
	Older    string
	Bin, Dir string `json:"-"`
}

// longest is a run in which the judge can tell a clock that jumps by hours from
// one that goes on.
const longest = 20 * time.Minute

// calm says that no fault strikes.
func (s settings) calm() bool { return slices.Equal(s.Only, []string{"none"}) }

// owners are the tenants of the fleet.
func (s settings) owners() (out []string) {
	for i := range s.Owners {
		out = append(out, fmt.Sprintf("owner%d", i+1))
	}
	return out
}

func (s settings) terms() judge.Terms {
	return judge.Terms{
		Calm: s.calm(), Spare: s.spare(),
		Fleet: rig.Name, Partitions: s.Partitions, Permit: rig.PermitAge, Trust: rig.Trust, Take: rig.Take,
		Leave: rig.Grace + rig.Settle + rig.Patience + time.Second, Slack: 250 * time.Millisecond, Slots: s.Slots, Replicated: s.Durability == "replicated",
	}
}

// names are those in a list with commas.
func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// spare is what processes keep on purpose: to each master eight connections for
// leases, and for jobs as many as they may have in use at once.
func (s settings) spare() map[string]judge.Spare {
	masters := 1
	if s.Topology == rig.Cluster {
		masters = 3
	}
	of := func(jobs int) judge.Spare {
		return judge.Spare{Descriptors: int64(masters * (8 + jobs)), Goroutines: 3}
	}
	return map[string]judge.Spare{"worker": of(s.Slots + 2*s.Partitions + 2), "dispatcher": of(32)}
}

func parse(args []string, out io.Writer) (s settings, err error) {
	f := flag.NewFlagSet("torture", flag.ContinueOnError)
	f.SetOutput(out)
	replay := f.String("replay", "", "directory of a run whose seed and schedule to repeat")
	only := f.String("only", "", "names of the faults that strike, separated by commas; default all, and none for a calm run")
	without := f.String("without", "", "names of faults that do not strike, separated by commas")
	f.Uint64Var(&s.Seed, "seed", 0, "what everything follows from; 0 draws one")
	f.DurationVar(&s.For, "for", time.Minute, "how long faults strike")
	f.DurationVar(&s.Pace, "pace", 250*time.Millisecond, "how often each owner submits")
	f.DurationVar(&s.Patience, "patience", time.Minute, "how long each step of the end may take")
	f.IntVar(&s.Dispatchers, "dispatchers", 2, "number of dispatchers")
	f.IntVar(&s.Workers, "workers", 4, "number of workers")
	f.IntVar(&s.Slots, "slots", 6, "slots of each worker")
	f.IntVar(&s.Partitions, "partitions", 2, "number of partitions")
	f.IntVar(&s.Owners, "owners", 4, "number of owners")
	f.StringVar(&s.Topology, "topology", rig.Single, "of Redis: single, sentinel or cluster")
	f.StringVar(&s.Durability, "durability", "local", "what the fleet promises of what it answers, where Redis has replicas: local or replicated")
	f.BoolVar(&s.Losses, "losses", false, "a single Redis may lose power, and so the last things it was told")
	f.BoolVar(&s.Sizes, "sizes", true, "look at processes that have nothing to do, before the load and after it, and judge what has grown")
	f.StringVar(&s.Bin, "bin", "bin", "directory of the binaries dispatcher, worker and gavel")
	f.StringVar(&s.Older, "older", "", "directory of older binaries dispatcher and worker: half of the processes start as these, and each that starts later is drawn")
	f.StringVar(&s.Dir, "dir", "", "directory for what the run leaves; default is a new temporary one")
	if err := f.Parse(args); err != nil {
		return s, fmt.Errorf("flags: %w", err)
	}
	if !slices.Contains([]string{rig.Single, rig.Sentinel, rig.Cluster}, s.Topology) {
		return s, fmt.Errorf("-topology is %q, and must be single, sentinel or cluster", s.Topology)
	}
	s.Only, s.Without = names(*only), names(*without)
	if *replay != "" {
		bin, dir := s.Bin, s.Dir
		raw, err := os.ReadFile(filepath.Join(*replay, "settings.json"))
		if err == nil {
			err = json.Unmarshal(raw, &s)
		}
		if err != nil {
			return s, fmt.Errorf("replay: %w", err)
		}
		s.Bin, s.Dir = bin, dir
	}
	if s.Seed == 0 {
		s.Seed = rand.Uint64N(1 << 32)
	}
	// Beside a path that leads nowhere else, the binaries are not looked for on PATH.
	for _, p := range []*string{&s.Bin, &s.Older} {
		if *p == "" {
			continue
		}
		whole, err := filepath.Abs(*p)
		if err != nil {
			return s, fmt.Errorf("%s: %w", *p, err)
		}
		*p = whole
	}
	return s, s.place()
}

// place makes the run's directory, and keeps in it what the run is repeated by.
func (s *settings) place() (err error) {
	if s.Dir == "" {
		if s.Dir, err = os.MkdirTemp("", "gavel-torture-"); err != nil {
			return fmt.Errorf("a place for the run: %w", err)
		}
	}
	if err := os.MkdirAll(s.Dir, 0o750); err != nil {
		return fmt.Errorf("a place for the run: %w", err)
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Dir, "settings.json"), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the settings: %w", err)
	}
	return nil
}

// run does what the arguments say; 1 means that promises were broken.
func run(ctx context.Context, args []string, out io.Writer) (int, error) {
	if len(args) > 0 && args[0] == "mutants" {
		return mutants(ctx, args[1:], out)
	}
	if len(args) > 1 && args[0] == "sum" {
		return sum(args[1:], out)
	}
	if len(args) == 2 && args[0] == "clock" {
		return 0, mutant.Clock(ctx, ".", args[1])
	}
	if len(args) == 2 && args[0] == "judge" {
		s := settings{Dir: args[1]}
		raw, err := os.ReadFile(filepath.Join(s.Dir, "settings.json"))
		if err == nil {
			err = json.Unmarshal(raw, &s)
		}
		if err != nil {
			return 2, fmt.Errorf("judge: %w", err)
		}
		return pronounce(s, out, nil)
	}
	s, err := parse(args, out)
	if err != nil {
		return 2, err
	}
	if s.Topology != rig.Single && !rig.OwnNetwork() {
		code, err := rig.InOwnNetwork(ctx)
		if !errors.Is(err, rig.ErrNoNetwork) {
			return code, err
		}
		_, _ = fmt.Fprintf(out, "nodes are not split from nodes: %v\n", err)
	}
	_, _ = fmt.Fprintf(out, "torture: seed %d, %s of faults, %d dispatchers, %d workers of %d slots, %d partitions; history in %s\n",
		s.Seed, s.For, s.Dispatchers, s.Workers, s.Slots, s.Partitions, s.Dir)
	found, err := torment(ctx, s, out)
	if err != nil {
		return 2, err
	}
	return pronounce(s, out, found)
}

// torment runs the fleet to its end. What it returns are the breaches that show
// while the fleet still stands.
func torment(ctx context.Context, s settings, out io.Writer) (found []judge.Breach, err error) {
	worker := mutant.ClockedWorker
	_, absent := os.Stat(filepath.Join(s.Bin, worker))
	if absent != nil {
		worker = "worker"
	}
	r, err := rig.Start(ctx, rig.Config{
		Worker: worker, Clocks: absent == nil,

		Dir: s.Dir, Bin: s.Bin, Dispatchers: s.Dispatchers, Workers: s.Workers, Slots: s.Slots, Partitions: s.Partitions, Owners: s.owners(),
		Older: s.Older, Seed: s.Seed, Topology: s.Topology, Durability: s.Durability, Losses: s.Losses,
	})
	if r != nil {
		defer func() { err = errors.Join(err, r.Close()) }()
	}
	if err == nil {
		err = r.Ready(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("the fleet did not come up: %w", err)
	}
	people, err := load.New(r, s.Seed, s.Pace)
	if err != nil {
		return nil, err
	}
	people.Patience = s.Patience
	if s.Sizes {
		r.AtRest(ctx, rig.WhenIdle)
	}
	without := slices.Clone(s.Without)
	if !r.Clocks {
		without = append(without, nemesis.WorkerClocks)
		_, _ = fmt.Fprintf(out, "%s is left out: there is no %s beside the binaries (torture clock builds it)\n", nemesis.WorkerClocks, mutant.ClockedWorker)
	}
	if err := r.Redis.CanJump(ctx); s.Topology == rig.Single && err != nil || s.For > longest {
		without = append(without, nemesis.ClockJumps)
		_, _ = fmt.Fprintf(out, "%s is left out: %v (and not in runs of more than %s)\n", nemesis.ClockJumps, err, longest)
	}
	storm, err := nemesis.New(r, people, s.Seed, s.Only, without)
	if err != nil {
		return nil, err
	}
	for hand, names := range storm.Schedule(int(s.For / time.Second / 3)) {
		_, _ = fmt.Fprintf(out, "hand %d deals: %s\n", hand+1, strings.Join(names, " "))
	}
	struck, cancel := context.WithTimeout(ctx, s.For)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { people.Run(struck) })
	wg.Go(func() { storm.Run(struck) })
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	storm.Heal(ctx)
	return settle(ctx, s, r, people)
}

// settle ends the run: the people finish, the audit is verified, everybody
// leaves, and Redis is read.
func settle(ctx context.Context, s settings, r *rig.Rig, people *load.Load) (found []judge.Breach, err error) {
	if err := people.Finish(ctx); err != nil {
		found = append(found, judge.Breach{Checker: "conservation", Text: err.Error()})
	}
	if err := r.Ready(ctx); err != nil {
		found = append(found, judge.Breach{Checker: "residue", Text: err.Error()})
	}
	if err := r.Sealed(ctx); err != nil {
		found = append(found, judge.Breach{Checker: "audit", Text: err.Error()})
	} else if said, err := r.Verify(ctx); err != nil && !r.Losses && r.Redis.High == nil {
		found = append(found, judge.Breach{Checker: "audit", Text: "gavel audit verify: " + said})
	}
	if s.Sizes {
		r.AtRest(ctx, rig.WhenDone)
	}
	for _, m := range r.Members() {
		m.Term(1, func() bool { return true })
	}
	dump, err := r.Redis.Dump(ctx)
	if err == nil {
		err = dump.Write(r.Dir)
	}
	if err == nil && s.Sizes && s.calm() {
		err = r.Empty(ctx, judge.Blocks(dump))
	}
	return found, err
}

// pronounce judges a run and reports.
func pronounce(s settings, out io.Writer, found []judge.Breach) (int, error) {
	exports, err := filepath.Glob(filepath.Join(s.Dir, "audit-*.jsonl"))
	if err != nil {
		return 2, fmt.Errorf("exports: %w", err)
	}
	c, err := judge.New(s.Dir, s.terms(), exports)
	if err != nil {
		return 2, err
	}
	found = append(found, c.Judge()...)
	if err := report(s, out, c, found); err != nil {
		return 2, err
	}
	if len(found) > 0 {
		return 1, nil
	}
	return 0, nil
}
