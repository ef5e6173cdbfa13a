package job

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrBadDrill is wrapped by [Drill.Check].
var ErrBadDrill = errors.New("bad drill")

// MaxCanaries is how many canaries one drill may kill.
const MaxCanaries = 1000

// Drill is a kill drill as the one who drilled saw it: canaries that ran in the
// fleet and were killed.
type Drill struct {
	Reason, Incident string
	// Workers is how many workers there were to be drilled.
	Workers  int
	Canaries []Drilled
}

// Drilled is what became of one canary.
type Drilled struct {
	// Scope is by what order it was killed: its own, or a selector's.
	Scope  ScopeKind
	Worker string
	// Stopped: its worker confirmed. Took is from the request of the kill until
	// the one who drilled was told.
	Stopped bool
	Took    time.Duration
}

// Check refuses a drill that says nothing, or what cannot be.
func (d Drill) Check() error {
	if n := len(d.Canaries); n == 0 || n > MaxCanaries {
		return fmt.Errorf("%w: it has %d canaries; want 1 to %d", ErrBadDrill, n, MaxCanaries)
	}
	if d.Workers < 1 || d.Workers > 1_000_000 {
		return fmt.Errorf("%w: workers is %d; want 1 or more", ErrBadDrill, d.Workers)
	}
	for _, c := range d.Canaries {
		if c.Scope != ScopeJob && c.Scope != ScopeSelector {
			return fmt.Errorf("%w: a canary is killed by its own order or by a selector's, not by %q", ErrBadDrill, c.Scope)
		}
		if err := CheckText("a canary's worker", c.Worker, MaxName); err != nil {
			return err
		}
		if c.Took < 0 || c.Took > time.Hour {
			return fmt.Errorf("%w: a canary took %s; want 0 to 1h", ErrBadDrill, c.Took)
		}
	}
	return nil
}

// Passed reports whether every canary stopped.
func (d Drill) Passed() bool {
	return len(d.Canaries) > 0 && !slices.ContainsFunc(d.Canaries, func(c Drilled) bool { return !c.Stopped })
}

// Stopped is how many stopped.
func (d Drill) Stopped() (n int) {
	for _, c := range d.Canaries {
		if c.Stopped {
			n++
		}
	}
	return n
}

// Reached is how many workers had a canary.
func (d Drill) Reached() int {
	seen := map[string]bool{}
	for _, c := range d.Canaries {
		seen[c.Worker] = true
	}
	return len(seen)
}

// Took are the times of those that stopped under a scope, the shortest first.
func (d Drill) Took(scope ScopeKind) (out []time.Duration) {
	for _, c := range d.Canaries {
		if c.Stopped && c.Scope == scope {
			out = append(out, c.Took)
		}
	}
	slices.Sort(out)
	return out
}

// Slowest is the canary that took longest of those that stopped.
func (d Drill) Slowest() (slowest Drilled) {
	for _, c := range d.Canaries {
		if c.Stopped && c.Took >= slowest.Took {
			slowest = c
		}
	}
	return slowest
}

// Percentile is the least of the sorted times that so many of a hundred do not
// exceed; 0 of none.
func Percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}
