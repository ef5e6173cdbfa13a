package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// MicroUSD is an amount of money in millionths of a US dollar.
type MicroUSD int64

// USD is one dollar.
const USD MicroUSD = 1_000_000

// Submission is a job to run.
type Submission struct {
	// Kind chooses what runs it, such as "deliberation".
	Kind string
	// Input is what it is given: anything that is a JSON object, at most 1 MiB.
	Input  any
	Labels map[string]string
	// Budget is the most it may spend; 0 is the fleet's default.
	Budget MicroUSD
	// MaxAttempts is how many failed attempts without progress end it; 0 is the
	// default.
	MaxAttempts int
	// Timeout bounds one attempt, in whole seconds; 0 is the default.
	Timeout time.Duration
	// Owner is for services that submit on someone's behalf.
	Owner string
	// IdempotencyKey names this submission; one is drawn when it is empty.
	IdempotencyKey string
}

// Accepted is the answer to a submission.
type Accepted struct {
	ID string `json:"id"`
	// Created is false when the idempotency key had been used before for the
	// same body: ID is that job.
	Created bool `json:"created"`
	// Durability is what it survives: "local", what Redis's append-only file does;
	// "replicated", a failover too.
	Durability string `json:"durability"`
}

// State is where a job is.
type State string

// The states. The last three are outcomes: nothing follows them.
const (
	Queued    State = "queued"
	Running   State = "running"
	Parked    State = "parked"
	Delayed   State = "delayed"
	Held      State = "held"
	Killing   State = "killing" // an order stands, the job is not yet over
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Killed    State = "killed"
)

// Over reports whether the state is an outcome.
func (s State) Over() bool { return s == Succeeded || s == Failed || s == Killed }

// Job is one job as the dispatcher shows it. Times that have not come are zero.
type Job struct {
	ID         string            `json:"id"`
	Owner      string            `json:"owner"`
	Submitter  string            `json:"submitter"`
	Kind       string            `json:"kind"`
	Labels     map[string]string `json:"labels,omitzero"`
	State      State             `json:"state"`
	ParkReason string            `json:"park_reason,omitzero"`
	// ShortOf is what a job parked for budget waits for: its own budget (job), the
	// window of its owner or of the fleet, or the thaw after the breaker.
	ShortOf     string          `json:"short_of,omitzero"`
	BlockedBy   string          `json:"blocked_by,omitzero"`
	Questions   json.RawMessage `json:"questions,omitzero"`
	Cause       string          `json:"cause,omitzero"`
	Error       string          `json:"error,omitzero"`
	Worker      string          `json:"worker,omitzero"`
	Attempts    int             `json:"attempts"`
	MaxAttempts int             `json:"max_attempts"`
	Grants      int             `json:"grants"`
	Checkpoint  uint64          `json:"checkpoint"`
	// ResumedFrom is the killed or failed job whose checkpoint ResumedSeq this one
	// began at.
	ResumedFrom string `json:"resumed_from,omitzero"`
	ResumedSeq  uint64 `json:"resumed_from_seq,omitzero"`

	Budget       MicroUSD `json:"budget_micro_usd"`
	Reserved     MicroUSD `json:"reserved_micro_usd"`
	Spent        MicroUSD `json:"spent_micro_usd"`
	SpentAtOrder MicroUSD `json:"spent_at_order_micro_usd,omitzero"`

	Order      string    `json:"order,omitzero"`
	KilledBy   string    `json:"killed_by,omitzero"`
	KillReason string    `json:"kill_reason,omitzero"`
	KilledAt   time.Time `json:"killed_at,omitzero"`
	Verdict    Verdict   `json:"verdict,omitzero"`
	// AllowResume: the order that killed it lets its owner go on from a checkpoint.
	AllowResume bool `json:"allow_resume,omitzero"`

	CreatedAt time.Time `json:"created_at,omitzero"`
	QueuedAt  time.Time `json:"queued_at,omitzero"`
	GrantedAt time.Time `json:"granted_at,omitzero"`
	DueAt     time.Time `json:"due_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`

	// Input is left out of lists.
	Input json.RawMessage `json:"input,omitzero"`
}

// Result is how a job ended.
type Result struct {
	Job     string `json:"job"`
	Outcome State  `json:"outcome"`
	Cause   string `json:"cause,omitzero"`
	Error   string `json:"error,omitzero"`
	// Result is set when it succeeded.
	Result json.RawMessage `json:"result,omitzero"`
	// LateResult came after the job was killed: kept, but not its outcome.
	LateResult json.RawMessage `json:"late_result,omitzero"`
	Spent      MicroUSD        `json:"spent_micro_usd"`
	EndedAt    time.Time       `json:"ended_at,omitzero"`
}

