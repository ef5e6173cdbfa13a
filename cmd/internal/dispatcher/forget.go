package dispatcher

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/clock"
)

// forgetChunk is how many jobs are forgotten before others may have Redis.
const forgetChunk = 200

// forget removes what its retention has ended for.
func (p *process) forget(ctx context.Context) {
	clock.Every(ctx, time.Minute, func() {
		for _, part := range p.fleet.Partitions.All() {
			n, err := inChunks(ctx, func() (int, error) { return p.road.Forget(ctx, part, time.Now(), forgetChunk) })
			if err != nil && ctx.Err() == nil {
				p.log.Warn("retention not applied", zap.Int("partition", part), zap.Error(err))
			}
			if n > 0 {
				p.log.Info("ended jobs forgotten", zap.Int("partition", part), zap.Int("jobs", n))
			}
		}
	})
}

// inChunks forgets until a chunk is not full, and rests after each as long as it
// took. A turn of one chunk would make it the most jobs that a fleet may end in a
// minute: more would stay for ever.
func inChunks(ctx context.Context, chunk func() (int, error)) (all int, err error) {
	for ctx.Err() == nil {
		began := time.Now()
		n, err := chunk()
		all += n
		if err != nil || n < forgetChunk {
			return all, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Since(began)):
		}
	}
	return all, nil
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
