package control

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// deed is one thing that a client does, as drawn.
type deed struct {
	what, owner, kind string
	n                 int
}

func drawDeeds(t *rapid.T, who string) []deed {
	one := rapid.Custom(func(t *rapid.T) deed {
		return deed{
			what: rapid.SampledFrom([]string{
				"submit", "submit", "submit", "submit", "grant", "grant", "finish", "release", "park", "retry", "resume", "promote",
				"kill selector", "kill owner", "kill fleet", "kill job", "block", "lift", "sweep", "pace",
			}).Draw(t, "what"),
			owner: rapid.SampledFrom(owners(5)).Draw(t, "owner"),
			kind:  rapid.SampledFrom([]string{"talk", "walk"}).Draw(t, "kind"),
			n:     rapid.IntRange(0, 1000).Draw(t, "n"),
		}
	})
	return rapid.SliceOfN(one, 5, 25).Draw(t, who)
}

// history is what all clients together have seen.
type history struct {
	mu     sync.Mutex
	jobs   []job.ID
	orders []job.ID
	blocks []job.ID
	err    error
}

func (h *history) note(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// client does its deeds one after the other; it is also a worker.
type client struct {
	*fleet

	name string
	h    *history
	mine []held
	n    int
}

func (c *client) run(ctx context.Context, deeds []deed) {
	for _, d := range deeds {
		if err := c.do(ctx, d); err != nil {
			c.h.note(func() { c.h.err = fmt.Errorf("%s: %+v: %w", c.name, d, err) })
			return
		}
	}
}

func (c *client) do(ctx context.Context, d deed) error {
	switch d.what {
	case "submit":
		id, _, err := c.submit(ctx, d.owner, d.kind, `{}`)
		if id != "" {
			c.h.note(func() { c.h.jobs = append(c.h.jobs, id) })
		}
		return err
	case "grant":
		c.n++
		got, err := c.grant(ctx, c.ps.Of(d.owner), c.name, fmt.Sprintf("%s-%d", c.name, c.n), 1+d.n%3)
		c.mine = append(c.mine, got...)
		return err
	case "finish", "release", "park", "retry":
		if len(c.mine) == 0 {
			return nil
		}
		i := d.n % len(c.mine)
		_, err := c.end(ctx, d.what, c.name, c.mine[i])
		c.mine = slices.Delete(c.mine, i, i+1)
		return err
	case "resume", "promote":
		return c.move(ctx, d)
	case "block", "lift":
		return c.stand(ctx, d)
	case "sweep":
		return c.sweepAll(ctx)
	case "pace":
		return c.pace(ctx, d.n)
	default:
		return c.order(ctx, d)
	}
}

func (c *client) move(ctx context.Context, d deed) error {
	if d.what == "promote" {
		_, err := c.script(ctx, "promote", rediskit.Place{Slot: c.ps.Slot(c.ps.Of(d.owner))}, rediskit.Args{"now": "10", "limit": 5})
		return err
	}
	id := c.some(d.n)
	if id == "" {
		return nil
	}
	_, err := c.script(ctx, "resume", rediskit.Place{Slot: c.ps.Slot(id.Partition())}, rediskit.Args{"id": string(id), "answers": "", "budget": "", "who": ""})
	return err
}

func (c *client) some(n int) (id job.ID) {
	c.h.note(func() {
		if len(c.h.jobs) > 0 {
			id = c.h.jobs[n%len(c.h.jobs)]
		}
	})
	return id
}

func admin(act access.Act, on access.Target) access.Permit {
	p, _ := access.Authorize(access.Actor{Subject: "root", Roles: []access.Role{access.Admin}}, act, on)
	return p
}

func (c *client) order(ctx context.Context, d deed) error {
	var r job.Receipt
	var err error
	switch d.what {
	case "kill selector":
		s := job.Selector{Kind: d.kind}
		if d.n%2 == 0 {
			s = job.Selector{Kind: d.kind, Owner: d.owner}
		}
		r, err = c.KillAll(ctx, admin(access.KillSelector, access.Selected(s)), asked("r"), "")
	case "kill owner":
		r, err = c.KillAll(ctx, admin(access.KillOwner, access.JobsOf(d.owner)), asked("r"), "")
	case "kill fleet":
		r, err = c.KillAll(ctx, admin(access.KillFleet, access.WholeFleet()), asked("r"), "")
	case "kill job":
		id := c.some(d.n)
		if id == "" {
			return nil
		}
		r, err = c.Kill(ctx, admin(access.Kill, access.OneJob(id)), asked("r"), "")
	}
	if err == nil {
		c.h.note(func() { c.h.orders = append(c.h.orders, r.Order.ID) })
	}
	return err
}

func (c *client) stand(ctx context.Context, d deed) error {
	if d.what == "block" {
		b, err := c.Block(ctx, admin(access.Block, access.WholeFleet()), job.Block{On: job.OnKind, Value: d.kind, Reason: "r"}, "")
		c.h.note(func() { c.h.blocks = append(c.h.blocks, b.ID) })
		return err
	}
	return c.liftAll(ctx, 1)
}

// pace sets a rate, or lifts it, on the gate as it was a moment ago.
func (c *client) pace(ctx context.Context, n int) error {
	g, err := c.State(ctx)
	if err != nil {
		return err
	}
	_, err = c.Thaw(ctx, admin(access.Thaw, access.WholeFleet()), job.Thawing{
		Seen: strings.Join(g.Heads, ","), Reason: "r", Rate: []float64{0, 5, 1000}[n%3],
	}, "")
	var stale *job.StaleGate
	if errors.As(err, &stale) {
		return nil
	}
	return err
}

// liftAll lifts what stands, looking again when the gate had changed.
func (c *client) liftAll(ctx context.Context, tries int) error {
	for range tries {
		all, heads, err := c.Blocks(ctx)
		if err != nil || len(all) == 0 {
			return err
		}
		_, err = c.Lift(ctx, admin(access.Lift, access.WholeFleet()), all[0].ID, strings.Join(heads, ","), "r", "")
		var stale *job.StaleGate
		if err != nil && !errors.As(err, &stale) {
			return err
		}
	}
	return nil
}

func (c *client) sweepAll(ctx context.Context) error {
	for _, p := range c.ps.All() {
		open, err := c.OpenOrders(ctx, p)
		if err != nil {
			return err
		}
		for _, id := range open {
			if _, err := c.Sweep(ctx, p, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Whatever clients do at once, every receipt sums up at every instant; in the
// end each order is quiesced, its counts are those of the records, and the
// events of no job show a start behind its death.
func TestReceiptsSumUpWhateverHappens(t *testing.T) {
	fewer(t)
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d partitions", n), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				f := newFleet(t, n)
				h := &history{}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var clients []*client
				var wg, watch sync.WaitGroup
				for i := range 4 {
					c := &client{fleet: f, name: fmt.Sprintf("w%d", i), h: h}
					deeds := drawDeeds(rt, c.name)
					clients = append(clients, c)
					wg.Go(func() { c.run(ctx, deeds) })
				}
				over := make(chan struct{})
				watch.Go(func() { h.watch(ctx, f, over) })
				wg.Wait()
				close(over)
				watch.Wait()
				require.NoError(rt, h.err)
				settle(rt, ctx, clients)
				h.check(rt, ctx, f)
			})
		})
	}
}

