package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Gate says whether the fleet admits and starts jobs.
type Gate struct {
	Frozen   bool      `json:"frozen"`
	Reason   string    `json:"reason,omitzero"`
	Incident string    `json:"incident,omitzero"`
	Actor    string    `json:"actor,omitzero"`
	FrozenAt time.Time `json:"frozen_at,omitzero"`
	// Head is what a thaw has to say it saw.
	Head string `json:"head"`
	// Missing are the partitions that could not be read, or did not take the act:
	// how their gates are is not known. Send a freeze or a thaw again.
	Missing []int `json:"missing_partitions,omitzero"`
	// Rate is how many jobs may start in a second, of the whole fleet, since it was
	// thawed at a rate; 0 for no bound. RateUntil is when that ends by itself.
	Rate      float64   `json:"rate_per_second,omitzero"`
	RateUntil time.Time `json:"rate_until,omitzero"`
}

// Worker is one worker of the fleet.
type Worker struct {
	ID       string   `json:"id"`
	Host     string   `json:"host"`
	Version  string   `json:"version"`
	Slots    int      `json:"slots"`
	Running  int      `json:"running"`
	Deaf     int      `json:"deaf"`
	DeafJobs []string `json:"deaf_jobs,omitzero"` // some of them
	Draining bool     `json:"draining"`
	// Lost: a gate does not know what it has seen of it; it takes nothing.
	Lost    bool      `json:"lost,omitzero"`
	Started time.Time `json:"started_at,omitzero"`
	// Silent is for how many seconds the dispatcher that answered has watched
	// its beat stand still.
	Silent float64   `json:"silent_seconds"`
	Seen   time.Time `json:"seen_at,omitzero"`
	// NoProgress is how many of its running jobs showed no sign of life for more
	// than two minutes; NoProgressJobs names those that are silent the longest.
	NoProgress     int      `json:"no_progress"`
	NoProgressJobs []string `json:"no_progress_jobs,omitzero"`
	// TrustLeft is for how many seconds it may act on its leases unless it beats
	// again, LeaseLeft when they may be taken from it.
	TrustLeft float64 `json:"trust_left_seconds"`
	LeaseLeft float64 `json:"lease_left_seconds"`
	// Checkpoints is where it keeps the states of jobs. Elsewhere: that is another
	// store than the one the dispatcher that answered looks in.
	Checkpoints string `json:"checkpoints,omitzero"`
	Elsewhere   bool   `json:"checkpoints_elsewhere,omitzero"`
}

// Loss is a gate that lost data. Look at what was lost, then [Client.Adopt] it.
type Loss struct {
	Partition int       `json:"partition"`
	Since     time.Time `json:"since,omitzero"`
	// Seen is the head that is missing, Found the one that is there.
	Seen  string `json:"seen"`
	Found string `json:"found"`
}

// Fleet is the view of the whole.
type Fleet struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	// Missing are the partitions that could not be read: no number here counts
	// what they hold.
	Missing []int `json:"missing_partitions,omitzero"`
	// Durability is what the dispatcher that answered promises of what it accepts:
	// "local", Redis has it, or "replicated", all its replicas have it too.
	Durability string   `json:"durability"`
	Gate       Gate     `json:"gate"`
	Slots      int      `json:"slots"`
	Workers    []Worker `json:"workers"`
	// Unlisted is how many workers there are beyond those in Workers, which are the
	// longest silent: no number here counts what they say.
	Unlisted int `json:"workers_unlisted,omitzero"`
	// Checkpoints is where the dispatcher that answered looks for states.
	Checkpoints string          `json:"checkpoints,omitzero"`
	Jobs        map[State]int64 `json:"jobs"` // live ones
	OpenOrders  []string        `json:"open_orders"`
	Breaker     Breaker         `json:"breaker"`
	// At is when this was seen, on the dispatcher's clock.
	At time.Time `json:"at,omitzero"`
	// NoProgress is how many running jobs showed no sign of life for more than
	// two minutes.
	NoProgress int `json:"no_progress"`
	// QueuedOldest is for how many seconds the first job on the road has waited.
	QueuedOldest float64 `json:"queued_oldest_seconds"`
	// Reclaimed is how many jobs were taken back from silent workers in the last
	// five minutes.
	Reclaimed int64 `json:"reclaimed_5m"`
	// ControlLag is the longest time, in seconds, from an order's record to its
	// arrival at a worker in the last five minutes; 0 when none arrived.
	ControlLag float64 `json:"control_lag_seconds"`
	// Redis is how many seconds one round trip to Redis took.
	Redis float64 `json:"redis_seconds"`
	// Losses are the gates that do not know what the dispatcher that answered has
	// seen of them: Redis lost data.
	Losses []Loss `json:"losses,omitzero"`
}

