package control

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// A rate at which a fleet was thawed is said again to a gate that lost it: once
// the gate is adopted no more start than was said. A gate that came back closed
// stays closed, and a rate whose time is over is forgotten.
func TestARateThatWasLostIsAssertedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		lasting time.Duration
		restore []string // what the gate of the backup says
		rate    float64
	}{
		"until the next thaw":       {rate: 6},
		"for a while":               {lasting: time.Hour, rate: 6},
		"a while that is over":      {lasting: time.Second},
		"the backup's gate is shut": {restore: []string{"number", "1.x", "past", "1.x", "frozen", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 2)
			ctx := t.Context()
			a := Authority{Control: f.Redis, Asserts: true, Every: time.Hour, Log: zap.NewNop()}
			look := func() {
				for _, p := range f.ps.All() {
					a.look(ctx, p)
				}
			}
			admin := permit(t, access.Thaw, access.WholeFleet())
			look() // which begins the gates
			look()
			g, err := f.State(ctx)
			require.NoError(t, err)
			g, err = f.Thaw(ctx, admin, job.Thawing{Seen: g.Heads[0] + "," + g.Heads[1], Reason: "slowly", Rate: 6, For: c.lasting}, "")
			require.NoError(t, err)
			require.InDelta(t, 6, g.Rate, 0)
			look()
			if c.lasting == time.Second {
				require.Eventually(t, func() bool { g, err := f.State(ctx); return err == nil && g.Rate == 0 }, 5*time.Second, 20*time.Millisecond)
			}

			for _, p := range f.ps.All() {
				require.NoError(t, f.client.Del(ctx, f.ps.Slot(p).Of("gate")).Err())
				if c.restore != nil {
					require.NoError(t, f.client.HSet(ctx, f.ps.Slot(p).Of("gate"), c.restore).Err())
				}
			}
			for range 3 { // it is lost, it is begun, it is told
				look()
			}
			require.Len(t, f.Losses(), 2)
			g, err = f.State(ctx)
			require.NoError(t, err)
			require.InDelta(t, c.rate, g.Rate, 0)
			require.Equal(t, c.restore != nil, g.Frozen)
			require.Equal(t, c.lasting == time.Hour, !g.RateUntil.IsZero())
			head := g.Heads

			look()
			g, err = f.State(ctx)
			require.NoError(t, err)
			require.Equal(t, head, g.Heads, "it is told once")
			_, err = f.Adopt(ctx, permit(t, access.Adopt, access.WholeFleet()), "looked at", "")
			require.NoError(t, err)
			look()
			require.Empty(t, f.Losses())
			g, err = f.State(ctx)
			require.NoError(t, err)
			require.InDelta(t, c.rate, g.Rate, 0)
		})
	}
}
