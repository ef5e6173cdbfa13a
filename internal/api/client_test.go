package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/job"
)

// The public client and the door speak the same language, word for word.
func TestTheClientAndTheDoorUnderstandEachOther(t *testing.T) {
	w := newWorld()
	base, _ := serve(t, open(t, w))
	as := func(who string) *client.Client {
		c, err := client.New(base, client.WithKey(who), client.WithRetries(1, 0))
		require.NoError(t, err)
		return c
	}
	owner, admin, ctx := as("owner"), as("admin"), t.Context()

	done, err := owner.Submit(ctx, client.Submission{
		Kind: "deliberation", Input: map[string]any{"problem": "x"}, Labels: map[string]string{"a": "b"},
		Budget: client.USD, MaxAttempts: 2, Timeout: time.Minute, IdempotencyKey: "k",
	})
	require.NoError(t, err)
	require.True(t, done.Created)
	_, err = owner.Submit(ctx, client.Submission{Kind: "deliberation", Input: map[string]any{"problem": "y"}, IdempotencyKey: "k"})
	require.ErrorIs(t, err, client.ErrConflict)
	_, err = owner.Submit(ctx, client.Submission{Kind: "nothing", Input: map[string]any{}})
	require.ErrorIs(t, err, client.ErrUnknownKind)

	j, err := owner.Job(ctx, string(aliceJob))
	require.NoError(t, err)
	require.Equal(t, client.Running, j.State)
	require.Equal(t, noon, j.CreatedAt)
	_, err = owner.Result(ctx, string(aliceJob))
	require.ErrorIs(t, err, client.ErrNotOver)
	result, err := owner.Result(ctx, string(overJob))
	require.NoError(t, err)
	require.JSONEq(t, `{"synthesis":"y"}`, string(result.Result))
	listed := 0
	for _, err := range owner.Jobs(ctx, client.JobQuery{States: []client.State{client.Running}, Labels: map[string]string{"a": "b"}}) {
		require.NoError(t, err)
		listed++
	}
	require.Equal(t, 2, listed)

	w.happen(event("1-0", "round.started"), event("2-0", "job.killed"))
	var last client.Event
	for e, err := range owner.Events(ctx, string(aliceJob), "") {
		require.NoError(t, err)
		last = e
	}
	require.Equal(t, "2-0", last.ID)
	require.True(t, last.Last())
	require.JSONEq(t, `{"n":1}`, string(last.Data))

	r, err := owner.Kill(ctx, string(aliceJob), client.Kill{Reason: "r", Incident: "i", Wait: time.Second})
	require.NoError(t, err)
	require.Equal(t, client.Stopped, r.Verdict)
	require.True(t, r.Stopped())
	_, err = as("stranger").Kill(ctx, string(aliceJob), client.Kill{Reason: "r"})
	require.ErrorIs(t, err, client.ErrNotFound)
	_, err = as("wrong").Job(ctx, string(aliceJob))
	require.ErrorIs(t, err, client.ErrUnauthenticated)

	_, err = owner.KillAll(ctx, client.KillAll{Reason: "r", Confirm: "prod"})
	require.ErrorIs(t, err, client.ErrForbidden)
	_, err = admin.KillAll(ctx, client.KillAll{Reason: "r", Confirm: "dev"})
	require.ErrorIs(t, err, client.ErrConfirm)
	r, err = admin.KillAll(ctx, client.KillAll{Reason: "r", Confirm: "prod"})
	require.NoError(t, err)
	require.Equal(t, int64(7), r.Tally.Targeted)
	require.True(t, r.Freeze)
	orders, _, err := admin.Orders(ctx, 2)
	require.NoError(t, err)
	require.Len(t, orders, 2)
	r, err = owner.Receipt(ctx, string(anOrder))
	require.NoError(t, err)
	require.Equal(t, string(aliceJob), r.Scope.Job)

	fleet, err := admin.Fleet(ctx)
	require.NoError(t, err)
	require.Equal(t, map[client.State]int64{client.Running: 1}, fleet.Jobs)
	require.Equal(t, client.Fleet{
		Breaker: client.Breaker{Mode: "park", Limit: new(client.MicroUSD(500)), Burn: 9},
		Name:    "prod", Partitions: 1, Durability: "local", Gate: fleet.Gate, Workers: fleet.Workers, Jobs: fleet.Jobs, OpenOrders: []string{},
		At: time.Unix(1_764_000_000, 0).UTC(), NoProgress: 3, QueuedOldest: 240, Reclaimed: 2, ControlLag: 0.08, Redis: 0.0006,
	}, fleet)
	require.Equal(t, []client.Worker{{ID: "w1", NoProgress: 3, NoProgressJobs: []string{string(aliceJob)}, TrustLeft: 7, LeaseLeft: 12}}, fleet.Workers)
	gate, err := admin.Freeze(ctx, "cost", "inc-1")
	require.NoError(t, err)
	require.True(t, gate.Frozen)
	_, err = admin.Thaw(ctx, gate.Head, "over")
	require.NoError(t, err)
	w.set(func() { w.thawErr = &job.StaleGate{Now: "9.z"} })
	_, err = admin.Thaw(ctx, gate.Head, "over")
	require.ErrorIs(t, err, client.ErrGateChanged)
	for e, err := range admin.Audit(ctx, client.AuditQuery{Job: string(aliceJob), Act: "kill", Actor: "kim", Since: noon.Add(-time.Hour), Until: noon}) {
		require.NoError(t, err)
		require.JSONEq(t, `{"subject":"x"}`, string(e.Who))
	}
	w.set(func() { w.submitErr = &job.Frozen{Reason: "cost", Incident: "inc-1"} })
	_, err = owner.Submit(ctx, client.Submission{Kind: "deliberation", Input: map[string]any{"problem": "x"}})
	require.ErrorIs(t, err, client.ErrFleetFrozen)
}
