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
	// Breaker is what happens when the fleet burns more than BreakerLimit in a
	// minute: alert, freeze, park or kill; "off" or no limit is nothing.
	Breaker      string
	BreakerLimit *job.MicroUSD
}

// Clerk is what every dispatcher does for the money: it pushes the clock on, lets
// old buckets go, and brings parked jobs back when there is room again, a few at a
// time, and lets the breaker trip when the fleet burns too fast. All of it may be
// done by several at once.
type Clerk struct {
	Books    *Redis
	Settings Settings
	// Stops is how the breaker stops the fleet, Who does so as the audit has it;
	// Tripped is told of each trip that this clerk found, nil for nobody.
	Stops   Stops
	Who     []byte
	Tripped func(mode string)
	// Reserved is told, whenever all partitions could be read, what is set aside for
	// calls in flight; nil for nobody.
	Reserved func(job.MicroUSD)
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
	burn, reserved, whole := job.MicroUSD(0), job.MicroUSD(0), true
	for _, p := range k.Books.partitions.All() {
		b, err := k.Books.Tick(ctx, p, time.Now(), k.Settings)
		if err != nil {
			k.Log.Debug("the money's clock was not pushed on", zap.Int("partition", p), zap.Error(err))
			whole = false
		}
		burn += b.PerMinute + b.Reserved
		reserved += b.Reserved
	}
	if whole && k.Reserved != nil {
		k.Reserved(reserved)
	}
	k.guard(ctx, burn, whole)
	for _, p := range k.Books.partitions.All() {
		if _, err := k.Books.Unhold(ctx, p); err != nil {
			k.Log.Debug("no held jobs were brought back", zap.Int("partition", p), zap.Error(err))
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
