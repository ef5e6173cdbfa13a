package budget

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// Settings are the fleet's, kept where scripts read them. The zero value limits
// nothing.
type Settings struct {
	// Window is the length of a window; 0 means a day.
	Window time.Duration
	// OwnerCap is what an owner may spend in a window who has no cap of their
	// own, FleetCap what all may; OwnerRunning how many jobs such an owner may
	// have running. nil is no limit.
	OwnerCap, FleetCap *job.MicroUSD
	OwnerRunning       *int
}

// Clerk is what every dispatcher does for the money: it pushes the clock on, lets
// old buckets go, and brings parked jobs back when there is room again, a few at a
// time. All of it may be done by several at once.
type Clerk struct {
	Books    *Redis
	Settings Settings
	// Every is how often; 0 means 250 ms.
	Every time.Duration
	Log   *zap.Logger
}

// Run works until ctx ends.
func (k Clerk) Run(ctx context.Context) {
	if k.Every == 0 {
		k.Every = 250 * time.Millisecond
	}
	tick := time.NewTicker(k.Every)
	defer tick.Stop()
	after := map[int]string{}
	for {
		k.once(ctx, after)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// once does everything once. What Redis does not take now, the next time takes.
// after is where each partition's walk over its parked jobs goes on.
func (k Clerk) once(ctx context.Context, after map[int]string) {
	for _, p := range k.Books.partitions.All() {
		if _, err := k.Books.Tick(ctx, p, time.Now(), k.Settings); err != nil {
			k.Log.Debug("the money's clock was not pushed on", zap.Int("partition", p), zap.Error(err))
			continue
		}
		back, next, err := k.Books.Readmit(ctx, p, after[p])
		if err != nil {
			k.Log.Debug("no parked jobs were brought back", zap.Int("partition", p), zap.Error(err))
			continue
		}
		after[p] = next
		if back > 0 {
			k.Log.Info("jobs come back: their window has room again", zap.Int("partition", p), zap.Int("jobs", back))
		}
	}
}
