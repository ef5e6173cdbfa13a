package control

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

func TestASelectorOrderEndsWhatItAsksForAndNothingElse(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		var talk, walk []job.ID
		for _, o := range owners(8) {
			talk = append(talk, f.mustSubmit(t, o, "talk", `{"team":"red"}`))
			walk = append(walk, f.mustSubmit(t, o, "walk", `{"team":"red"}`))
		}
		running := f.mustGrant(t, "n1")
		require.Len(t, running, 16)
		for _, o := range owners(8) {
			talk = append(talk, f.mustSubmit(t, o, "talk", `{}`))
		}
		r := f.kill(t, job.Selector{Kind: "talk"}, "k1")
		require.Equal(t, job.Accepted, r.Stage)
		require.Empty(t, r.Scan.Open)
		require.Equal(t, int64(24), r.Scan.Looked)
		require.Equal(t, job.Tally{Targeted: 16, NotRunning: 8, Waiting: 8}, r.Tally)
		require.Len(t, r.Open, 8)
		require.Equal(t, job.Selector{Kind: "talk"}, *r.Order.Scope.Selector)
		for _, h := range running {
			word, err := f.end(t.Context(), "finish", "w1", h)
			require.NoError(t, err)
			require.Equal(t, f.record(t, h.id).Kind == "talk", word == "killed")
		}
		for _, id := range talk {
			require.Equal(t, job.Killed, f.record(t, id).State)
			require.Equal(t, r.Order.ID, f.record(t, id).Order)
		}
		for _, id := range walk {
			require.Equal(t, job.Succeeded, f.record(t, id).State)
		}
		r = f.receipt(t, r.Order.ID)
		require.Equal(t, job.Quiesced, r.Stage)
		require.Equal(t, job.Tally{Targeted: 16, NotRunning: 8, Stopped: 8}, r.Tally)

		late := f.mustSubmit(t, "owner-0", "talk", `{}`)
		again := f.kill(t, job.Selector{Kind: "talk"}, "k1")
		require.Equal(t, r.Order.ID, again.Order.ID, "the same key is the same order")
		require.Equal(t, job.Queued, f.record(t, late).State, "and reaches no further than at its instant")
		require.NotEqual(t, r.Order.ID, f.kill(t, job.Selector{Kind: "talk", MinSpend: 5}, "k1").Order.ID)
	})
}

// Each criterion alone, and all of them together.
func TestEveryCriterionCounts(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		all := job.Selector{Owner: "ann", Submitter: "svc", Kind: "talk", Model: "gpt-5", Labels: map[string]string{"team": "red"}, MinAge: time.Hour, MinSpend: 40}
		meant := f.mustSubmit(t, "ann", "talk", `{"team":"red","tier":"1"}`)
		held := f.mustGrant(t, "n1")
		require.Len(t, held, 1)
		reply, err := f.script(t.Context(), "reserve", rediskit.Place{Slot: f.ps.Slot(meant.Partition()), Job: string(meant)}, rediskit.Args{
			"id": string(meant), "worker": "w1", "epoch": held[0].epoch, "call": "c1", "model": "gpt-5", "max": 1,
		})
		require.NoError(t, err)
		require.Equal(t, "reserved", reply.Word)
		set := func(field string, value any) {
			require.NoError(t, f.client.HSet(t.Context(), f.ps.Slot(meant.Partition()).Of("job", string(meant)), field, value).Err())
		}
		set("spent", 40)
		set("submitter", "svc")
		set("created_at", rediskit.Micros(time.Now().Add(-2*time.Hour)))
		counts := func(s job.Selector) int64 {
			p, err := f.Preview(t.Context(), permit(t, access.KillSelector, access.Selected(s)))
			require.NoError(t, err)
			return p.Jobs
		}
		require.Equal(t, int64(1), counts(all))
		for name, change := range map[string]func(s *job.Selector){
			"owner":     func(s *job.Selector) { s.Owner = "bob" },
			"submitter": func(s *job.Selector) { s.Submitter = "ann" },
			"kind":      func(s *job.Selector) { s.Kind = "walk" },
			"model":     func(s *job.Selector) { s.Model = "gpt" },
			"label":     func(s *job.Selector) { s.Labels = map[string]string{"team": "red", "tier": "2"} },
			"age":       func(s *job.Selector) { s.MinAge = 3 * time.Hour },
			"spend":     func(s *job.Selector) { s.MinSpend = 41 },
		} {
			s := all
			change(&s)
			require.Zero(t, counts(s), name)
			require.NotEqual(t, all.String(), s.String(), name)
		}
		for name, s := range map[string]job.Selector{
			"owner": {Owner: all.Owner}, "submitter": {Submitter: all.Submitter}, "kind": {Kind: all.Kind}, "model": {Model: all.Model}, "label": {Labels: all.Labels},
			"age": {MinAge: all.MinAge}, "spend": {MinSpend: all.MinSpend},
		} {
			require.Equal(t, int64(1), counts(s), name)
		}
		r := f.kill(t, all, "")
		require.Equal(t, job.Tally{Targeted: 1, Waiting: 1}, r.Tally)
		require.Equal(t, all, *r.Order.Scope.Selector, "the receipt says what was asked for")
	})
}

