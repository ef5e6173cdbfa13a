package nemesis

import (
	"context"
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

func ofLinks() []Nemesis {
	held := func(b rig.Bites) int64 { return b.Held }
	return []Nemesis{
		{WorkerPoints, "killed at their points", newTour("worker").strike},
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
		{"freeze-under-load", "jobs that waited", freezeUnderLoad},
		{"writes-come-late", "writes delivered late", lateWrites},
		{"link-black-hole-over-calls", "calls under way", holeOverCalls},
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

// slowKill kills all while every reply about money is slower than a permit is
// good for, and the workers hear of the order neither on their stream nor from a
// renewal: nothing but a permit's age is between the order and the next call.
func slowKill(ctx context.Context, s *Strike) int64 {
	var n int64
	set := func(held bool) {
		for _, m := range s.Rig.Workers {
			m.Link.Set(rig.Mode{
				Latency: 900 * time.Millisecond, Only: []string{rig.ControlStream, rig.Renewals}, HoldRequests: held, HoldReplies: held,
			})
		}
	}
	for _, m := range s.Rig.Workers {
		n -= m.Link.Bites().Slowed
	}
	for range 2 {
		set(false)
		pause(ctx, s.between(rig.Take, rig.Take+rig.Trust))
		set(true)
		pause(ctx, s.between(0, 50*time.Millisecond))
		s.Load.KillAll(ctx, false)
		pause(ctx, rig.Trust)
	}
	for _, m := range s.Rig.Workers {
		m.Link.Set(rig.Mode{})
		n += m.Link.Bites().Slowed
	}
	return n
}

// freezeUnderLoad closes the gate while jobs wait, and has the workers' grants
// come only then.
func freezeUnderLoad(ctx context.Context, s *Strike) int64 {
	for _, m := range s.Rig.Workers {
		m.Link.Set(rig.Mode{Matching: []string{":wake"}})
	}
	pause(ctx, s.between(300*time.Millisecond, 700*time.Millisecond))
	frozen := s.Load.Freeze(ctx).Type == history.OK
	var n int64
	for p := range s.Rig.Partitions {
		n += s.Rig.Redis.Admin.XLen(ctx, fmt.Sprintf("{%s:%d}:road", rig.Name, p)).Val()
	}
	for _, m := range s.Rig.Workers {
		m.Link.Set(rig.Mode{})
	}
	if !frozen {
		return 0
	}
	pause(ctx, s.between(300*time.Millisecond, time.Second))
	s.Load.Thaw(ctx)
	return n
}

// lateWrites keeps what a worker writes about its jobs on the way until they are
// its own no longer, or others have taken them, lets it come then, and ends the
// jobs soon after, so that what a late write has spoilt is still to be seen.
func lateWrites(ctx context.Context, s *Strike) int64 {
	m := s.busiest(ctx)
	n := -m.Link.Bites().Late
	m.Link.Set(rig.Mode{Matching: [][]string{{":checkpoints:"}, {":events:"}}[s.IntN(2)]})
	pause(ctx, s.between(50*time.Millisecond, 250*time.Millisecond))
	m.Link.Set(rig.Mode{HoldRequests: true, HoldReplies: true})
	held := s.Rig.Redis.HeldBy(ctx, rig.Name, s.Rig.Partitions, m.Name())
	lost := s.lost(ctx, held, s.IntN(2) == 0)
	m.Link.Set(rig.Mode{})
	pause(ctx, s.between(20*time.Millisecond, 120*time.Millisecond))
	n += m.Link.Bites().Late
	s.Load.Kill(ctx, lost)
	if len(lost) == 0 {
		return 0 // what came late was no stranger's
	}
	return n
}

// lost waits until some of the jobs that a worker held are not its own, or are
// another's, and says which.
func (s *Strike) lost(ctx context.Context, held map[string]string, taken bool) (ids []string) {
	for range 150 {
		if len(held) == 0 {
			break
		}
		now := s.Rig.Redis.HeldBy(ctx, rig.Name, s.Rig.Partitions, "")
		for id, was := range held {
			if by := now[id]; by != was && (by != "" || !taken && s.Rig.Redis.State(ctx, rig.Name, id) == "queued") {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 || !pause(ctx, 20*time.Millisecond) {
			break
		}
	}
	return ids
}

// holeOverCalls cuts a worker off while its calls go on for longer than anybody
// waits for it.
func holeOverCalls(ctx context.Context, s *Strike) int64 {
	m := s.worker()
	n := -s.Rig.Witness.Troubled.Load()
	s.Rig.Witness.MisbehaveTo(m.Name(), rig.Hang)
	pause(ctx, s.between(200*time.Millisecond, 500*time.Millisecond))
	m.Link.Set(rig.Mode{HoldRequests: true, HoldReplies: true})
	pause(ctx, 2*rig.Take+rig.Renew)
	m.Link.Set(rig.Mode{})
	s.Rig.Witness.Misbehave(rig.None)
	return n + s.Rig.Witness.Troubled.Load()
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
