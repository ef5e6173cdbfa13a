package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Selector says which jobs an order is about. What is set must all hold, and
// something must be.
type Selector struct {
	Owner string `json:"owner,omitempty"`
	// Submitter is who asked for the job: the owner, or a service on their behalf.
	Submitter string `json:"submitter,omitempty"`
	Kind      string `json:"kind,omitempty"`
	// Model is one that the job's input names, or that a paid call of it asked for.
	Model  string            `json:"model,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// MinAge, in seconds, is since the job was accepted.
	MinAge int64 `json:"min_age_seconds,omitempty"`
	// MinSpend is what the job must have spent when the order meets it.
	MinSpend MicroUSD `json:"min_spend_micro_usd,omitempty"`
}

// Count is how many jobs fall under one heading, and what they have spent.
type Count struct {
	Name  string   `json:"name"`
	Jobs  int64    `json:"jobs"`
	Spent MicroUSD `json:"spent_micro_usd"`
	// PerMinute is what the running ones of them have spent in a minute, each on
	// the mean since it was accepted.
	PerMinute MicroUSD `json:"micro_usd_per_minute"`
}

// Preview says what an order of a scope would reach if it were issued now.
type Preview struct {
	Scope Scope `json:"scope"`
	// Jobs live in the scope and are under no order yet.
	Jobs  int64    `json:"jobs"`
	Spent MicroUSD `json:"spent_micro_usd"`
	// PerMinute is what the running ones spend; see [Count].
	PerMinute MicroUSD `json:"micro_usd_per_minute"`
	// Owners is how many there are; ByOwner names the 20 with the most jobs.
	Owners  int     `json:"owners"`
	ByOwner []Count `json:"by_owner"`
	ByKind  []Count `json:"by_kind"`
	ByState []Count `json:"by_state"`
	// CoveredBefore are under an order already.
	CoveredBefore int64 `json:"covered_before"`
	// Partial: the counts are lower bounds.
	Partial bool `json:"partial,omitzero"`
	// Token issues an order of this scope until Expires.
	Token   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
}

// Order says which jobs should die, and why.
type Order struct {
	// Scope is the fleet's, an owner's or a selector's.
	Scope            Scope
	Reason, Incident string
	// Token is that of a [Preview] of the same scope. BreakGlass does without
	// one, and is said loudly in the log and in the audit.
	Token      string
	BreakGlass bool
	// Freeze closes the gate in the same step; nil is the default: true for the
	// fleet, false otherwise. A selector order cannot.
	Freeze *bool
	// AllowResume lets the owners go on from checkpoints of what it kills.
	AllowResume bool
	// Wait is how long to wait for the order to be quiesced, up to 30 s.
	Wait time.Duration
	// IdempotencyKey is drawn when empty.
	IdempotencyKey string
}

type issueBody struct {
	Scope      string    `json:"scope"`
	Owner      string    `json:"owner,omitempty"`
	Selector   *Selector `json:"selector,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Incident   string    `json:"incident,omitempty"`
	Token      string    `json:"token,omitempty"`
	BreakGlass bool      `json:"break_glass,omitempty"`
	Freeze     *bool     `json:"freeze,omitempty"`
	Wait       int64     `json:"wait_seconds,omitempty"`

	AllowResume bool `json:"allow_resume,omitempty"`
}

// Preview counts what an order of a scope would reach, and changes nothing. It
// is for admins.
func (c *Client) Preview(ctx context.Context, s Scope) (Preview, error) {
	var out Preview
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/orders/preview", body: issueBody{Scope: s.Kind, Owner: s.Owner, Selector: s.Selector}}, &out)
	return out, err
}

// Issue orders the death of every job of a scope, on the strength of a preview
// that the same person asked for within the last minute. It is for admins.
func (c *Client) Issue(ctx context.Context, o Order) (Receipt, error) {
	var out Receipt
	err := c.do(ctx, request{
		method: http.MethodPost, path: "/v1/orders", key: orDrawn(o.IdempotencyKey), longer: o.Wait,
		body: issueBody{
			Scope: o.Scope.Kind, Owner: o.Scope.Owner, Selector: o.Scope.Selector, Reason: o.Reason, Incident: o.Incident,
			Token: o.Token, BreakGlass: o.BreakGlass, Freeze: o.Freeze, AllowResume: o.AllowResume, Wait: seconds(o.Wait),
		},
	}, &out)
	return out, err
}

// Follow gives an order's receipt whenever it changed, until [Receipt.Stopped].
// A stream that breaks off is taken up again. It is bounded by the context
// alone.
func (c *Client) Follow(ctx context.Context, order string) iter.Seq2[Receipt, error] {
	return func(yield func(Receipt, error) bool) {
		f := &follower{client: c, path: "/v1/orders/" + url.PathEscape(order) + "/events"}
		f.give = func(_, data string) (bool, error) {
			var r Receipt
			if err := json.Unmarshal([]byte(data), &r); err != nil {
				return false, &garbledError{err}
			}
			return !yield(r, nil) || r.Stopped(), nil
		}
		if err := f.follow(ctx); err != nil {
			yield(Receipt{}, err)
		}
	}
}
