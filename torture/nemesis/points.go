package nemesis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

// The faults that kill a process where it calls a script.
const (
	DispatcherPoints = "dispatcher-killed-at-script"
	WorkerPoints     = "worker-killed-at-script"
)

const (
	// atOnce is at how many points it is waited at the same time; whoever comes first
	// to one is killed there.
	atOnce = 8
	// most is how many one strike kills.
	most = 10
	// comesIn is how long it is waited for somebody to come to one.
	comesIn = 1200 * time.Millisecond
)

// tour kills processes of a kind at all their points, in an order that the first
// strike draws, over as many strikes as it takes; then it begins anew. A point to
// which nobody comes is tried again behind all others.
type tour struct {
	binary string
	left   []rig.Point
	missed int            // of those left, in a row
	beside sync.WaitGroup // what provocations do meanwhile
}

func newTour(binary string) *tour { return &tour{binary: binary} }

func (t *tour) strike(ctx context.Context, s *Strike) int64 {
	defer t.beside.Wait()
	var n int64
	for end := time.Now().Add(most * time.Second); n < most && time.Now().Before(end) && ctx.Err() == nil; {
		if t.missed >= len(t.left) { // to what is left nobody comes now
			t.left, t.missed = rig.Points(t.binary), 0
			s.Shuffle(len(t.left), func(i, j int) { t.left[i], t.left[j] = t.left[j], t.left[i] })
		}
		at := slices.Clone(t.left[:min(atOnce, len(t.left))])
		got := t.ambush(ctx, s, at)
		if got == nil { // nobody came to any of these
			t.left, t.missed = append(t.left[len(at):], at...), t.missed+len(at)
			continue
		}
		n, t.missed = n+1, 0
		t.left = slices.DeleteFunc(t.left, func(p rig.Point) bool { return p == got.At })
		s.log.Add(history.Event{Type: history.Note, Op: "point", Class: t.binary, Worker: got.Name, Args: rig.Args("at", got.At.String())})
		_ = got.Member.Start() // the supervisor tries again, and says so
		pause(ctx, s.between(0, 200*time.Millisecond))
	}
	return n
}

// ambush waits at some points, has people do what leads there, and says who was
// killed.
func (t *tour) ambush(ctx context.Context, s *Strike, at []rig.Point) *rig.Caught {
	members := s.Rig.Workers
	if t.binary == "dispatcher" {
		members = s.Rig.Dispatchers
	}
	a := rig.NewAmbush(at)
	for _, m := range members {
		m.Lay(a)
	}
	wait := comesIn
	for _, p := range at {
		t.provoke(ctx, s, p.Script)
		wait = max(wait, slow(p.Script))
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-a.Sprung():
	case <-late.C:
	case <-ctx.Done():
	}
	for _, m := range members {
		m.Lay(nil)
	}
	return a.End()
}

// slow is how long it takes until a script is called for which somebody has to be
// silent long enough.
func slow(script string) time.Duration {
	switch script {
	case "fence", "reclaim":
		return rig.Take + comesIn
	case "seal": // the turn of a dispatcher that is dead has to be taken first
		return 7 * time.Second
	default:
		return 0
	}
}

// provoke has a script called that nobody calls by themselves.
func (t *tour) provoke(ctx context.Context, s *Strike, script string) {
	m := s.worker()
	switch script {
	case "release", "leave":
		t.beside.Go(func() {
			m.Term(1, func() bool { return false })
			_ = m.Start() // the supervisor tries again, and says so
		})
	case "fence": // what a dead worker held, killed
		dead := m.Name()
		m.Kill()
		_ = m.Start() // the supervisor tries again, and says so
		t.beside.Go(func() { s.Load.KillHeldBy(ctx, dead) })
	default:
		s.Load.Provoke(ctx, script)
	}
}
