package control

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// What an order leaves to the owners of what it kills is on the order, on each
// job that it killed, running or not, and in the audit.
func TestWhatAnOrderAllowsIsOnTheOrderOnItsJobsAndInTheAudit(t *testing.T) {
	scopes := map[job.ScopeKind]func(*testing.T, *fleet, job.ID, job.Order) (job.Receipt, error){
		job.ScopeJob: func(t *testing.T, f *fleet, id job.ID, o job.Order) (job.Receipt, error) {
			return f.Kill(t.Context(), permit(t, access.Kill, access.OneJob(id)), o, "k")
		},
		job.ScopeOwner: func(t *testing.T, f *fleet, _ job.ID, o job.Order) (job.Receipt, error) {
			return f.KillAll(t.Context(), permit(t, access.KillOwner, access.JobsOf("ann")), o, "k")
		},
		job.ScopeFleet: func(t *testing.T, f *fleet, _ job.ID, o job.Order) (job.Receipt, error) {
			return f.KillAll(t.Context(), permit(t, access.KillFleet, access.WholeFleet()), o, "k")
		},
		job.ScopeSelector: func(t *testing.T, f *fleet, _ job.ID, o job.Order) (job.Receipt, error) {
			return f.KillAll(t.Context(), permit(t, access.KillSelector, access.Selected(job.Selector{Kind: "talk"})), o, "k")
		},
	}
	for kind, kill := range scopes {
		for _, allow := range []bool{true, false} {
			for _, running := range []bool{true, false} {
				f := newFleet(t, 2)
				f.clerk(t)
				id := f.mustSubmit(t, "ann", "talk", `{}`)
				var held []held
				if running {
					held = f.mustGrant(t, "n1")
				}
				o := asked("loud")
				o.AllowResume = allow
				r, err := kill(t, f, id, o)
				require.NoError(t, err)
				require.Equal(t, allow, r.Order.AllowResume, kind)
				for _, h := range held {
					word, err := f.end(t.Context(), "finish", "w1", h)
					require.NoError(t, err)
					require.Equal(t, "killed", word)
				}
				require.Eventually(t, func() bool { return f.record(t, id).State == job.Killed }, 5*time.Second, 5*time.Millisecond)
				require.Equal(t, allow, f.record(t, id).AllowResume, "%s, running %t", kind, running)
				said, err := f.client.XRevRangeN(t.Context(), f.ps.Slot(id.Partition()).Of("audit"), "+", "-", 1).Result()
				require.NoError(t, err)
				require.Equal(t, yes(allow), said[0].Values["allow_resume"], kind)
			}
		}
	}
}

// An order that is asserted again after a loss still allows what it allowed.
func TestAnOrderAssertedAgainAllowsWhatItAllowed(t *testing.T) {
	f := newFleet(t, 1)
	for kind, target := range map[access.Act]access.Target{
		access.KillFleet: access.WholeFleet(), access.KillSelector: access.Selected(job.Selector{Kind: "talk"}),
	} {
		o := asked("loud")
		o.AllowResume = true
		r, err := f.KillAll(t.Context(), permit(t, kind, target), o, "")
		require.NoError(t, err)
		rec, err := f.orderIn(t.Context(), 0, r.Order.ID)
		require.NoError(t, err)
		require.NoError(t, f.client.Del(t.Context(), f.ps.Slot(0).Of("order", string(r.Order.ID))).Err())
		require.NoError(t, f.orderAgain(t.Context(), 0, recorded(r.Order.ID, rec.order)))
		require.True(t, f.receipt(t, r.Order.ID).Order.AllowResume)
	}
}
