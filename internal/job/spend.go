package job

import (
	"cmp"
	"time"
)

// The dimensions that spend is told by.
const (
	ByOwner     = "owner"
	BySubmitter = "submitter"
	ByKind      = "kind"
	ByModel     = "model"
	ByWorker    = "worker"
	ByLabel     = "label"
	// ByVersion is by worker, told by what each of them runs.
	ByVersion = "version"
)

// SpendQuery asks what is being spent.
type SpendQuery struct {
	// Owner, when set, is whose spend alone is told.
	Owner string
	// By is a dimension; Label is the key that ByLabel is about.
	By, Label string
	// Top is how many names are told at most.
	Top int
}

// Spend is what is being spent, told by the money's clock.
type Spend struct {
	At time.Time
	// PerMinute is the burn of the last 60 s; Baseline that of a minute of the
	// hour before, without its last five.
	PerMinute, Baseline MicroUSD
	LastFive, Today     MicroUSD
	Reserved, Estimated MicroUSD
	Window              Window
	Breaker             Breaker
	Minutes             []Minute
	By                  string
	Top                 []Spender
}

// Minute is what was spent in one.
type Minute struct {
	At    time.Time
	Spent MicroUSD
}

// Spender is one name of a dimension.
type Spender struct {
	Name                       string
	PerMinute, LastFive, Today MicroUSD
	// Running is how many jobs of it hold a lease; a model has none of its own.
	Running int
}

// Compare puts the dearest first.
func (s Spender) Compare(t Spender) int {
	return cmp.Or(cmp.Compare(t.PerMinute, s.PerMinute), cmp.Compare(t.LastFive, s.LastFive), cmp.Compare(t.Today, s.Today), cmp.Compare(s.Name, t.Name))
}

// Window is how far a cap is used up.
type Window struct {
	// Cap is nil for none.
	Cap             *MicroUSD
	Spent, Reserved MicroUSD
	Length          time.Duration
	Ends            time.Time
}

// ToCap is how long the cap lasts at a burn, and false when it is never reached.
func (w Window) ToCap(perMinute MicroUSD) (time.Duration, bool) {
	if w.Cap == nil {
		return 0, false
	}
	left := *w.Cap - w.Spent - w.Reserved
	if left <= 0 {
		return 0, true
	}
	if perMinute <= 0 {
		return 0, false
	}
	return time.Duration(left/perMinute)*time.Minute + time.Duration(left%perMinute)*time.Minute/time.Duration(perMinute), true
}

// Breaker is what stops the fleet when it burns too fast.
type Breaker struct {
	// Mode is off, alert, freeze, park or kill.
	Mode string
	// Limit is the most that may burn in a minute, nil for no limit.
	Limit *MicroUSD
	// Burn is what counts against it: what was booked in the last 60 s, and what is
	// reserved for calls in flight.
	Burn      MicroUSD
	Tripped   bool
	TrippedAt time.Time
	Reason    string
}

// The modes of a breaker, by how much they stop; off is an empty one.
const (
	BreakerAlert  = "alert"
	BreakerFreeze = "freeze"
	BreakerPark   = "park"
	BreakerKill   = "kill"
)

// MaxCap is the highest cap of a window: a script can still count to it.
const MaxCap = 1_000_000_000 * USD

// MaxRunning is the highest limit of an owner's running jobs.
const MaxRunning = 1_000_000

// Limits are what an owner, or the fleet, may have. nil is the default, or none.
type Limits struct {
	// Cap is the most that may be spent in a window.
	Cap *MicroUSD
	// Running is how many jobs may run at once; the fleet has no such limit.
	Running *int
}

// Budget is the limits of an owner, or of the fleet when Owner is empty.
type Budget struct {
	Owner string
	// Own are those set for them; In force what holds, defaults included.
	Own, InForce Limits
	Window       Window
	Running      int
	Held         int
}
