package nemesis

import (
	"context"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/torture/rig"
)

func ofWorkers() []Nemesis {
	return []Nemesis{
		{"worker-sigkill", "jobs it held", killWorker},
		{"worker-paused-short", "jobs it held", func(ctx context.Context, s *Strike) int64 {
			return s.stopWorker(ctx, rig.Trust/3, rig.Trust-100*time.Millisecond)
		}},
		{"worker-paused-long", "jobs it held", func(ctx context.Context, s *Strike) int64 {
			return s.stopWorker(ctx, rig.Take+rig.Renew, 2*rig.Take)
		}},
		{"worker-paused-under-kill", "orders accepted meanwhile", pausedUnderKill},
		{"process-without-descriptors", "descriptors too many", noDescriptors},
		{WorkerClocks, "jobs it held", workerClock},
		{"worker-throttled", "slices without a processor", throttled},
		{"worker-on-one-processor", "jobs it held", oneProcessor},
		{"workers-rolling-restart", "jobs they held", rolling},
		{"workers-sigterm-storm", "jobs they held", termStorm},
	}
}

// noDescriptors has a process open no file or connection any more, and ends those
// to Redis that it has.
func noDescriptors(ctx context.Context, s *Strike) int64 {
	m := append(append([]*rig.Member{}, s.Rig.Workers...), s.Rig.Dispatchers...)[s.IntN(len(s.Rig.Workers)+len(s.Rig.Dispatchers))]
	most := 9 + s.IntN(8)
	n := m.Descriptors() - most
	if m.Spare(uint64(most)) != nil {
		return 0
	}
	m.Link.Set(rig.Mode{Down: true, Reset: s.IntN(2) == 0})
	m.Link.Set(rig.Mode{})
	pause(ctx, s.between(300*time.Millisecond, rig.Take))
	_ = m.Spare(0) // it may have ended
	return int64(n)
}

// WorkerClocks is the name of the fault that needs workers built for it.
const WorkerClocks = "worker-clock-jumps"

// workerClock moves the wall clock of a worker's host: by seconds, past what it
// is trusted for, or back by an hour.
func workerClock(ctx context.Context, s *Strike) int64 {
	m := s.worker()
	n := s.held(ctx, m)
	for range 3 {
		by := []time.Duration{-time.Hour, -10 * time.Second, time.Second, 2 * time.Second, 10 * time.Second}[s.IntN(5)]
		if m.Jump(by) != nil {
			n = 0
		}
		pause(ctx, s.between(50*time.Millisecond, rig.Trust))
	}
	if m.Jump(0) != nil {
		n = 0
	}
	return n
}

// throttled leaves a worker a tenth of a processor, in slices as the kernel deals
// them out under a quota.
func throttled(ctx context.Context, s *Strike) int64 {
	m := s.worker()
	var n int64
	for end := time.Now().Add(s.between(rig.Trust, rig.Take)); time.Now().Before(end); n++ {
		_ = m.Pause()
		pause(ctx, 90*time.Millisecond)
		_ = m.Continue()
		if !pause(ctx, 10*time.Millisecond) {
			break
		}
	}
	return n
}

// oneProcessor has a worker's next process take its turns on one processor.
func oneProcessor(ctx context.Context, s *Strike) int64 {
	m := s.worker()
	m.Kill()
	_ = m.Start("GOMAXPROCS=1") // the supervisor tries again, and says so
	pause(ctx, s.between(rig.Take, 2*rig.Take))
	return s.held(ctx, m)
}

func killWorker(ctx context.Context, s *Strike) int64 {
	m := s.worker()
	n := s.held(ctx, m)
	m.Kill()
	pause(ctx, s.between(50*time.Millisecond, rig.Take))
	_ = m.Start() // the supervisor tries again, and says so
	return n
}

func (s *Strike) stopWorker(ctx context.Context, low, high time.Duration) int64 {
	m := s.worker()
	n := s.held(ctx, m)
	_ = m.Pause() // a process that has ended is not paused
	pause(ctx, s.between(low, high))
	_ = m.Continue()
	return n
}

// pausedUnderKill kills what a worker runs while it cannot hear of it.
func pausedUnderKill(ctx context.Context, s *Strike) int64 {
	m := s.worker()
	_ = m.Pause()
	took := s.Load.KillHeldBy(ctx, m.Name())
	pause(ctx, s.between(0, rig.Take+rig.Trust))
	_ = m.Continue()
	return int64(took)
}

func rolling(ctx context.Context, s *Strike) int64 {
	var n int64
	for _, m := range s.Rig.Workers {
		n += s.held(ctx, m)
		m.Term(1, s.calm)
		_ = m.Start()
		if !pause(ctx, s.between(0, 300*time.Millisecond)) {
			break
		}
	}
	return n
}

// termStorm sends every worker away at once, some of them twice.
func termStorm(ctx context.Context, s *Strike) int64 {
	var n int64
	var wg sync.WaitGroup
	for _, m := range s.Rig.Workers {
		n += s.held(ctx, m)
		times := 1 + s.IntN(3)
		wg.Go(func() { m.Term(times, func() bool { return false }) })
	}
	wg.Wait()
	for _, m := range s.Rig.Workers {
		_ = m.Start()
	}
	return n
}
