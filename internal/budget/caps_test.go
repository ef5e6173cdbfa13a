package budget

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// permitted is a permit of an admin to set budgets.
func permitted(t *testing.T) access.Permit {
	t.Helper()
	p, err := access.Authorize(access.Actor{Subject: "root", Roles: []access.Role{access.Admin}}, access.SetBudget, access.WholeFleet())
	require.NoError(t, err)
	return p
}

func capOf(m job.MicroUSD) job.Limits { return job.Limits{Cap: &m} }

func TestABudgetHoldsFromTheInstantItIsSet(t *testing.T) {
	b := books(t, 1)
	tick(t, b, noon, Settings{OwnerCap: new(job.MicroUSD(100)), FleetCap: new(job.MicroUSD(500))})
	id, claim := running(t, b, "ann", 1000, `{}`)
	pay(t, b, id, claim, "c1", 60)
	ask := func(call string, most job.MicroUSD) error {
		return b.Reserve(t.Context(), id, claim, job.Call{ID: call, Model: "gpt", Max: most})
	}
	var park *job.Park
	require.ErrorAs(t, ask("c2", 41), &park)
	require.Contains(t, park.Detail, "the owner's budget: $0.0001 spent and $0.0000 reserved of $0.0001")

	got, err := b.SetBudget(t.Context(), permitted(t), "ann", capOf(200), "agreed")
	require.NoError(t, err)
	require.NoError(t, ask("c2", 41))
	window := job.Window{Cap: new(job.MicroUSD(200)), Spent: 60, Length: 24 * time.Hour, Ends: noon.Truncate(24 * time.Hour).Add(24 * time.Hour)}
	require.Equal(t, job.Budget{Owner: "ann", Own: capOf(200), InForce: capOf(200), Window: window}, got)

	_, err = b.SetBudget(t.Context(), permitted(t), "", capOf(101), "too dear")
	require.NoError(t, err)
	require.ErrorAs(t, ask("c3", 1), &park)
	require.Contains(t, park.Detail, "the fleet's budget")

	got, err = b.SetBudget(t.Context(), permitted(t), "ann", job.Limits{}, "over")
	require.NoError(t, err)
	require.Equal(t, job.Limits{}, got.Own)
	require.Equal(t, capOf(100), got.InForce)
	require.Equal(t, job.MicroUSD(41), got.Window.Reserved)
	require.ErrorAs(t, ask("c3", 1), &park)
	require.Contains(t, park.Detail, "the owner's budget")

	_, err = b.SetBudget(t.Context(), access.Permit{}, "ann", capOf(1), "r")
	require.ErrorIs(t, err, ErrNoPermit)
}

func TestBudgetsOfAllPartitionsAreTold(t *testing.T) {
	b := books(t, 3)
	tick(t, b, noon, Settings{FleetCap: new(job.MicroUSD(600))})
	for i, owner := range []string{"ann", "bob", "cid", "dan"} {
		id, claim := running(t, b, owner, 1000, `{}`)
		pay(t, b, id, claim, "c1", 10)
		if i > 0 {
			_, err := b.SetBudget(t.Context(), permitted(t), owner, capOf(job.MicroUSD(100*i)), "r")
			require.NoError(t, err)
		}
	}
	all, err := b.Budgets(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 4)
	require.Empty(t, all[0].Owner)
	require.Equal(t, capOf(600), all[0].InForce)
	require.Equal(t, job.MicroUSD(40), all[0].Window.Spent)
	for i, owner := range []string{"bob", "cid", "dan"} {
		require.Equal(t, owner, all[i+1].Owner)
		require.Equal(t, capOf(job.MicroUSD(100*(i+1))), all[i+1].InForce)
		require.Equal(t, job.MicroUSD(10), all[i+1].Window.Spent)
	}
}

// Shares of the partitions never add up to more than the fleet's cap.
func TestEveryPartitionHasItsShareOfTheFleetsCap(t *testing.T) {
	b := books(t, 3)
	_, err := b.SetBudget(t.Context(), permitted(t), "", capOf(302), "agreed")
	require.NoError(t, err)
	tick(t, b, noon, Settings{})
	spent, seen := job.MicroUSD(0), map[int]bool{}
	for i := 0; len(seen) < 3; i++ {
		owner := string(rune('a' + i))
		p := b.partitions.Of(owner)
		if seen[p] {
			continue
		}
		seen[p] = true
		id, claim := running(t, b, owner, 1000, `{}`)
		var park *job.Park
		require.ErrorAs(t, b.Reserve(t.Context(), id, claim, job.Call{ID: "c0", Model: "gpt", Max: 101}), &park)
		pay(t, b, id, claim, "c1", 100)
		spent += 100
	}
	require.Equal(t, job.MicroUSD(300), spent)
	_, err = b.SetBudget(t.Context(), permitted(t), "", job.Limits{}, "over")
	require.NoError(t, err)
	tick(t, b, noon, Settings{})
	all, err := b.Budgets(t.Context())
	require.NoError(t, err)
	require.Nil(t, all[0].InForce.Cap)
	id, claim := running(t, b, "a", 1000, `{}`)
	require.NoError(t, b.Reserve(t.Context(), id, claim, job.Call{ID: "c0", Model: "gpt", Max: 500}))
}

func TestWhoSetABudgetIsInTheAudit(t *testing.T) {
	b := books(t, 1)
	_, err := b.SetBudget(t.Context(), permitted(t), "ann", capOf(7), "agreed")
	require.NoError(t, err)
	entries, err := b.run.Client.XRange(t.Context(), b.partitions.Slot(0).Of("audit"), "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, entries, 1)
	e := entries[0].Values
	require.Equal(t, []any{"budget-set", "allowed", "ann", "", "cap=7", "agreed"}, []any{e["act"], e["decision"], e["owner"], e["before"], e["limits"], e["reason"]})
	var who struct{ Subject string }
	text, ok := e["who"].(string)
	require.True(t, ok)
	require.NoError(t, json.Unmarshal([]byte(text), &who))
	require.Equal(t, "root", who.Subject)
}
