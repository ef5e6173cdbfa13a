package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

func TestBudgetsAreSetForAnOwnerOrTheFleet(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	rec := call{method: "PUT", path: "/v1/budgets/owners/team%2Fred@x", body: goodBudget, as: "admin"}.on(d)
	require.Equal(t, 200, rec.Code, rec.Body)
	require.JSONEq(t, `{"owner":"team/red@x","own":{"cap_micro_usd":5000000,"max_running":null},"in_force":{"cap_micro_usd":5000000,"max_running":null},
		"window":{"cap_micro_usd":null,"spent_micro_usd":0,"reserved_micro_usd":0,"length_seconds":0,"ends_at":"0001-01-01T00:00:00Z","seconds_to_cap":null},
		"running":0,"held":0}`, rec.Body.String())
	require.Equal(t, 200, call{method: "DELETE", path: "/v1/budgets/fleet?reason=over", as: "admin"}.on(d).Code)
	require.Len(t, w.limits, 2)
	require.Equal(t, "team/red@x", w.limits[0].owner)
	require.Equal(t, job.Limits{Cap: new(job.MicroUSD(5_000_000))}, w.limits[0].limits)
	require.Equal(t, "agreed", w.limits[0].reason)
	require.True(t, w.limits[0].permit.Allows(access.SetBudget))
	require.Equal(t, limited{w.limits[1].permit, "", job.Limits{}, "over"}, w.limits[1])
	require.Equal(t, 1, w.logs.FilterMessage("budget-set").FilterField(zap.String("reason", "over")).Len())
}

func TestBudgetsThatNobodyCanHaveMeantAreRefused(t *testing.T) {
	put := func(path, body string) call { return call{method: "PUT", path: path, body: body, as: "admin"} }
	const fleet = "/v1/budgets/fleet"
	refuseAll(t, []bad{
		{"no limit", put(fleet, `{"reason":"r"}`), 422, typeInvalid, "are missing"},
		{"running jobs of the fleet", put(fleet, `{"max_running":1,"reason":"r"}`), 422, typeInvalid, "slots"},
		{"running below nothing", put("/v1/budgets/owners/a", `{"max_running":-1,"reason":"r"}`), 422, typeInvalid, "want 0 to 1000000"},
		{"running too much", put("/v1/budgets/owners/a", `{"max_running":1000001,"reason":"r"}`), 422, typeInvalid, "want 0 to 1000000"},
		{"null", put(fleet, `{"cap_micro_usd":null,"reason":"r"}`), 422, typeInvalid, "is null"},
		{"below nothing", put(fleet, `{"cap_micro_usd":-1,"reason":"r"}`), 422, typeInvalid, "want 0 to"},
		{"too much", put(fleet, `{"cap_micro_usd":1000000000000001,"reason":"r"}`), 422, typeInvalid, "want 0 to"},
		{"no reason", put(fleet, `{"cap_micro_usd":1}`), 422, typeInvalid, "reason"},
		{"an owner who cannot be", put("/v1/budgets/owners/a%20b", goodBudget), 422, typeInvalid, "owner"},
		{"the fleet's field", put("/v1/budgets/owners/*", goodBudget), 422, typeInvalid, "owner"},
		{"no body", call{method: "PUT", path: fleet, as: "admin"}, 400, typeMalformed, "empty"},
		{"unset without a reason", call{method: "DELETE", path: fleet, as: "admin"}, 422, typeInvalid, ""},
		{"unset with a body", call{method: "DELETE", path: fleet + "?reason=r", body: "{}", as: "admin"}, 400, typeMalformed, "body"},
		{"post", call{method: "POST", path: fleet, body: goodBudget, as: "admin"}, 405, typeMethod, "GET and PUT and DELETE"},
	})
}

// 402 says how far the window is used up, and until when.
func TestASubmitBeyondTheCapIsToldWhenToComeAgain(t *testing.T) {
	w := newWorld()
	w.submitErr = &job.CapReached{Of: "owner", Cap: 100, Spent: 60, Reserved: 40, Ends: noon}
	base, _ := serve(t, open(t, w))
	c, err := client.New(base, client.WithKey("owner"), client.WithRetries(1, 0))
	require.NoError(t, err)
	_, err = c.Submit(t.Context(), client.Submission{Kind: "deliberation", Input: map[string]any{"problem": "x"}})
	require.ErrorIs(t, err, client.ErrCapReached)
	var p *client.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, 402, p.Status)
	require.Equal(t, &client.Reached{Of: "owner", Cap: 100, Spent: 60, Reserved: 40, EndsAt: noon}, p.Window)
	require.Contains(t, p.Detail, "$0.0001")
	require.Contains(t, p.Detail, noon.Format(time.RFC3339))
}

func TestTheClientSetsAndReadsBudgets(t *testing.T) {
	w := newWorld()
	base, _ := serve(t, open(t, w))
	c, err := client.New(base, client.WithKey("admin"), client.WithRetries(1, 0))
	require.NoError(t, err)
	ctx := t.Context()
	b, err := c.SetBudget(ctx, "team/red", client.Limits{Cap: new(client.MicroUSD(7)), Running: new(3)}, "agreed")
	require.NoError(t, err)
	require.Equal(t, 3, *w.limits[0].limits.Running)
	require.Equal(t, 3, *b.Own.Running)
	require.Equal(t, "team/red", b.Owner)
	require.Equal(t, client.MicroUSD(7), *b.InForce.Cap)
	_, err = c.UnsetBudget(ctx, "", "it is over & done")
	require.NoError(t, err)
	require.Equal(t, "it is over & done", w.limits[1].reason)
	b, err = c.Budget(ctx, "team/red")
	require.NoError(t, err)
	require.Equal(t, client.MicroUSD(6), b.Window.Reserved)
	fleet, owners, err := c.Budgets(ctx)
	require.NoError(t, err)
	require.Equal(t, client.MicroUSD(9000), *fleet.InForce.Cap)
	require.Len(t, owners, 1)
	require.Equal(t, "acme", owners[0].Owner)
}
