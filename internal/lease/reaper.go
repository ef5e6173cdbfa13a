package lease

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/clock"
	"github.com/rtfm-si/gavel/internal/job"
)

// Watch samples the beat of one partition, see package beat.
type Watch interface {
	Tick(ctx context.Context) (ripe job.Ripe, ok bool, err error)
	Drop()
}

// Taker reclaims, see [Redis.Reclaim].
type Taker interface {
	Reclaim(ctx context.Context, p int, ripe job.Ripe, limit int, due time.Time) ([]job.Reclaimed, bool, error)
}

// reclaimChunk is how many leases one reclaim takes.
const reclaimChunk = 32

// Reaper takes back the leases of one partition that stood still for T. Any
// number of workers may run one: reclaim is a compare-and-set.
type Reaper struct {
	Partition int
	Every     time.Duration // H
	Watch     Watch
	Taker     Taker
	// Backoff delays a job that was lost twice without progress.
	Backoff time.Duration
	// Taken is told of each job taken back; nil for nobody.
	Taken func(job.Reclaimed)
	Log   *zap.Logger
}

// Run samples every H until ctx ends.
func (r Reaper) Run(ctx context.Context) {
	clock.Every(ctx, r.Every, func() { r.once(ctx) })
}

func (r Reaper) once(ctx context.Context) {
	ripe, ok, err := r.Watch.Tick(ctx)
	if err != nil {
		r.Log.Warn("beat not sampled; nobody is reclaimed for T", zap.Int("partition", r.Partition), zap.Error(err))
		return
	}
	for ok && ctx.Err() == nil {
		taken, same, err := r.Taker.Reclaim(ctx, r.Partition, ripe, reclaimChunk, time.Now().Add(r.Backoff))
		if err != nil || !same {
			r.Watch.Drop()
			r.Log.Warn("reclaim refused; watching anew", zap.Int("partition", r.Partition), zap.Error(err))
			return
		}
		for _, t := range taken {
			r.Log.Warn("job reclaimed", zap.String("job", string(t.ID)), zap.String("worker", t.Worker), zap.String("to", string(t.State)))
			if r.Taken != nil {
				r.Taken(t)
			}
		}
		if len(taken) < reclaimChunk {
			return
		}
	}
}