// The age is a moment, the same in every partition and for a retry that comes
// later.
func TestAMinimumAgeIsAMoment(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		young := f.mustSubmit(t, "ann", "talk", `{}`)
		r := f.kill(t, job.Selector{MinAge: time.Hour}, "k1")
		require.Equal(t, job.Tally{}, r.Tally)
		require.Equal(t, job.Queued, f.record(t, young).State)
		o := asked("old")
		o.RequestedAt = time.Now().Add(2 * time.Hour) // a dispatcher much later, or whose clock is ahead
		r, err := f.KillAll(t.Context(), permit(t, access.KillSelector, access.Selected(job.Selector{MinAge: time.Hour})), o, "k1")
		require.NoError(t, err)
		require.Equal(t, job.Tally{}, r.Tally, "a retry keeps the first moment")
		r, err = f.KillAll(t.Context(), permit(t, access.KillSelector, access.Selected(job.Selector{MinAge: time.Hour})), o, "k2")
		require.NoError(t, err)
		require.Equal(t, job.Tally{Targeted: 1, NotRunning: 1}, r.Tally)
	})
}

// The partitions that hear of an order from a later dispatcher get the moment of
// its home.
func TestAMomentIsThatOfTheHomePartition(t *testing.T) {
	f := newFleet(t, 4)
	var ids []job.ID
	for _, o := range owners(12) {
		ids = append(ids, f.mustSubmit(t, o, "talk", `{}`))
	}
	p := permit(t, access.KillSelector, access.Selected(job.Selector{MinAge: time.Hour}))
	id, err := f.orderID(0, p, "k")
	require.NoError(t, err)
	wanted, err := criteriaOf(p.Scope().Selector, time.Now())
	require.NoError(t, err)
	o := asked("old")
	o.ID, o.Scope = id, p.Scope()
	_, err = f.selectIn(t.Context(), 0, o, wanted, p.Who())
	require.NoError(t, err)
	o.RequestedAt = time.Now().Add(2 * time.Hour)
	r, err := f.KillAll(t.Context(), p, o, "k")
	require.NoError(t, err)
	require.Equal(t, job.Tally{}, r.Tally)
	for _, id := range ids {
		require.Equal(t, job.Queued, f.record(t, id).State)
	}
}

// A dispatcher that dies behind its first write leaves the rest to any other.
func TestAnyDispatcherGoesOnWithASelectorOrder(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		for range 130 { // more than a chunk in some partition
			for _, o := range owners(4) {
				f.mustSubmit(t, o, "talk", `{}`)
			}
		}
		id, err := f.ps.NewID(0)
		require.NoError(t, err)
		o := asked("loud")
		o.ID, o.Scope = id, access.Selected(job.Selector{Kind: "talk"}).Scope
		wanted, err := criteriaOf(o.Scope.Selector, time.Now())
		require.NoError(t, err)
		_, err = f.selectIn(t.Context(), 0, o, wanted, []byte(`{}`))
		require.NoError(t, err)
		word, err := f.Sweep(t.Context(), 0, id)
		require.NoError(t, err)
		r := f.receipt(t, id)
		require.NotEqual(t, job.Quiesced, r.Stage, "waiting is 0, but the walk is not over (%s): %+v", word, r)
		require.Len(t, r.Missing, f.ps.Count-1)

		f.clerk(t)
		require.Eventually(t, func() bool { return f.receipt(t, id).Stage == job.Quiesced }, 10*time.Second, 5*time.Millisecond)
		require.Equal(t, job.Tally{Targeted: 520, NotRunning: 520}, f.receipt(t, id).Tally)
		for _, p := range f.ps.All() {
			require.Eventually(t, func() bool {
				open, err := f.OpenOrders(t.Context(), p)
				return err == nil && len(open) == 0
			}, 5*time.Second, 5*time.Millisecond)
		}
	})
}