// Submit asks for a job to be run. It is safe to retry, and retries by itself;
// see the package's words on idempotency keys.
func (c *Client) Submit(ctx context.Context, s Submission) (Accepted, error) {
	body := struct {
		Kind        string            `json:"kind"`
		Input       any               `json:"input"`
		Labels      map[string]string `json:"labels,omitempty"`
		Budget      MicroUSD          `json:"budget_micro_usd,omitempty"`
		MaxAttempts int               `json:"max_attempts,omitempty"`
		Timeout     int64             `json:"timeout_seconds,omitempty"`
		Owner       string            `json:"owner,omitempty"`
	}{s.Kind, s.Input, s.Labels, s.Budget, s.MaxAttempts, int64(s.Timeout / time.Second), s.Owner}
	if s.Timeout%time.Second != 0 {
		return Accepted{}, fmt.Errorf("gavel: the timeout %s is not a number of whole seconds", s.Timeout)
	}
	var out Accepted
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/jobs", key: orDrawn(s.IdempotencyKey), body: body}, &out)
	return out, err
}

// orDrawn is the key, or a new one.
func orDrawn(key string) string {
	if key == "" {
		return rand.Text()
	}
	return key
}

// Job reads a job.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	var out Job
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/jobs/" + url.PathEscape(id)}, &out)
	return out, err
}

// Answer answers a job that is parked with questions to its owner: one answer
// for each, in their order, when [Job.Questions] is a list. The job goes back to
// the road; its state after that is returned. [ErrNotWaiting] when it asks
// nothing. The key names this answer; one is drawn when it is empty.
func (c *Client) Answer(ctx context.Context, id string, answers any, key string) (State, error) {
	var out struct {
		State State `json:"state"`
	}
	err := c.do(ctx, request{
		method: http.MethodPost, path: "/v1/jobs/" + url.PathEscape(id) + "/answer", key: orDrawn(key),
		body: map[string]any{"answers": answers},
	}, &out)
	return out.State, err
}

// Result reads how a job ended; [ErrNotOver] while it lives.
func (c *Client) Result(ctx context.Context, id string) (Result, error) {
	var out Result
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/jobs/" + url.PathEscape(id) + "/result"}, &out)
	return out, err
}

// JobQuery says which jobs to list. Zero fields do not filter.
type JobQuery struct {
	// Owner is whose; your own if empty, everybody's for operators and admins.
	Owner string
	// States: any of these. Labels: all of these.
	States []State
	Labels map[string]string
	Kind   string
	// PerPage is how many are fetched at a time, 1 to 200; 0 is 50.
	PerPage int
}

// Jobs lists jobs, newest first, fetching pages as they are needed. It ends
// after the first error.
func (c *Client) Jobs(ctx context.Context, q JobQuery) iter.Seq2[Job, error] {
	v := url.Values{}
	add(v, "owner", q.Owner)
	add(v, "kind", q.Kind)
	for _, s := range q.States {
		v.Add("state", string(s))
	}
	for k, value := range q.Labels {
		v.Add("label", k+"="+value)
	}
	type page struct {
		Jobs []Job  `json:"jobs"`
		Next string `json:"next"`
	}
	return pages(ctx, c, listing{"/v1/jobs", v, q.PerPage}, func(p *page) ([]Job, string) { return p.Jobs, p.Next })
}

func add(v url.Values, name, value string) {
	if value != "" {
		v.Set(name, value)
	}
}

// listing is a list that comes in pages.
type listing struct {
	path    string
	query   url.Values
	perPage int
}

// pages walks a list of P pages of T things.
func pages[P, T any](ctx context.Context, c *Client, l listing, parts func(*P) ([]T, string)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		v := cloned(l.query)
		if l.perPage > 0 {
			v.Set("limit", strconv.Itoa(l.perPage))
		}
		for {
			var page P
			if err := c.do(ctx, request{method: http.MethodGet, path: l.path, query: v}, &page); err != nil {
				var none T
				yield(none, err)
				return
			}
			things, next := parts(&page)
			for _, t := range things {
				if !yield(t, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			v.Set("cursor", next)
		}
	}
}

func cloned(v url.Values) url.Values {
	out := url.Values{}
	for k, vs := range v {
		out[k] = append([]string(nil), vs...)
	}
	return out
}

// Wait follows a job until it is over and returns it as it is then. It is
// bounded by the context alone.
func (c *Client) Wait(ctx context.Context, id string) (Job, error) {
	after := ""
	for try := 1; ; try++ {
		for e, err := range c.Events(ctx, id, after) {
			if err != nil {
				return Job{}, err
			}
			after = e.ID
		}
		j, err := c.Job(ctx, id)
		if err != nil || j.State.Over() {
			return j, err
		}
		if err := c.rest(ctx, try, nil); err != nil {
			return j, err
		}
	}
}
