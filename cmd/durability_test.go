package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// A failover that the sentinels are asked for does not wait for the replica that
// they promote. What the old master still accepts is lost: at local, also what was
// answered with success. At replicated nothing that was answered with success is.
func TestAFailoverUnderSentinelLosesNothingThatWasPromised(t *testing.T) {
	needsTopologies(t)
	t.Parallel()
	for _, durability := range []string{"local", "replicated"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			f, s := underSentinel(t)
			require.NoError(t, f.startDispatcher("dispatcher", nothing, "GAVEL_DURABILITY="+durability, "GAVEL_SUBMIT_RATE=0", "GAVEL_READ_RATE=0"))
			got, err := f.as("adam").Fleet(t.Context())
			require.NoError(t, err)
			require.Equal(t, durability, got.Durability)

			a := &acknowledged{}
			stop := a.submitting(t, f, durability)
			require.Eventually(t, func() bool { return a.count() > 200 }, patience, 10*time.Millisecond)
			s.Failover()
			seen := a.count()
			require.Eventually(t, func() bool { return a.count() > seen+200 }, patience, 10*time.Millisecond, "it goes on")
			s.AwaitWhole()
			stop()
			lost := a.missing(t, f)
			t.Logf("durability %s: %d submits acknowledged, %d with an unknown outcome, %d of the acknowledged lost by one failover", durability, a.count(), a.unknown, len(lost))
			if durability == "replicated" {
				assert.Empty(t, lost, "what was said to be on every replica")
			}
		})
	}
}

func underSentinel(t *testing.T) (*fleet, *redistest.Sentinel) {
	t.Helper()
	s := redistest.StartSentinel(t, redistest.HighOptions{Config: configured(t)})
	f := newFleetOn(t, t.TempDir(), 1, onSentinel(s))
	t.Cleanup(f.end)
	return f, s
}

// acknowledged are the jobs that were answered with success.
type acknowledged struct {
	mu      sync.Mutex
	ids     []string
	unknown int
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids)
}

// submitting submits from several clients at once until it is stopped.
func (a *acknowledged) submitting(t *testing.T, f *fleet, durability string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			c := f.as("alice")
			for i := 0; ctx.Err() == nil; i++ {
				a.submit(t, c, fmt.Sprintf("%d-%d", n, i), durability)
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// submit sends one submission until its outcome is known, as a client should.
func (a *acknowledged) submit(t *testing.T, c *client.Client, key, durability string) {
	sub := client.Submission{Kind: "canary", Input: map[string]any{"steps": 1}, IdempotencyKey: key}
	done, err := c.Submit(context.Background(), sub)
	a.mu.Lock()
	defer a.mu.Unlock()
	var p *client.Problem
	switch {
	case err == nil:
		a.ids = append(a.ids, done.ID)
		assert.Equal(t, durability, done.Durability)
	case errors.As(err, &p) && p.Type == "urn:gavel:problem:outcome-unknown":
		a.unknown++
	}
}

// missing are those of them that Redis does not have any more.
func (a *acknowledged) missing(t *testing.T, f *fleet) (lost []string) {
	t.Helper()
	c := f.as("adam")
	for _, id := range a.ids {
		var p *client.Problem
		if _, err := c.Job(t.Context(), id); errors.As(err, &p) && p.Status == 404 {
			lost = append(lost, id)
		} else {
			require.NoError(t, err)
		}
	}
	return lost
}

// A replica that is away keeps the promise from being made, not the job from being
// recorded: the outcome is unknown, and the same key gives the same answer later.
// An order says itself how far it is.
func TestUnderSentinelAnAnswerWaitsForEveryReplica(t *testing.T) {
	needsTopologies(t)
	t.Parallel()
	f, s := underSentinel(t)
	require.NoError(t, f.startDispatcher("dispatcher", nothing, "GAVEL_DURABILITY=replicated", "GAVEL_REPLICAS=2"))
	require.NoError(t, f.startWorker("w1", nothing, "GAVEL_DURABILITY=replicated"))
	alice, adam, ctx := f.as("alice"), f.as("adam"), t.Context()
	long := client.Submission{Kind: "canary", Input: map[string]any{"steps": 1000, "step_ms": 20, "deaf_ms": 3000}, IdempotencyKey: "long"}
	first, err := alice.Submit(ctx, long)
	require.NoError(t, err)
	require.Equal(t, "replicated", first.Durability)
	running := func() bool { j, err := alice.Job(ctx, first.ID); return err == nil && j.State == "running" }
	require.Eventually(t, running, patience, 10*time.Millisecond)
	r, err := alice.Kill(ctx, first.ID, client.Kill{Reason: "to see its stages"})
	require.NoError(t, err)
	require.Equal(t, client.Replicated, r.Stage, "on both replicas, and its job is held still")
	require.Eventually(t, func() bool { r, err := adam.Receipt(ctx, r.Order); return err == nil && r.Stage == client.Quiesced }, patience, 10*time.Millisecond)

	var replica *redistest.Own
	for _, n := range s.Nodes {
		if n != s.Master() {
			replica = n
		}
	}
	replica.Stop()
	sub := client.Submission{Kind: "canary", Input: map[string]any{"steps": 1}, IdempotencyKey: "one"}
	_, err = alice.Submit(ctx, sub)
	require.NoError(t, refusedWith(err, []string{"outcome-unknown"}))
	_, err = adam.Freeze(ctx, "not on every replica", "")
	require.NoError(t, refusedWith(err, []string{"outcome-unknown"}), "nor is a freeze")
	r, err = adam.Receipt(ctx, r.Order)
	require.NoError(t, err)
	require.Equal(t, client.InForce, r.Stage, "while a replica is away nobody says more")
	p, err := f.start("refused", "dispatcher", f.environment("dispatcher", nothing, []string{"GAVEL_DURABILITY=replicated", "GAVEL_REPLICAS=3"}))
	require.NoError(t, err)
	code, err := p.exits()
	require.NoError(t, err)
	require.Equal(t, 1, code)
	require.Regexp(t, `replicated on 3 replicas, and a master has [12] in step`, p.log.text())
	replica.Cont()
	s.AwaitWhole()
	var again client.Accepted
	require.Eventually(t, func() bool { again, err = alice.Submit(ctx, sub); return err == nil }, patience, 20*time.Millisecond)
	require.False(t, again.Created, "it had been recorded")
}