// The first order over a job wins: single, horizon or selector.
func TestTheFirstOrderWins(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		ctx := t.Context()
		single, byOwner, bySelector, byFleet := f.mustSubmit(t, "ann", "talk", `{}`), f.mustSubmit(t, "bob", "talk", `{}`),
			f.mustSubmit(t, "cid", "talk", `{}`), f.mustSubmit(t, "cid", "walk", `{}`)
		require.Len(t, f.mustGrant(t, "n1"), 4)
		first, err := f.Kill(ctx, permit(t, access.Kill, access.OneJob(single)), asked("one"), "")
		require.NoError(t, err)
		second, err := f.KillAll(ctx, permit(t, access.KillOwner, access.JobsOf("bob")), asked("owner"), "")
		require.NoError(t, err)
		third := f.kill(t, job.Selector{Kind: "talk"}, "")
		require.Equal(t, job.Tally{Targeted: 1, Waiting: 1, CoveredBefore: 2}, third.Tally)
		fourth, err := f.KillAll(ctx, permit(t, access.KillFleet, access.WholeFleet()), asked("all"), "")
		require.NoError(t, err)
		require.Equal(t, job.Tally{Targeted: 1, Waiting: 1, CoveredBefore: 3}, fourth.Tally)
		fifth := f.kill(t, job.Selector{Kind: "talk"}, "")
		require.Equal(t, job.Tally{CoveredBefore: 3}, fifth.Tally)
		covered, err := f.Kill(ctx, permit(t, access.Kill, access.OneJob(bySelector)), asked("late"), "")
		require.NoError(t, err)
		require.Equal(t, third.Order.ID, covered.Order.ID)
		want := map[job.ID]job.ID{single: first.Order.ID, byOwner: second.Order.ID, bySelector: third.Order.ID, byFleet: fourth.Order.ID}
		for id, order := range want {
			word, err := f.end(ctx, "finish", "w1", held{id, f.record(t, id).Claim.Epoch})
			require.NoError(t, err)
			require.Equal(t, "killed", word)
			require.Equal(t, order, f.record(t, id).Order)
			require.Equal(t, job.Tally{Targeted: 1, Stopped: 1, CoveredBefore: f.receipt(t, order).Tally.CoveredBefore}, f.receipt(t, order).Tally)
		}
	})
}

// Behind a horizon a job that nobody holds is dead before its record says so:
// whoever kills it then is told that, and does not wait.
func TestAJobBehindAHorizonIsNotWaitedFor(t *testing.T) {
	f := newFleet(t, 1)
	queued := f.mustSubmit(t, "bob", "talk", `{}`)
	order, err := f.KillAll(t.Context(), permit(t, access.KillOwner, access.JobsOf("bob")), asked("owner"), "")
	require.NoError(t, err)
	covered, err := f.Kill(t.Context(), permit(t, access.Kill, access.OneJob(queued)), asked("late"), "")
	require.NoError(t, err)
	require.Equal(t, order.Order.ID, covered.Order.ID)
	require.Equal(t, job.Queued, f.record(t, queued).State, "the sweep has not come by")
	require.Equal(t, job.Killed, covered.Job.Visible(), "and it is dead all the same")
	require.Equal(t, order.Order.ID, covered.Job.Order)
	require.Equal(t, job.NotRunning, covered.Verdict)
	require.Equal(t, job.Quiesced, covered.Stage)
}

