package dispatcher

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/clock"
)

// forget removes what its retention has ended for, a little at a time.
func (p *process) forget(ctx context.Context) {
	clock.Every(ctx, time.Minute, func() {
		for _, part := range p.fleet.Partitions.All() {
			if n, err := p.road.Forget(ctx, part, time.Now(), 200); err != nil {
				p.log.Warn("retention not applied", zap.Int("partition", part), zap.Error(err))
			} else if n > 0 {
				p.log.Info("ended jobs forgotten", zap.Int("partition", part), zap.Int("jobs", n))
			}
		}
	})
}

// sweepStates removes the states outside Redis that no record names. While a gate
// does not know what was seen of it, data are lost and may come back: nothing is
// removed then.
func (p *process) sweepStates(ctx context.Context) {
	if p.sweep == nil || p.cfg.CheckpointsSweep <= 0 {
		return
	}
	clock.Every(ctx, p.cfg.CheckpointsSweep, func() {
		if len(p.lost()) > 0 {
			return
		}
		n, err := p.sweep.Sweep(ctx, time.Now())
		p.metrics.Swept(n)
		switch {
		case err != nil && ctx.Err() == nil:
			p.log.Warn("checkpoint store not swept", zap.Error(err))
		case n > 0:
			p.log.Info("states that no record names removed", zap.Int("states", n))
		}
	})
}
