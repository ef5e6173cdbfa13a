package judge

import (
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// Terms are what a fleet was told, and what it promises by that.
type Terms struct {
	Fleet      string
	Partitions int
	// Permit is how old a permit may be; Trust is S, Take is T.
	Permit, Trust, Take time.Duration
	// Leave is how long a process may take to leave.
	Leave time.Duration
	// Slack is what a quiet machine may be late.
	Slack time.Duration
	// Slots is how many calls a process may let out when it wakes.
	Slots int
	// Replicated says that what was answered with success is on every replica.
	Replicated bool
	// Calm says that no fault struck; Spare is what a process at rest may have, by its
	// kind, and nobody was looked at where there is none.
	Calm  bool
	Spare map[string]Spare
}

// Breach is a promise that was not kept.
type Breach struct{ Checker, Text string }

// Case is a run to be judged.
type Case struct {
	Terms

	events []history.Event
	dump   history.Dump
	// exports are the files of the sealed audit.
	exports []string

	acts   []act
	jobs   map[string]*record
	orders map[string][]*order
	calls  []*call
	pauses map[string][]span
	stalls []span
	losses []span  // in which what Redis was told may have been lost
	lostAt []int64 // when that was written down, in ns
	// regated says that somebody deleted a gate and nothing else: nothing of that is
	// forgiven, but what held there is said again.
	regated bool
	// jumps says that Redis's clock was moved, by hours.
	jumps  bool
	issued map[issuedIn]int

	// Figures are what the checkers measured on the way.
	Figures Figures

	breaches []Breach
	checker  string
}

// Figures are for the report.
type Figures struct {
	// Late is, for each order, how long after it the last new paid call came.
	Late []time.Duration
	// Cut is how long after its order a call under way went on.
	Cut []time.Duration
	// AtWaking counts calls that a process let out as it woke from a pause.
	AtWaking int
	Verdicts map[string]int
	Outcomes map[string]int
	// Orders are those that Redis had at the end, by their scope.
	Orders map[string]int
	Claims int
	Stall  time.Duration
	// Losses are the times that Redis may have lost something; Lost counts, by
	// what it is, what was lost then and need not have been kept.
	Losses int
	Lost   map[string]int
	// Growth is how the longest-lived process of each kind grew; Emptied says that
	// all jobs were forgotten at the end.
	Growth  map[string]Grown
	Emptied bool
}

// New opens the case of a run in a directory.
func New(dir string, t Terms, exports []string) (*Case, error) {
	events, err := history.Read(dir)
	if err != nil {
		return nil, fmt.Errorf("judge: %w", err)
	}
	dump, err := history.ReadDump(dir)
	if err != nil {
		return nil, fmt.Errorf("judge: %w", err)
	}
	return newCase(t, events, dump, exports), nil
}

func newCase(t Terms, events []history.Event, dump history.Dump, exports []string) *Case {
	c := &Case{Terms: t, events: events, dump: dump, exports: exports, Figures: Figures{Verdicts: map[string]int{}, Outcomes: map[string]int{}, Orders: map[string]int{}, Lost: map[string]int{}}}
	c.acts = pair(events)
	c.readNotes()
	c.readRecords()
	c.readCalls()
	return c
}

// Events are all that there are, in the order of their times.
func (c *Case) Events() []history.Event { return c.events }

// checker is one way to look at a case.
type checker struct {
	name string
	look func(*Case)
}

func checkers() []checker {
	return []checker{
		{"conservation", conservation},
		{"idempotency", idempotency},
		{"moves", moves},
		{"claims", claims},
		{"single", single},
		{"killed", killed},
		{"bound", bound},
		{"cut", cut},
		{"confirmed", confirmed},
		{"freeze", freeze},
		{"receipts", receipts},
		{"register", register},
		{"checkpoints", checkpoints},
		{"audit", audit},
		{"money", money},
		{"residue", residue},
		{"exits", exits},
		{"answers", answers},
		{"growth", growth},
	}
}

// Names are those of all checkers.
func Names() (out []string) {
	for _, k := range checkers() {
		out = append(out, k.name)
	}
	return out
}

// Judge asks every checker and returns what they found.
func (c *Case) Judge() []Breach {
	for _, k := range checkers() {
		c.checker = k.name
		k.look(c)
	}
	return c.breaches
}

func (c *Case) breach(format string, args ...any) {
	c.breaches = append(c.breaches, Breach{c.checker, fmt.Sprintf(format, args...)})
}

// slack is how late something between two instants may be seen.
func (c *Case) slack(from, to int64) time.Duration {
	longest := time.Duration(0)
	from = min(from, to)
	for _, s := range c.stalls {
		if s.to >= from && s.from <= to {
			longest = max(longest, time.Duration(s.to-s.from)*time.Microsecond)
		}
	}
	return c.Slack + 2*longest
}
