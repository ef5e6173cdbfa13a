package job

import "slices"

// State is where a job is. The zero value is no state.
type State string

// The states of a job. [Killing] is never stored: it is what a reader sees
// while a standing order meets a job that is not yet over.
const (
	Queued    State = "queued"
	Running   State = "running"
	Parked    State = "parked"
	Delayed   State = "delayed"
	Held      State = "held"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Killed    State = "killed"

	Killing State = "killing"
)

// Over reports whether the state is one of the three outcomes. An outcome
// absorbs: no move leaves it.
func (s State) Over() bool { return s == Succeeded || s == Failed || s == Killed }

// States lists every stored state, live ones first.
func States() []State {
	return []State{Queued, Running, Parked, Delayed, Held, Succeeded, Failed, Killed}
}

// Move is one allowed change of place, named after the script that makes it.
type Move struct {
	Script   string
	From, To State
}

// Moves is the table of every allowed move. A test holds each script's header
// to it, so a new line here is a design event, and so is a new script.
func Moves() []Move {
	return []Move{
		{"submit", "", Queued},

		{"grant", Queued, Running},
		{"grant", Queued, Parked}, // a standing order blocks it: BENCH blocked{order}
		{"grant", Queued, Held},   // as many of its owner's run as may
		{"grant", Queued, Killed}, // a kill order covers it

		{"finish", Running, Succeeded},
		{"finish", Running, Failed},
		{"finish", Running, Killed},
		{"retry", Running, Delayed},
		{"retry", Running, Failed}, // the attempts are used up
		{"retry", Running, Killed},
		{"release", Running, Queued},
		{"release", Running, Killed},
		{"park", Running, Parked},
		{"park", Running, Killed},
		{"reclaim", Running, Queued},
		{"reclaim", Running, Delayed}, // lost twice without progress
		{"reclaim", Running, Failed},  // the attempts are used up
		{"reclaim", Running, Killed},  // fenced
		{"fence", Running, Killed},

		{"promote", Delayed, Queued},
		{"promote", Delayed, Killed},
		{"resume", Parked, Queued},
		{"resume", Parked, Killed},
		{"unhold", Held, Queued}, // there is room behind the cap
		{"unhold", Held, Killed},
		{"readmit", Parked, Queued}, // its owner's or the fleet's window has room again
		{"readmit", Parked, Killed},
		{"answer", Parked, Queued},
		{"answer", Parked, Killed},

		{"order", Queued, Killed},
		{"order", Parked, Killed},
		{"order", Delayed, Killed},
		{"order", Held, Killed},
		{"scan", Queued, Killed},
		{"scan", Parked, Killed},
		{"scan", Delayed, Killed},
		{"scan", Held, Killed},
		{"unbench", Parked, Queued},
		{"unbench", Parked, Killed},
		{"sweep", Queued, Killed},
		{"sweep", Parked, Killed},
		{"sweep", Delayed, Killed},
		{"sweep", Held, Killed},
	}
}

// CanMove reports whether some script may take a job from one state to another.
func CanMove(from, to State) bool {
	return slices.ContainsFunc(Moves(), func(m Move) bool { return m.From == from && m.To == to })
}
