package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Admission is what a submit answers.
type Admission struct {
	ID ID
	// Created is false when the idempotency key had been used for the same body.
	Created bool
	// Durability is what the admission survives: "local" or "replicated".
	Durability string
}

// Query asks for jobs. Zero fields do not filter.
type Query struct {
	// Owner is empty only for an admin who asks for every owner's jobs.
	Owner string
	// Submitter, when set, filters by who asked: what a service may see.
	Submitter string
	States    []State // Visible states
	Labels    map[string]string
	Kind      string
	// Cursor is an opaque position that [Page.Next] gave, already verified.
	Cursor string
	// Limit is 1 to 200.
	Limit int
}

// Page is one page of jobs, newest first. Input, results and late results are
// left out.
type Page struct {
	Jobs []Job
	// Next is the cursor of the next page; empty at the end.
	Next string
}

// StreamEvent is one event as it was stored. ID is its position, to resume at.
type StreamEvent struct {
	ID       string
	Type     string
	Audience string
	At       time.Time
	Data     json.RawMessage
}

// Gate is the state of the control record.
type Gate struct {
	Frozen                  bool
	Reason, Incident, Actor string
	FrozenAt                time.Time
	// Rate is how many jobs may start in a second, of the whole fleet, since it was
	// thawed at a rate; 0 for no bound. It ends at RateUntil, or when that is zero
	// with the next thaw.
	Rate      float64
	RateUntil time.Time
	// Heads are "number.random" of the last change, per partition; empty for one
	// of Missing.
	Heads []string
	// Missing are the partitions that could not be read, or did not take the act:
	// nothing here says how their gates are.
	Missing []int
}

// Thawing is how the gate is opened.
type Thawing struct {
	// Seen are the gate's heads, joined by commas, as the caller saw them.
	Seen, Reason string
	// Rate is how many jobs may start in a second, of the whole fleet; 0 for no
	// bound.
	Rate float64
	// For is how long the rate holds, in whole seconds; 0 is until the next thaw.
	For time.Duration
}

// What a rate can be.
const (
	MinRate = 0.001
	MaxRate = 100_000
	MaxFor  = 30 * 24 * time.Hour
)

// Check refuses a rate that nobody can mean.
func (t Thawing) Check() error {
	switch {
	case t.Rate == 0 && t.For != 0:
		return fmt.Errorf("%w: it says for how long the rate holds, and no rate", ErrBadRate)
	case t.Rate != 0 && !(t.Rate >= MinRate && t.Rate <= MaxRate):
		return fmt.Errorf("%w: %g jobs per second; want %g to %d", ErrBadRate, t.Rate, MinRate, MaxRate)
	case t.For < 0 || t.For > MaxFor || t.For%time.Second != 0:
		return fmt.Errorf("%w: it is to hold for %s; want whole seconds, at most %s", ErrBadRate, t.For, MaxFor)
	}
	return nil
}

// ErrBadRate is wrapped by [Thawing.Check].
var ErrBadRate = errors.New("bad rate")

// Loss is a gate that no longer knows what a process has seen of it.
type Loss struct {
	Partition int
	Since     time.Time
	// Seen is the head that is missing, Found the one that is there.
	Seen, Found string
}

// WorkerView is a worker as the fleet sees it.
type WorkerView struct {
	ID, Host, Version string
	Slots, Running    int
	Deaf              int
	// DeafJobs names some of the deaf.
	DeafJobs []ID
	Draining bool
	// Lost: a gate does not know what this worker has seen of it; it takes nothing.
	Lost      bool
	StartedAt time.Time
	// Silent is how long the reader has itself watched its beat stand still.
	Silent time.Duration
	// TrustLeft is how long it may still trust its leases unless it beats again,
	// LeaseLeft when they may be taken, both as far as the reader has watched.
	TrustLeft, LeaseLeft time.Duration
	// NoProgress is how many of the running show no sign of life for minutes;
	// NoProgressJobs names those that are silent the longest.
	NoProgress     int
	NoProgressJobs []ID
	// Reclaimed is how many jobs it took back from others in the last five
	// minutes; ControlLag the longest time in these from an order's record to its
	// arrival, 0 when none arrived.
	Reclaimed  int64
	ControlLag time.Duration
	// SeenAt is the worker's own clock at its last beat.
	SeenAt time.Time
	// Store is where it keeps the states of jobs, empty when it does not say;
	// Elsewhere when that is another store than the reader's.
	Store     string
	Elsewhere bool
}

// Store is where a process keeps the states of jobs: its place in the words of
// the settings, and the mark that the store itself bears.
type Store struct{ Place, Mark string }

// Other reports whether two processes are known to keep states in two stores.
func (s Store) Other(t Store) bool { return s.Mark != "" && t.Mark != "" && s.Mark != t.Mark }

// Fleet is the view of GET /v1/fleet.
type Fleet struct {
	Name       string
	Partitions int
	// Durability is what the dispatcher that looked promises: "local" or "replicated".
	Durability string
	// Missing are the partitions that could not be read: no number here counts
	// what they hold.
	Missing []int
	Gate    Gate
	Workers []WorkerView
	// Unlisted is how many workers there are beyond those in Workers: no number
	// here counts what they say.
	Unlisted int
	// Store is where the reader looks for the states of jobs.
	Store string
	Slots int
	// Jobs counts the live jobs by visible state; queued is also the road's length.
	Jobs map[State]int64
	// OpenOrders are those not yet quiesced.
	OpenOrders []ID
	// NoProgress, Reclaimed and ControlLag are those of the workers together.
	NoProgress int
	Reclaimed  int64
	ControlLag time.Duration
	// Road is how many entries wait on it, QueuedOldest for how long the first.
	Road         int64
	QueuedOldest time.Duration
	// RedisTook is one round trip to Redis, At when the view was taken, on the
	// reader's clock.
	RedisTook time.Duration
	At        time.Time
	// Losses are the gates that the process which answers no longer trusts.
	Losses  []Loss
	Breaker Breaker
}

// AuditEntry is one control act, allowed or denied.
type AuditEntry struct {
	Partition int
	N         uint64
	At        time.Time
	Act       string // "kill", "freeze", "thaw", …
	Decision  string // "allowed" or "denied"
	Rule      string // why it was denied
	// Who is the actor with credential and address, as JSON.
	Who json.RawMessage
	// Fields are the act's own: scope, job, owner, reason, incident, order, …
	Fields map[string]string
}
