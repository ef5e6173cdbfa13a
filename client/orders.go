package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Verdict is what became of a job under an order.
type Verdict string

// The verdicts. Waiting and Deaf are open, the others final.
const (
	Stopped     Verdict = "stopped"      // its worker confirmed
	NotRunning  Verdict = "not_running"  // it never started again
	AlreadyOver Verdict = "already_over" // it had ended before
	Fenced      Verdict = "fenced"       // its worker was unreachable, its lease ran out
	Waiting     Verdict = "waiting"      // a worker still holds it
	Deaf        Verdict = "deaf"         // waiting, and the work ignores its cancellation
)

// Stage is how far an order has come.
type Stage string

// The stages. Only Quiesced means stopped.
const (
	Recording  Stage = "recording"
	InForce    Stage = "accepted"
	Replicated Stage = "replicated"
	Quiesced   Stage = "quiesced"
)

// Kill says why a job should die.
type Kill struct {
	// Reason is mandatory.
	Reason, Incident string
	// AllowResume lets the owner go on from a checkpoint of the job, though the
	// kill comes from above.
	AllowResume bool
	// Wait is how long to wait for the job to be over, up to 30 s, in whole
	// seconds; 0 answers as soon as the order is recorded.
	Wait time.Duration
	// IdempotencyKey is drawn when empty.
	IdempotencyKey string
}

// KillAll says which jobs should die, and why.
type KillAll struct {
	// Owner is whose jobs; empty is the whole fleet's.
	Owner            string
	Reason, Incident string
	// Confirm must be the fleet's name.
	Confirm string
	// Freeze closes the gate in the same step; nil is the default: true for the
	// fleet, false for an owner.
	Freeze *bool
	// AllowResume lets the owners go on from checkpoints of what it kills.
	AllowResume bool
	// Wait is how long to wait for the order to be quiesced, up to 30 s.
	Wait time.Duration
	// IdempotencyKey is drawn when empty.
	IdempotencyKey string
}

// Scope is what an order covers.
type Scope struct {
	Kind     string    `json:"kind"` // job, owner, fleet or selector
	Job      string    `json:"job,omitzero"`
	Owner    string    `json:"owner,omitzero"`
	Selector *Selector `json:"selector,omitzero"`
}

// Tally counts an order's verdicts. At every instant Targeted = Stopped +
// NotRunning + AlreadyOver + Fenced + Waiting.
type Tally struct {
	Targeted    int64 `json:"targeted"`
	Stopped     int64 `json:"stopped"`
	NotRunning  int64 `json:"not_running"`
	AlreadyOver int64 `json:"already_over"`
	Fenced      int64 `json:"fenced"`
	Waiting     int64 `json:"waiting"`
	// Deaf is how many of the waiting ignore their cancellation.
	Deaf int64 `json:"deaf"`
	// CoveredBefore were under an earlier order already; outside the sum.
	CoveredBefore int64 `json:"covered_before"`
	// Unbooked are dead, but their record does not say so yet.
	Unbooked int64 `json:"unbooked"`
	// SpentAfter is what was booked on covered jobs after the order.
	SpentAfter MicroUSD `json:"spent_after_micro_usd"`
}

// Timeline is the course of one kill; what has not happened is zero.
type Timeline struct {
	Requested time.Time `json:"requested,omitzero"`
	Recorded  time.Time `json:"recorded,omitzero"`
	Delivered time.Time `json:"delivered,omitzero"`
	Cancelled time.Time `json:"cancelled,omitzero"`
	Returned  time.Time `json:"returned,omitzero"`
}

// Open is a covered job that somebody still holds.
type Open struct {
	Job       string    `json:"job,omitzero"`
	Owner     string    `json:"owner,omitzero"`
	Worker    string    `json:"worker"`
	Verdict   Verdict   `json:"verdict,omitzero"`
	LeaseEnds time.Time `json:"lease_ends,omitzero"`
}

// Scan is how far a selector order's walk over the live jobs has come.
type Scan struct {
	// Looked is how many live jobs it has looked at.
	Looked int64 `json:"looked"`
	// Open are the partitions in which it goes on.
	Open []int `json:"open_partitions,omitzero"`
}

