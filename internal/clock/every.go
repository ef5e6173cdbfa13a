package clock

import (
	"context"
	"time"
)

// Every calls do once per period, the first time after one, until ctx ends. A call
// that takes longer than a period costs the turns that it overlaps.
func Every(ctx context.Context, period time.Duration, do func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}