// Fleet reads the view of the whole. It is for operators and admins.
func (c *Client) Fleet(ctx context.Context) (Fleet, error) {
	var out Fleet
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/fleet"}, &out)
	return out, err
}

// Freeze closes the gate: nothing is admitted and nothing starts until it is
// thawed. What runs goes on. The incident may be empty.
func (c *Client) Freeze(ctx context.Context, reason, incident string) (Gate, error) {
	var out Gate
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/fleet/freeze", key: orDrawn(""), body: struct {
		Reason   string `json:"reason"`
		Incident string `json:"incident,omitempty"`
	}{reason, incident}}, &out)
	return out, err
}

// Thaw opens the gate if it is still the one whose [Gate.Head] was seen, and
// returns [ErrGateChanged] otherwise. It is for admins.
func (c *Client) Thaw(ctx context.Context, seen, reason string) (Gate, error) {
	return c.ThawAtRate(ctx, seen, reason, 0, 0)
}

// ThawAtRate is Thaw, but that no more than perSecond jobs of the whole fleet
// start in a second: for so long, or until the next thaw when that is 0. On an
// open gate it sets the rate; [Client.Thaw] lifts it.
func (c *Client) ThawAtRate(ctx context.Context, seen, reason string, perSecond float64, lasting time.Duration) (Gate, error) {
	var out Gate
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/fleet/thaw", key: orDrawn(""), body: struct {
		Seen   string  `json:"seen"`
		Reason string  `json:"reason"`
		Rate   float64 `json:"rate_per_second,omitempty"`
		For    int64   `json:"for_seconds,omitempty"`
	}{seen, reason, perSecond, seconds(lasting)}}, &out)
	return out, err
}

// Adopt takes what Redis has now for the truth, after it lost data: every
// process that had frozen itself goes on. It thaws nothing. It is for admins.
func (c *Client) Adopt(ctx context.Context, reason string) (Gate, error) {
	var out Gate
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/fleet/adopt", key: orDrawn(""), body: struct {
		Reason string `json:"reason"`
	}{reason}}, &out)
	return out, err
}

// AuditEntry is one control act, allowed or denied.
type AuditEntry struct {
	Partition int       `json:"partition"`
	N         uint64    `json:"n"`
	At        time.Time `json:"at,omitzero"`
	Act       string    `json:"act"`
	Decision  string    `json:"decision"` // allowed or denied
	Rule      string    `json:"rule,omitzero"`
	// Who is the subject, with credential, address and request.
	Who    json.RawMessage   `json:"who,omitzero"`
	Fields map[string]string `json:"fields,omitzero"`
}

// AuditQuery says which entries to read. Zero fields do not filter.
type AuditQuery struct {
	// Job finds the entries about a job and those of the order that stopped it; an
	// order's id finds that order's.
	Job, Act string
	// Actor is who acted, or tried to.
	Actor string
	// Since and Until bound when, both included.
	Since, Until time.Time
	// PerPage is how many are fetched at a time, 1 to 200; 0 is 50.
	PerPage int
}

// Audit reads the log of control acts, newest first, fetching pages as they are
// needed. It ends after the first error. It is for admins.
func (c *Client) Audit(ctx context.Context, q AuditQuery) iter.Seq2[AuditEntry, error] {
	v := url.Values{}
	add(v, "job", q.Job)
	add(v, "act", q.Act)
	add(v, "actor", q.Actor)
	for name, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			v.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	type page struct {
		Entries []AuditEntry `json:"entries"`
		Next    string       `json:"next"`
	}
	return pages(ctx, c, listing{"/v1/audit", v, q.PerPage}, func(p *page) ([]AuditEntry, string) { return p.Entries, p.Next })
}
