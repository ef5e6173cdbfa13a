package nemesis

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/load"
	"github.com/rtfm-si/gavel/torture/rig"
)

// Nemesis is a kind of fault.
type Nemesis struct {
	Name string
	// Unit is what its bites count.
	Unit string
	// Strike strikes, heals, and says how often it has bitten.
	Strike func(ctx context.Context, s *Strike) int64
}

// Strike is one time that a fault strikes.
type Strike struct {
	*rand.Rand

	Rig  *rig.Rig
	Load *load.Load
	log  *history.Log
	hand *Hand
	seen int64 // strikes of the other hand, when this one began
}

// Storm deals faults.
type Storm struct {
	rig  *rig.Rig
	load *load.Load
	log  *history.Log
	seed uint64
	// Calm is the longest pause between two strikes of a hand.
	Calm  time.Duration
	hands []*Hand
}

// Hand deals one deck.
type Hand struct {
	deck    []Nemesis
	other   *Hand
	busy    atomic.Bool
	strikes atomic.Int64
}

// New makes a storm of the faults with those names, or of all, without some.
func New(r *rig.Rig, l *load.Load, seed uint64, names, without []string) (*Storm, error) {
	log, err := r.Log("nemesis")
	if err != nil {
		return nil, err
	}
	but := func(n Nemesis) bool { return slices.Contains(without, n.Name) }
	doors, workers := Doors(), Workers()
	switch {
	case r.Redis.High != nil:
		doors, workers = append(ofTopologies(r.Redis.High), apart(ofDoors())...), ofWorkers()
	case r.Losses:
		doors = append(ofLosses(), apart(doors)...)
	}
	a, b := &Hand{deck: slices.DeleteFunc(pick(doors, names), but)}, &Hand{deck: slices.DeleteFunc(pick(workers, names), but)}
	a.other, b.other = b, a
	return &Storm{rig: r, load: l, log: log, seed: seed, Calm: 1200 * time.Millisecond, hands: []*Hand{a, b}}, nil
}

// apart are the faults that can meet with a loss: what a dispatcher has seen it
// says again, unless it is killed in the same moment; and where no link stands
// before Redis none can fail.
func apart(from []Nemesis) []Nemesis {
	return slices.DeleteFunc(from, func(n Nemesis) bool {
		return slices.Contains([]string{"dispatcher-cut-off", "dispatcher-reply-lost", DispatcherPoints, ClockJumps}, n.Name)
	})
}

func pick(from []Nemesis, names []string) (out []Nemesis) {
	for _, n := range from {
		for _, name := range names {
			if name == n.Name {
				out = append(out, n)
			}
		}
	}
	if len(names) == 0 {
		return from
	}
	return out
}

// Doors are the faults of the first hand, Workers those of the second.
func Doors() []Nemesis { return slices.Concat(ofRedis(), ofHosts(), ofDoors()) }

// Workers are the faults of the second hand.
func Workers() []Nemesis { return append(ofWorkers(), ofLinks()...) }

// Schedule is the order in which a hand deals its first n faults.
func (s *Storm) schedule(hand int, n int) []Nemesis {
	deck := s.hands[hand].deck
	rng := rand.New(rand.NewPCG(s.seed, 1000+uint64(hand)))
	var out []Nemesis
	for len(deck) > 0 && len(out) < n {
		for _, i := range rng.Perm(len(deck)) {
			out = append(out, deck[i])
		}
	}
	return out[:min(n, len(out))]
}

// Schedule names what both hands will deal.
func (s *Storm) Schedule(n int) (out [][]string) {
	for h := range s.hands {
		var names []string
		for _, f := range s.schedule(h, n) {
			names = append(names, f.Name)
		}
		out = append(out, names)
	}
	return out
}

// Run deals until ctx ends. What strikes then still heals.
func (s *Storm) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.supervise(ctx) })
	for h := range s.hands {
		wg.Go(func() { s.deal(ctx, h) })
	}
	wg.Wait()
}

const many = 100_000

func (s *Storm) deal(ctx context.Context, h int) {
	hand := s.hands[h]
	for i, n := range s.schedule(h, many) {
		rng := rand.New(rand.NewPCG(s.seed, uint64(h+1)<<32|uint64(i)))
		if !pause(ctx, s.Calm/4+time.Duration(rng.Int64N(int64(s.Calm)))) {
			return
		}
		e := s.log.Add(history.Event{Type: history.Invoke, Op: "nemesis", Class: n.Name})
		hand.busy.Store(true)
		hand.strikes.Add(1)
		bites := n.Strike(ctx, &Strike{Rand: rng, Rig: s.rig, Load: s.load, log: s.log, hand: hand, seen: hand.other.strikes.Load()})
		hand.busy.Store(false)
		e.Type, e.Args = history.OK, rig.Args("bites", bites, "unit", n.Unit)
		s.log.Add(e)
	}
}

// calm says that no fault of the other hand has been at work since this strike
// began.
func (s *Strike) calm() bool {
	o := s.hand.other
	return !o.busy.Load() && o.strikes.Load() == s.seen
}

// supervise starts what has ended by itself, as an orchestrator would.
func (s *Storm) supervise(ctx context.Context) {
	for pause(ctx, 300*time.Millisecond) {
		for _, m := range append(append([]*rig.Member{}, s.rig.Workers...), s.rig.Dispatchers...) {
			if m.Fell() {
				m.Ended()
				s.raise(m)
			}
		}
	}
}

func (s *Storm) raise(m *rig.Member) {
	if err := m.Start(); err != nil {
		s.log.Add(history.Event{Type: history.Note, Op: "trouble", Class: err.Error()})
	}
}

// Heal takes back every fault, and starts what does not run.
func (s *Storm) Heal(ctx context.Context) {
	s.rig.Witness.Misbehave(rig.None)
	for _, m := range append(append([]*rig.Member{}, s.rig.Workers...), s.rig.Dispatchers...) {
		m.Link.Set(rig.Mode{})
		_ = m.Continue() // it may have ended
		s.raise(m)
	}
	for _, m := range append(append([]*rig.Member{}, s.rig.Workers...), s.rig.Dispatchers...) {
		_ = m.Spare(0) // it may have ended
	}
	s.rig.Redis.Admin.ConfigSet(ctx, "maxmemory", "0")
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// between draws a time.
func (s *Strike) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.Int64N(int64(high-low)+1))
}

func (s *Strike) worker() *rig.Member { return s.Rig.Workers[s.IntN(len(s.Rig.Workers))] }

// busiest is the worker that holds the most jobs.
func (s *Strike) busiest(ctx context.Context) *rig.Member {
	most := map[string]int{}
	for _, by := range s.Rig.Redis.HeldBy(ctx, rig.Name, s.Rig.Partitions, "") {
		most[by]++
	}
	return slices.MaxFunc(s.Rig.Workers, func(a, b *rig.Member) int { return cmp.Compare(most[a.Name()], most[b.Name()]) })
}

// held counts the jobs that a worker holds now.
func (s *Strike) held(ctx context.Context, m *rig.Member) int64 {
	return int64(len(s.Rig.Redis.HeldBy(ctx, rig.Name, s.Rig.Partitions, m.Name())))
}

// running counts the jobs that anybody holds now.
func (s *Strike) running(ctx context.Context) int64 {
	return int64(len(s.Rig.Redis.HeldBy(ctx, rig.Name, s.Rig.Partitions, "")))
}
