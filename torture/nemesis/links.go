package nemesis

import (
	"context"
	"time"

	"github.com/rtfm-si/gavel/torture/rig"
)

func ofLinks() []Nemesis {
	held := func(b rig.Bites) int64 { return b.Held }
	return []Nemesis{
		{"link-reset", "connections", mode(func(*Strike) rig.Mode { return rig.Mode{Down: true, Reset: true} }, 0, func(b rig.Bites) int64 { return b.Ended })},
		{"link-closed", "connections", mode(func(*Strike) rig.Mode { return rig.Mode{Down: true} }, 0, func(b rig.Bites) int64 { return b.Ended })},
		{"link-black-hole", "packets held", mode(func(*Strike) rig.Mode { return rig.Mode{HoldRequests: true, HoldReplies: true} }, rig.Trust/2, held)},
		{"link-replies-held", "packets held", mode(func(*Strike) rig.Mode { return rig.Mode{HoldReplies: true} }, rig.Trust/2, held)},
		{"link-requests-late", "packets delivered late", mode(func(*Strike) rig.Mode { return rig.Mode{HoldRequests: true} }, rig.Take+rig.Renew, func(b rig.Bites) int64 { return b.Late })},
		{"link-slow", "replies slowed", mode(func(s *Strike) rig.Mode {
			return rig.Mode{Latency: s.between(50*time.Millisecond, 900*time.Millisecond)}
		}, rig.Take, func(b rig.Bites) int64 { return b.Slowed })},
		{"link-trickle", "packets slowed", mode(func(s *Strike) rig.Mode { return rig.Mode{Rate: 2000 + s.IntN(20_000)} }, rig.Trust, func(b rig.Bites) int64 { return b.Slowed })},
		{"control-stream-dead", "packets held", deaf(rig.ControlStream)},
		{"only-money-passes", "packets held", deaf(rig.ControlStream, rig.Renewals)},
		{"kill-over-slow-links", "replies slowed", slowKill},
		{"worker-reply-lost", "replies lost", loseWorkers},
	}
}

// mode puts one or two workers' links into a mode for a while.
func mode(m func(*Strike) rig.Mode, low time.Duration, bites func(rig.Bites) int64) func(context.Context, *Strike) int64 {
	return func(ctx context.Context, s *Strike) int64 {
		first := s.IntN(len(s.Rig.Workers))
		var n int64
		links := []*rig.Link{s.Rig.Workers[first].Link}
		if s.IntN(3) == 0 {
			links = append(links, s.Rig.Workers[(first+1)%len(s.Rig.Workers)].Link)
		}
		for _, l := range links {
			n -= bites(l.Bites())
			l.Set(m(s))
		}
		pause(ctx, s.between(low, 2*rig.Take))
		for _, l := range links {
			l.Set(rig.Mode{})
		}
		pause(ctx, 50*time.Millisecond) // what was held goes out
		for _, l := range links {
			n += bites(l.Bites())
		}
		return n
	}
}

// deaf holds some connections of a worker, and passes the others, while its jobs
// are killed.
func deaf(words ...string) func(context.Context, *Strike) int64 {
	return func(ctx context.Context, s *Strike) int64 {
		var n int64
		for _, m := range s.Rig.Workers {
			n -= m.Link.Bites().Held
			m.Link.Set(rig.Mode{HoldRequests: true, HoldReplies: true, Only: words})
		}
		pause(ctx, s.between(50*time.Millisecond, 300*time.Millisecond))
		s.Load.KillAll(ctx, false)
		s.Load.KillHeldBy(ctx, s.worker().Name())
		pause(ctx, s.between(rig.Trust/2, rig.Take))
		for _, m := range s.Rig.Workers {
			m.Link.Set(rig.Mode{})
			n += m.Link.Bites().Held
		}
		return n
	}
}

// slowKill kills all while every reply to a worker is slower than a permit is
// good for.
func slowKill(ctx context.Context, s *Strike) int64 {
	var n int64
	for _, m := range s.Rig.Workers {
		n -= m.Link.Bites().Slowed
		m.Link.Set(rig.Mode{Latency: s.between(700*time.Millisecond, 950*time.Millisecond)})
	}
	for range 2 {
		pause(ctx, s.between(rig.Trust, rig.Take))
		s.Load.KillAll(ctx, false)
	}
	for _, m := range s.Rig.Workers {
		m.Link.Set(rig.Mode{})
		n += m.Link.Bites().Slowed
	}
	return n
}

// answers are the requests of a worker whose replies are worth losing.
func answers() [][]string {
	return [][]string{
		{":attempt:"},
		{":workers", ":beat"},
		{":reserved:"},
		{":calls:", ":reserved:"},
		{":checkpoints:"},
		{"succeeded"},
		{":events:"},
		{":reapers", ":road"},
	}
}

// loseWorkers has single replies lost, of one kind after the other.
func loseWorkers(ctx context.Context, s *Strike) int64 {
	var n int64
	for _, words := range answers() {
		l := s.worker().Link
		n -= l.Bites().Dropped
		l.Lose(words...)
		pause(ctx, s.between(200*time.Millisecond, 500*time.Millisecond))
		l.Lose()
		n += l.Bites().Dropped
	}
	return n
}
