package client

import (
	"context"
	"net/http"
	"net/url"
)

// Limits are what an owner, or the fleet, may have. nil is the default, or none.
type Limits struct {
	// Cap is the most that may be spent in a window; 0 permits nothing.
	Cap *MicroUSD `json:"cap_micro_usd,omitempty"`
	// Running is how many of an owner's jobs may run at once; the fleet has none.
	Running *int `json:"max_running,omitempty"`
}

// Budget is the limits of an owner, or of the fleet when Owner is empty.
type Budget struct {
	Owner string `json:"owner,omitzero"`
	// Own are those set for them, InForce what holds, defaults included.
	Own     Limits `json:"own"`
	InForce Limits `json:"in_force"`
	Window  Window `json:"window"`
	// Running is how many of their jobs hold a lease.
	Running int `json:"running"`
	// Held is how many wait behind the limit of those that may run.
	Held int `json:"held"`
}

func budgetPath(owner string) string {
	if owner == "" {
		return "/v1/budgets/fleet"
	}
	return "/v1/budgets/owners/" + url.PathEscape(owner)
}

// Budgets lists the fleet's budget, and those of the owners who have limits of
// their own, by name. It is for operators and admins.
func (c *Client) Budgets(ctx context.Context) (fleet Budget, owners []Budget, err error) {
	var out struct {
		Fleet  Budget   `json:"fleet"`
		Owners []Budget `json:"owners"`
	}
	err = c.do(ctx, request{method: http.MethodGet, path: "/v1/budgets"}, &out)
	return out.Fleet, out.Owners, err
}

// Budget tells the budget of an owner, or of the fleet for an empty one.
func (c *Client) Budget(ctx context.Context, owner string) (Budget, error) {
	var out Budget
	err := c.do(ctx, request{method: http.MethodGet, path: budgetPath(owner)}, &out)
	return out, err
}

// SetBudget sets the limits of an owner, or of the fleet for an empty one, and
// tells what holds then. It is for admins, and in the audit with the reason.
func (c *Client) SetBudget(ctx context.Context, owner string, l Limits, reason string) (Budget, error) {
	var out Budget
	err := c.do(ctx, request{method: http.MethodPut, path: budgetPath(owner), body: struct {
		Limits

		Reason string `json:"reason"`
	}{l, reason}}, &out)
	return out, err
}

// UnsetBudget gives an owner, or the fleet, the default again. It is for admins.
func (c *Client) UnsetBudget(ctx context.Context, owner, reason string) (Budget, error) {
	var out Budget
	err := c.do(ctx, request{method: http.MethodDelete, path: budgetPath(owner), query: url.Values{"reason": {reason}}}, &out)
	return out, err
}
