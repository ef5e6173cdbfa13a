package nemesis

import (
	"context"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

func ofDoors() []Nemesis {
	return []Nemesis{
		{"dispatcher-sigkill", "processes", killDispatcher},
		{"dispatcher-killed-mid-kill", "answers lost", func(ctx context.Context, s *Strike) int64 { return s.mid(ctx, true) }},
		{"dispatcher-killed-mid-submit", "answers lost", func(ctx context.Context, s *Strike) int64 { return s.mid(ctx, false) }},
		{DispatcherPoints, "killed at their points", newTour("dispatcher").strike},
		{"dispatcher-paused", "processes", pauseDispatcher},
		{"dispatchers-rolling-restart", "processes", rollDispatchers},
		{"dispatcher-cut-off", "connections and packets", cutDispatcher},
		{"dispatcher-reply-lost", "replies lost", loseDispatchers},
		{"model-trouble", "calls", trouble},
		{"kill-storm", "orders accepted", func(ctx context.Context, s *Strike) int64 { return int64(s.Load.Storm(ctx, 15+s.IntN(15))) }},
		{"submits-at-once", "answers with the same job", func(ctx context.Context, s *Strike) int64 { return int64(s.Load.Crowd(ctx, 10)) }},
	}
}

func (s *Strike) dispatcher() *rig.Member { return s.Rig.Dispatchers[s.IntN(len(s.Rig.Dispatchers))] }

func killDispatcher(ctx context.Context, s *Strike) int64 {
	m := s.dispatcher()
	m.Kill()
	pause(ctx, s.between(0, rig.Take))
	_ = m.Start() // the supervisor tries again, and says so
	return 1
}

// mid kills a dispatcher while it does what it was asked, a few times.
func (s *Strike) mid(ctx context.Context, kill bool) int64 {
	var lost int64
	for range 4 {
		i := s.IntN(len(s.Rig.Dispatchers))
		m := s.Rig.Dispatchers[i]
		answer := s.Load.Mid(ctx, kill, i+1)
		pause(ctx, s.between(0, 4*time.Millisecond))
		m.Kill()
		if got := <-answer; got.Type == history.Info {
			lost++
		}
		_ = m.Start()
		pause(ctx, 300*time.Millisecond)
	}
	return lost
}

func pauseDispatcher(ctx context.Context, s *Strike) int64 {
	m := s.dispatcher()
	_ = m.Pause()
	pause(ctx, s.between(200*time.Millisecond, rig.Take+rig.Trust))
	_ = m.Continue()
	return 1
}

func rollDispatchers(ctx context.Context, s *Strike) int64 {
	for _, m := range s.Rig.Dispatchers {
		m.Term(1, s.calm)
		_ = m.Start()
		pause(ctx, s.between(300*time.Millisecond, time.Second))
	}
	return int64(len(s.Rig.Dispatchers))
}

func cutDispatcher(ctx context.Context, s *Strike) int64 {
	l := s.dispatcher().Link
	before := l.Bites()
	modes := []rig.Mode{{Down: true}, {Down: true, Reset: true}, {HoldRequests: true}, {HoldReplies: true}, {HoldRequests: true, HoldReplies: true}, {Latency: 400 * time.Millisecond}}
	l.Set(modes[s.IntN(len(modes))])
	pause(ctx, s.between(200*time.Millisecond, rig.Take+rig.Trust))
	l.Set(rig.Mode{})
	after := l.Bites()
	return after.Ended - before.Ended + after.Held - before.Held + after.Slowed - before.Slowed
}

// loseDispatchers has the replies to submits and orders lost.
func loseDispatchers(ctx context.Context, s *Strike) int64 {
	var n int64
	for _, words := range [][]string{{":idem:"}, {":order:", ":control"}, {":idem:"}, {":gate", "freeze"}, {":order:", ":alive_of:"}} {
		for _, m := range s.Rig.Dispatchers {
			n -= m.Link.Bites().Dropped
			m.Link.Lose(words...)
		}
		if words[0] == ":order:" {
			s.Load.KillOwner(ctx)
		}
		pause(ctx, s.between(200*time.Millisecond, 600*time.Millisecond))
		for _, m := range s.Rig.Dispatchers {
			m.Link.Lose()
			n += m.Link.Bites().Dropped
		}
	}
	return n
}

func trouble(ctx context.Context, s *Strike) int64 {
	w := s.Rig.Witness
	before := w.Troubled.Load()
	for range 3 {
		w.Misbehave(rig.Troubles()[s.IntN(len(rig.Troubles()))])
		pause(ctx, s.between(300*time.Millisecond, time.Second))
	}
	w.Misbehave(rig.None)
	return w.Troubled.Load() - before
}