// An order that one partition did not take stays open at home until it did.
func TestAHalfRecordedOrderIsCompletedLater(t *testing.T) {
	for name, p := range map[string]access.Permit{
		"fleet":    permit(t, access.KillFleet, access.WholeFleet()),
		"selector": permit(t, access.KillSelector, access.Selected(job.Selector{Kind: "talk"})),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 4)
			var ids []job.ID
			for _, o := range owners(12) {
				ids = append(ids, f.mustSubmit(t, o, "talk", `{}`))
			}
			id, err := f.orderID(0, p, "k")
			require.NoError(t, err)
			broken := f.ps.Slot(2).Of("order", string(id))
			require.NoError(t, f.client.Set(t.Context(), broken, "no hash", 0).Err())
			r, err := f.KillAll(t.Context(), p, asked("all"), "k")
			require.NoError(t, err)
			require.Equal(t, job.Recording, r.Stage)
			require.Equal(t, []int{2}, r.Missing)
			f.clerk(t)
			require.Never(t, func() bool {
				open, err := f.OpenOrders(t.Context(), r.Order.ID.Partition())
				return err != nil || len(open) != 1
			}, 100*time.Millisecond, 5*time.Millisecond, "its home lets go of it too early")
			require.NoError(t, f.client.Del(t.Context(), broken).Err())
			require.Eventually(t, func() bool { return f.receipt(t, r.Order.ID).Stage == job.Quiesced }, 10*time.Second, 5*time.Millisecond)
			require.Equal(t, int64(12), f.receipt(t, r.Order.ID).Tally.NotRunning)
			require.Eventually(t, func() bool {
				for _, id := range ids {
					if f.record(t, id).State != job.Killed {
						return false
					}
				}
				return true
			}, 5*time.Second, 5*time.Millisecond)
		})
	}
}

func TestAPreviewCountsWhatAnOrderWouldReach(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		for i, o := range owners(25) {
			for range i + 1 {
				f.mustSubmit(t, o, "talk", `{"team":"red"}`)
			}
			f.mustSubmit(t, o, "walk", `{}`)
		}
		p, err := f.Preview(t.Context(), permit(t, access.KillSelector, access.Selected(job.Selector{Kind: "talk", Labels: map[string]string{"team": "red"}})))
		require.NoError(t, err)
		require.Equal(t, int64(325), p.Jobs)
		require.Equal(t, 25, p.Owners)
		require.Len(t, p.ByOwner, job.TopOwners)
		require.Equal(t, job.Count{Name: "owner-24", Jobs: 25}, p.ByOwner[0])
		require.Equal(t, []job.Count{{Name: "talk", Jobs: 325}}, p.ByKind)
		require.Equal(t, []job.Count{{Name: "queued", Jobs: 325}}, p.ByState)
		require.False(t, p.Partial)

		f.kill(t, job.Selector{Kind: "walk"}, "")
		held, err := f.grant(t.Context(), f.ps.Of("owner-24"), "w1", "n1", 400)
		require.NoError(t, err)
		require.NotEmpty(t, held)
		require.NoError(t, f.client.HSet(t.Context(), f.ps.Slot(held[0].id.Partition()).Of("job", string(held[0].id)), "spent", 40).Err())
		one, err := f.Kill(t.Context(), permit(t, access.Kill, access.OneJob(held[0].id)), asked("one"), "")
		require.NoError(t, err)
		require.Equal(t, job.Waiting, one.Verdict)
		p, err = f.Preview(t.Context(), permit(t, access.KillFleet, access.WholeFleet()))
		require.NoError(t, err)
		require.Equal(t, int64(324), p.Jobs)
		require.Equal(t, int64(1), p.CoveredBefore)
		require.Zero(t, p.Spent)
		p, err = f.Preview(t.Context(), permit(t, access.KillOwner, access.JobsOf("owner-24")))
		require.NoError(t, err)
		require.Equal(t, 1, p.Owners)

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		p, err = f.Preview(gone, permit(t, access.KillFleet, access.WholeFleet()))
		require.NoError(t, err)
		require.True(t, p.Partial, "what was not looked at is said")
	})
}