// fewer asks for less than rapid's usual number of checks, each of which is a
// fleet and a hundred deeds; -rapid.checks asks for more.
func fewer(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return
	}
	require.NoError(t, flag.Set("rapid.checks", "15"))
	t.Cleanup(func() { _ = flag.Set("rapid.checks", checks.DefValue) })
}

// watch reads receipts all the time.
func (h *history) watch(ctx context.Context, f *fleet, over <-chan struct{}) {
	for {
		var ids []job.ID
		h.note(func() { ids = slices.Clone(h.orders) })
		for _, id := range ids {
			r, err := f.Receipt(ctx, id)
			if err == nil && !r.Tally.Sums() {
				err = fmt.Errorf("order %s does not sum up: %+v", id, r.Tally)
			}
			if err != nil {
				h.note(func() { h.err = err })
				return
			}
		}
		select {
		case <-over:
			return
		default:
		}
	}
}

// settle ends every claim, lifts every block and books every verdict.
func settle(t *rapid.T, ctx context.Context, clients []*client) { //nolint:revive // rapid's t comes first
	for _, c := range clients {
		for _, h := range c.mine {
			_, err := c.end(ctx, "finish", c.name, h)
			require.NoError(t, err)
		}
	}
	c := clients[0]
	require.NoError(t, c.liftAll(ctx, 200))
	for range 200 {
		open := 0
		for _, p := range c.ps.All() {
			ids, err := c.OpenOrders(ctx, p)
			require.NoError(t, err)
			open += len(ids)
		}
		if open == 0 {
			return
		}
		require.NoError(t, c.sweepAll(ctx))
	}
	require.Fail(t, "orders stay open")
}

func (h *history) check(t *rapid.T, ctx context.Context, f *fleet) { //nolint:revive // rapid's t comes first
	booked := map[job.ID]map[job.Verdict]int64{}
	live := map[job.State]int64{}
	for _, id := range h.jobs {
		j, err := f.jobIn(ctx, id)
		require.NoError(t, err)
		if !j.State.Over() {
			require.Empty(t, j.BlockedBy, "a lifted block keeps a job")
			require.Empty(t, j.Order)
			live[j.State]++
		}
		if j.State == job.Killed {
			if booked[j.Order] == nil {
				booked[j.Order] = map[job.Verdict]int64{}
			}
			booked[j.Order][j.Verdict]++
		}
		h.neverStartsDead(t, ctx, f, id)
	}
	seen := map[job.ID]bool{}
	for _, id := range h.orders {
		if seen[id] {
			continue
		}
		seen[id] = true
		r, err := f.Receipt(ctx, id)
		require.NoError(t, err)
		require.Equal(t, job.Quiesced, r.Stage)
		require.True(t, r.Tally.Sums(), "%+v", r.Tally)
		require.Equal(t, booked[id][job.Stopped], r.Tally.Stopped, "%+v", r)
		require.Equal(t, booked[id][job.NotRunning], r.Tally.NotRunning, "%+v", r)
		require.Zero(t, r.Tally.Unbooked)
	}
	view, err := f.View(ctx)
	require.NoError(t, err)
	for _, s := range job.States() {
		require.Equal(t, live[s], view.Jobs[s], "the counters of %s", s)
	}
}

// neverStartsDead reads a job's own history, not the counters of the code.
func (h *history) neverStartsDead(t *rapid.T, ctx context.Context, f *fleet, id job.ID) { //nolint:revive // rapid's t comes first
	events, err := f.client.XRange(ctx, f.ps.Slot(id.Partition()).Of("events", string(id)), "-", "+").Result()
	require.NoError(t, err)
	dead, ends := false, 0
	for _, e := range events {
		switch e.Values["type"] {
		case "job.killing":
			dead = true
		case "job.killed", "job.succeeded", "job.failed":
			require.False(t, dead && e.Values["type"] != "job.killed", "%s: killed does not win", id)
			dead = true
			ends++
		default:
			require.False(t, dead, "%s: %v behind its death", id, e.Values["type"])
		}
	}
	require.LessOrEqual(t, ends, 1)
}
