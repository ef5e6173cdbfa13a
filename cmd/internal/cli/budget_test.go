package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
)

func TestABudgetIsSetShownAndTakenAway(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	set := func(args ...string) said { return w.gavel(dev.Admin, append([]string{"budget", "set"}, args...)...) }
	set("--cap", "1", "--reason", "r").fails(codeUsage, "whose budget")
	set("alice", "--fleet", "--cap", "1", "--reason", "r").fails(codeUsage, "whose budget")
	set("alice", "--cap", "-1", "--reason", "r").fails(codeUsage, "--cap")
	w.gavel(dev.Alice, "budget", "set", "alice", "--cap", "9", "--reason", "r").fails(codeRefused, "dev-admin")

	require.Contains(t, w.gavel(dev.Admin, "budget", "list").ok(), "No owner has a budget of their own")
	require.Contains(t, set("alice", "--cap", "0", "--reason", "too dear").ok(), "alice: $0.0000 of $0.0000 until")
	require.Contains(t, set("--fleet", "--cap", "25.50", "--reason", "agreed").ok(), "the fleet: $0.0000 of $25.5000 until")
	s := w.gavel(dev.Alice, "submit", "../../../examples/market-entry.json")
	s.fails(codeRefused, "the window ends at", "gavel budget set")
	var listed struct {
		Fleet  client.Budget
		Owners []client.Budget
	}
	s = w.gavel(dev.Admin, "budget", "list", "--json")
	s.ok()
	s.into(&listed)
	require.Equal(t, client.MicroUSD(25_500_000), *listed.Fleet.InForce.Cap)
	require.Len(t, listed.Owners, 1)
	require.Equal(t, "alice", listed.Owners[0].Owner)
	table := w.gavel(dev.Admin, "budget", "list").ok()
	require.Contains(t, table, "$25.5000")
	require.Contains(t, table, "alice")

	require.Contains(t, set("alice", "--running", "2", "--reason", "fair").ok(), "alice: $0.0000 of $0.0000 until")
	require.Contains(t, set("alice", "--cap", "1.50", "--reason", "more").ok(), "0 of 2 running")
	set("alice", "--reason", "r").fails(codeUsage, "what to set")
	set("--fleet", "--running", "2", "--reason", "r").fails(codeRefused, "slots")

	require.Contains(t, w.gavel(dev.Admin, "budget", "unset", "alice", "--reason", "over").ok(), "no cap")
	w.submit(dev.Alice, "market-entry")
	require.Contains(t, w.gavel(dev.Admin, "audit").ok(), "too dear")
}
