package control

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

func TestFinishedOrdersAreRetiredAndTheAuditStays(t *testing.T) {
	inFleets(t, func(t *testing.T, f *fleet) {
		ctx := t.Context()
		left := func(prefix string) (n int) {
			keys, err := f.client.Keys(ctx, "{"+f.ps.Fleet+":*}:"+prefix+"*").Result()
			require.NoError(t, err)
			for _, k := range keys {
				if !strings.HasSuffix(k, ":open_orders") {
					n++
				}
			}
			return n
		}
		var acts int64
		audited := func() (n int64) {
			for _, p := range f.ps.All() {
				k, err := f.client.XLen(ctx, f.ps.Slot(p).Of("audit")).Result()
				require.NoError(t, err)
				n += k
			}
			return n
		}
		runs := f.mustSubmit(t, "ann", "walk", `{}`)
		require.Len(t, f.mustGrant(t, "n1"), 1)
		open, err := f.Kill(ctx, permit(t, access.Kill, access.OneJob(runs)), asked("r"), "")
		require.NoError(t, err)
		require.Equal(t, job.Waiting, open.Verdict)
		for range retireChunk { // more than a chunk in some partition
			for _, o := range owners(2) {
				_, err := f.Kill(ctx, permit(t, access.Kill, access.OneJob(f.mustSubmit(t, o, "talk", `{}`))), asked("r"), "")
				require.NoError(t, err)
			}
		}
		f.kill(t, job.Selector{Kind: "talk"}, "")
		for act, on := range map[access.Act]access.Target{access.KillOwner: access.JobsOf("bob"), access.KillFleet: access.WholeFleet()} {
			_, err := f.KillAll(ctx, permit(t, act, on), asked("r"), "")
			require.NoError(t, err)
		}
		f.clerk(t)
		require.Eventually(t, func() bool {
			view, err := f.View(ctx)
			return err == nil && len(view.OpenOrders) == 1
		}, 10*time.Second, 10*time.Millisecond)
		acts = audited()

		retire := func(before time.Time) (n int) {
			for _, p := range f.ps.All() {
				k, err := f.Retire(ctx, p, before)
				require.NoError(t, err)
				n += k
			}
			return n
		}
		require.Zero(t, retire(time.Now().Add(-time.Hour)), "young ones stay")
		require.Equal(t, 2*retireChunk+3, retire(time.Now().Add(time.Hour)))
		require.Equal(t, 2, left("order"), "the open one, and the list that names it")
		require.Equal(t, 1, left("tally"))
		require.Equal(t, acts, audited())
		all, _, err := f.Orders(ctx, 10)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, open.Order.ID, all[0].Order.ID)

		later := f.mustSubmit(t, "ann", "talk", `{}`)
		require.Never(t, func() bool { return f.record(t, later).State != job.Queued }, 100*time.Millisecond, 10*time.Millisecond)
		word, err := f.end(ctx, "finish", "w1", held{runs, f.record(t, runs).Claim.Epoch})
		require.NoError(t, err)
		require.Equal(t, "killed", word)
		require.Eventually(t, func() bool { return retire(time.Now().Add(time.Hour)) == 1 }, 10*time.Second, 10*time.Millisecond)
		require.Zero(t, left("order")+left("tally"))
	})
}
