package nemesis

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

func ofRedis() []Nemesis {
	return []Nemesis{
		{"redis-sigkill", "jobs that ran", restartRedis},
		{"redis-paused", "jobs that ran", pauseRedis},
		{"redis-client-pause", "jobs that ran", clientPause},
		{"redis-client-kill", "connections", func(ctx context.Context, s *Strike) int64 {
			return s.Rig.Redis.Admin.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Val()
		}},
		{"redis-script-flush", "scripts forgotten", func(ctx context.Context, s *Strike) int64 {
			n := s.Rig.Redis.Info(ctx, "memory", "number_of_cached_scripts")
			s.Rig.Redis.Admin.ScriptFlush(ctx)
			return n
		}},
		{"redis-full", "writes refused", full},
		{"poison", "entries set aside", poison},
	}
}

// restartRedis ends Redis as a crash does and starts it on what its file has.
func restartRedis(ctx context.Context, s *Strike) int64 {
	n := s.running(ctx)
	s.Rig.Redis.Kill()
	pause(ctx, s.between(50*time.Millisecond, rig.Take))
	if err := s.Rig.Redis.Start(context.WithoutCancel(ctx)); err != nil {
		panic(fmt.Sprintf("redis does not come back: %v", err)) // nothing of the run would mean anything
	}
	return n
}

func pauseRedis(ctx context.Context, s *Strike) int64 {
	n := s.running(ctx)
	_ = s.Rig.Redis.Signal(syscall.SIGSTOP)
	pause(ctx, s.between(200*time.Millisecond, rig.Take+rig.Trust))
	_ = s.Rig.Redis.Signal(syscall.SIGCONT)
	return n
}

func clientPause(ctx context.Context, s *Strike) int64 {
	n := s.running(ctx)
	d := s.between(200*time.Millisecond, rig.Take)
	s.Rig.Redis.Admin.Do(ctx, "client", "pause", d.Milliseconds(), "ALL")
	pause(ctx, d)
	return n
}

// full makes Redis refuse whatever needs memory, and kills all while it does.
func full(ctx context.Context, s *Strike) int64 {
	r := s.Rig.Redis
	n := -r.Info(ctx, "errorstats", "errorstat_OOM")
	r.Admin.ConfigSet(ctx, "maxmemory", "1mb")
	pause(ctx, s.between(200*time.Millisecond, time.Second))
	if got := s.Load.KillAll(ctx, s.IntN(2) == 0); got.Type != history.OK {
		n = 0 // the report will say that it never bit; the answers say why
	}
	pause(ctx, s.between(200*time.Millisecond, time.Second))
	n += r.Info(ctx, "errorstats", "errorstat_OOM")
	r.Admin.ConfigSet(context.WithoutCancel(ctx), "maxmemory", "0")
	return n
}

// poison puts on the road what is no job.
func poison(ctx context.Context, s *Strike) int64 {
	r := s.Rig.Redis.Admin
	slot := fmt.Sprintf("{%s:%d}:", rig.Name, s.IntN(s.Rig.Partitions))
	before := r.XLen(ctx, slot+"aside").Val()
	id := fmt.Sprintf("poison-%d", s.Int64())
	r.Set(ctx, slot+"job:"+id, "not a hash", 0)
	for _, fields := range [][]any{{"job", id}, {"job", "poison-unknown"}, {"x", "y"}, {"job", ""}, {"job", "{x}:*", "job", "twice"}} {
		r.Do(ctx, append([]any{"XADD", slot + "road", "*"}, fields...)...)
	}
	pause(ctx, s.between(500*time.Millisecond, time.Second))
	r.Del(context.WithoutCancel(ctx), slot+"job:"+id)
	return r.XLen(ctx, slot+"aside").Val() - before
}
