package beat

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// Sampler samples one partition's beat. It is used by one goroutine.
type Sampler struct {
	redis  rediskit.Runner
	slot   rediskit.Slot
	name   string
	nonce  string
	first  bool
	sample *rediskit.Script
	still  *Stillness
}

// NewSampler returns a sampler that reports leases still for T, when it is
// ticked every H.
func NewSampler(r rediskit.Runner, slot rediskit.Slot, name string, still *Stillness) (*Sampler, error) {
	s, err := rediskit.Load(scripts, "sample")
	if err != nil {
		return nil, err
	}
	sm := &Sampler{redis: r, slot: slot, name: name, sample: s, still: still}
	sm.reset()
	return sm, nil
}

func (s *Sampler) reset() {
	s.still.Drop()
	s.nonce, s.first = rand.Text(), true
}

// Tick takes one sample and says which leases may be taken now. ok is false
// while nothing may. After an error it starts over: nothing is ripe for T.
func (s *Sampler) Tick(ctx context.Context) (ripe job.Ripe, ok bool, err error) {
	first := "0"
	if s.first {
		first = "1"
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := s.redis.Run(cctx, s.sample, rediskit.Place{Slot: s.slot},
		rediskit.Args{"sampler": s.name, "nonce": s.nonce, "first": first})
	if err != nil {
		s.reset()
		return job.Ripe{}, false, fmt.Errorf("sample the beat: %w", rediskit.Unavailable(err))
	}
	if reply.Word == "lost" {
		s.reset()
		return job.Ripe{}, false, nil
	}
	s.first = false
	now := time.Now()
	s.still.Add(reply.Str(0), reply.Int(1), now)
	before, ok := s.still.Ripe(now)
	return job.Ripe{Sampler: s.name, Nonce: s.nonce, RunID: reply.Str(0), Before: before}, ok, nil
}

// Drop starts over: the server refused a reclaim as another one than was
// watched.
func (s *Sampler) Drop() { s.reset() }

// Leave removes the sampler's nonce, so that nothing of it stays behind.
func (s *Sampler) Leave(ctx context.Context) error {
	err := s.redis.Client.HDel(ctx, s.slot.Of("reapers"), s.name).Err()
	if err != nil {
		return fmt.Errorf("take the sampler off the table: %w", rediskit.Unavailable(err))
	}
	return nil
}
