package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Resume brings a parked job back, with a raised budget for all of it, or 0 to
// keep the one it has, and returns where it is then. [ErrNotParked] and
// [ErrBudgetUsedUp] say why not.
func (c *Client) Resume(ctx context.Context, id string, budget MicroUSD) (State, error) {
	var out struct {
		State State `json:"state"`
	}
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/jobs/" + url.PathEscape(id) + "/resume", key: orDrawn(""), body: struct {
		Budget MicroUSD `json:"budget_micro_usd,omitempty"`
	}{budget}}, &out)
	return out.State, err
}

// Spend is what is being spent, and by whom. All amounts are micro-USD.
type Spend struct {
	At  time.Time `json:"at"`
	Now struct {
		PerMinute MicroUSD `json:"micro_usd_per_minute"`
		Baseline  MicroUSD `json:"baseline_micro_usd_per_minute"`
		LastFive  MicroUSD `json:"last_5m_micro_usd"`
		Today     MicroUSD `json:"today_micro_usd"`
		Reserved  MicroUSD `json:"reserved_micro_usd"`
		// Estimated is what no provider has confirmed.
		Estimated MicroUSD `json:"estimated_micro_usd"`
	} `json:"now"`
	Window  Window        `json:"window"`
	Breaker Breaker       `json:"breaker"`
	Minutes []SpentMinute `json:"minutes"` // the last 60, oldest first
	By      string        `json:"by"`
	Top     []Spender     `json:"top"` // the dearest first
}

// Window is how far a cap is used up.
type Window struct {
	Cap   *MicroUSD `json:"cap_micro_usd"` // nil is none
	Spent MicroUSD  `json:"spent_micro_usd"`
	// Reserved is set aside for calls in flight.
	Reserved MicroUSD  `json:"reserved_micro_usd"`
	Length   float64   `json:"length_seconds"`
	EndsAt   time.Time `json:"ends_at"`
	// ToCap is for how many seconds the cap lasts at the burn of now.
	ToCap *float64 `json:"seconds_to_cap"`
}

// Breaker is what stops the fleet when it burns too fast.
type Breaker struct {
	Mode  string    `json:"mode"` // off, alert, freeze, park or kill
	Limit *MicroUSD `json:"limit_micro_usd_per_minute"`
	// Burn is what counts against it: booked in the last 60 s, and reserved for
	// calls in flight.
	Burn      MicroUSD   `json:"burn_micro_usd_per_minute"`
	Tripped   bool       `json:"tripped"`
	TrippedAt *time.Time `json:"tripped_at"`
	Reason    string     `json:"reason,omitzero"`
}

// SpentMinute is what was spent in one minute.
type SpentMinute struct {
	At    time.Time `json:"at"`
	Spent MicroUSD  `json:"micro_usd"`
}

// Spender is one name of a dimension.
type Spender struct {
	Name      string   `json:"name"`
	PerMinute MicroUSD `json:"micro_usd_per_minute"`
	LastFive  MicroUSD `json:"last_5m_micro_usd"`
	Today     MicroUSD `json:"today_micro_usd"`
	Running   int      `json:"running"`
}

// Spend tells what is being spent, by owner, submitter, kind, model, worker,
// version or label:KEY.
// Operators and admins see everybody's; an owner sees their own, by owner.
func (c *Client) Spend(ctx context.Context, by string) (Spend, error) {
	v := url.Values{}
	add(v, "by", by)
	var out Spend
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/spend", query: v}, &out)
	return out, err
}