// Receipt says what an order really did, so far.
type Receipt struct {
	Order    string `json:"order"`
	Scope    Scope  `json:"scope"`
	Stage    Stage  `json:"stage"`
	Actor    string `json:"actor"`
	Reason   string `json:"reason"`
	Incident string `json:"incident,omitzero"`
	Freeze   bool   `json:"freeze,omitzero"`
	// AllowResume: the owners may go on from checkpoints of what it killed.
	AllowResume bool `json:"allow_resume,omitzero"`
	// Verdict, State and Timeline are those of a single job.
	Verdict  Verdict  `json:"verdict,omitzero"`
	State    State    `json:"state,omitzero"`
	Timeline Timeline `json:"timeline"`
	Tally    Tally    `json:"tally"`
	// Missing are the partitions that Tally says nothing of: they have not taken the
	// order yet, or could not be read. The stage is Recording then.
	Missing []int `json:"missing_partitions,omitzero"`
	// Unread are those of Missing that could not be read.
	Unread []int `json:"unread_partitions,omitzero"`
	// Scan is how far the walk of a selector order has come; Targeted grows while
	// it goes on.
	Scan *Scan `json:"scan,omitzero"`
	// Open names those still held, at most 100.
	Open []Open `json:"open,omitzero"`
}

// Stopped reports whether nobody holds authority over anything the order covers
// any more.
func (r Receipt) Stopped() bool {
	if r.Scope.Kind == "job" {
		return r.Verdict != "" && r.Verdict != Waiting && r.Verdict != Deaf
	}
	return r.Stage == Quiesced
}

type killBody struct {
	Scope    string `json:"scope,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Reason   string `json:"reason"`
	Incident string `json:"incident,omitempty"`
	Confirm  string `json:"confirm,omitempty"`
	Freeze   *bool  `json:"freeze,omitempty"`
	Wait     int64  `json:"wait_seconds,omitempty"`

	AllowResume bool `json:"allow_resume,omitempty"`
}

// seconds rounds up: a wait is never cut shorter than asked for.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// Kill orders the death of one job. A nil error means that the order is
// recorded and nothing can revive the job; [Receipt.Stopped] says whether its
// worker has let go of it. Killing a job that is over is no error.
func (c *Client) Kill(ctx context.Context, id string, k Kill) (Receipt, error) {
	var out Receipt
	err := c.do(ctx, request{
		method: http.MethodPost, path: "/v1/jobs/" + url.PathEscape(id) + "/kill", key: orDrawn(k.IdempotencyKey), longer: k.Wait,
		body: killBody{Reason: k.Reason, Incident: k.Incident, AllowResume: k.AllowResume, Wait: seconds(k.Wait)},
	}, &out)
	return out, err
}

// KillAll orders the death of every job of the fleet, or of one owner. It is
// for admins.
func (c *Client) KillAll(ctx context.Context, k KillAll) (Receipt, error) {
	body := killBody{
		Scope: "fleet", Owner: k.Owner, Reason: k.Reason, Incident: k.Incident,
		Confirm: k.Confirm, Freeze: k.Freeze, AllowResume: k.AllowResume, Wait: seconds(k.Wait),
	}
	if k.Owner != "" {
		body.Scope = "owner"
	}
	var out Receipt
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/kill-all", key: orDrawn(k.IdempotencyKey), longer: k.Wait, body: body}, &out)
	return out, err
}

// Receipt reads what an order has done so far.
func (c *Client) Receipt(ctx context.Context, order string) (Receipt, error) {
	var out Receipt
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/orders/" + url.PathEscape(order)}, &out)
	return out, err
}

// Orders lists the last orders, newest first; limit is 1 to 200, 0 is 50.
func (c *Client) Orders(ctx context.Context, limit int) (orders []Receipt, missing []int, err error) {
	v := url.Values{}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	var out struct {
		Orders  []Receipt `json:"orders"`
		Missing []int     `json:"missing_partitions"`
	}
	err = c.do(ctx, request{method: http.MethodGet, path: "/v1/orders", query: v}, &out)
	return out.Orders, out.Missing, err
}
