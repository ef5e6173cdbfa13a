package rig

import (
	"context"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

const (
	stallTick  = 5 * time.Millisecond
	stallWorth = 40 * time.Millisecond // shorter ones are not written down
)

// watchStalls writes down each time the machine kept a goroutine waiting that
// was due: what the rig cannot see itself do in time, it cannot blame on others.
func watchStalls(ctx context.Context, log *history.Log) {
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(stallTick):
		}
		now := time.Now()
		if late := now.Sub(last) - stallTick; late > stallWorth {
			log.Add(history.Event{Type: history.Note, Op: "stall", Args: Args("ns", int64(late))})
		}
		last = now
	}
}