func TestNothingIsOrderedWithoutAPermit(t *testing.T) {
	f := newFleet(t, 1)
	_, err := f.KillAll(t.Context(), access.Permit{}, asked("r"), "")
	require.ErrorIs(t, err, ErrNoPermit)
	_, err = f.Preview(t.Context(), permit(t, access.Kill, access.OneJob("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00")))
	require.ErrorIs(t, err, ErrNoPermit)
	_, err = f.Block(t.Context(), permit(t, access.Lift, access.WholeFleet()), job.Block{On: job.OnKind, Value: "x"}, "")
	require.ErrorIs(t, err, ErrNoPermit)
	_, err = f.Lift(t.Context(), permit(t, access.Block, access.WholeFleet()), "", "", "", "")
	require.ErrorIs(t, err, ErrNoPermit)
}

// A worker says which of its jobs are deaf, and the receipt names them.
func TestTheDeafAreNamedAmongTheWaiting(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		deaf, other := f.mustSubmit(t, "ann", "talk", `{}`), f.mustSubmit(t, "ann", "talk", `{}`)
		require.Len(t, f.mustGrant(t, "n1"), 2)
		slot := f.ps.Slot(deaf.Partition())
		require.NoError(t, f.client.ZAdd(t.Context(), slot.Of("workers"), zOf("w1")).Err())
		require.NoError(t, f.client.HSet(t.Context(), slot.Of("worker", "w1"), "row", `{"slots":2,"running":2,"deaf":1,"deaf_jobs":["`+string(deaf)+`"]}`).Err())
		r := f.kill(t, job.Selector{Owner: "ann"}, "")
		require.Equal(t, job.Tally{Targeted: 2, Waiting: 2, Deaf: 1}, r.Tally)
		verdicts := map[job.ID]job.Verdict{}
		for _, o := range r.Open {
			verdicts[o.Job] = o.Verdict
		}
		require.Equal(t, map[job.ID]job.Verdict{deaf: job.Deaf, other: job.Waiting}, verdicts)
		one, err := f.Kill(t.Context(), permit(t, access.Kill, access.OneJob(deaf)), asked("r"), "")
		require.NoError(t, err)
		require.Equal(t, job.Deaf, one.Verdict)
		view, err := f.View(t.Context())
		require.NoError(t, err)
		require.Equal(t, []job.ID{deaf}, view.Workers[0].DeafJobs)
		word, err := f.end(t.Context(), "finish", "w1", held{deaf, f.record(t, deaf).Claim.Epoch})
		require.NoError(t, err)
		require.Equal(t, "killed", word)
		require.Equal(t, job.Tally{Targeted: 2, Waiting: 1, Stopped: 1}, f.receipt(t, r.Order.ID).Tally, "it heard at last")
	})
}

// However many run, those under an order are named: the lease of one may stand
// behind any number of others.
func TestTheWaitingAreNamedAmongManyThatRun(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		one, two := f.mustSubmit(t, "ann", "talk", `{}`), f.mustSubmit(t, "ann", "talk", `{}`)
		require.Len(t, f.mustGrant(t, "n1"), 2)
		slot := f.ps.Slot(one.Partition())
		pipe := f.client.Pipeline()
		for i := range 2500 {
			pipe.Do(t.Context(), "ZADD", slot.Of("leases"), -1, fmt.Sprintf("other-%d", i))
		}
		_, err := pipe.Exec(t.Context())
		require.NoError(t, err)
		require.NoError(t, f.client.HSet(t.Context(), slot.Of("worker", "w1"), "row", `{"deaf_jobs":["`+string(one)+`"]}`).Err())
		r, err := f.Kill(t.Context(), permit(t, access.Kill, access.OneJob(one)), asked("r"), "")
		require.NoError(t, err)
		require.Equal(t, job.Deaf, r.Verdict)
		require.Len(t, r.Open, 1)
		require.Equal(t, one, r.Open[0].Job)
		r = f.kill(t, job.Selector{Owner: "ann"}, "")
		require.Equal(t, job.Tally{Targeted: 1, CoveredBefore: 1, Waiting: 1}, r.Tally)
		require.Len(t, r.Open, 1)
		require.Equal(t, two, r.Open[0].Job)
	})
}
