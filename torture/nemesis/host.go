package nemesis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/rig"
)

// ClockJumps is the name of the fault that needs a compiler.
const ClockJumps = "redis-clock-jumps"

func ofHosts() []Nemesis {
	return []Nemesis{
		{ClockJumps, "jobs that ran", clockJumps},
		{"redis-disk-full", "writes refused", diskFull},
		{"redis-file-corrupt", "starts refused", fileCorrupt},
		{"redis-no-room-for-clients", "connections refused", tooMany},
		{"redis-password-changed", "logins refused", wrongPassword},
		{"redis-password-rotated", "new logins", newPassword},
		{"operator-deletes", "keys and groups", deletes},
	}
}

// clockJumps moves the clock of Redis's host by whole hours, so that the judge
// can tell what it was.
func clockJumps(ctx context.Context, s *Strike) int64 {
	n := s.running(ctx)
	for range 2 {
		by := []time.Duration{-2 * time.Hour, -time.Hour, time.Hour, 2 * time.Hour, 23 * time.Hour}[s.IntN(5)]
		if s.Rig.Redis.Jump(by) != nil {
			n = 0
		}
		pause(ctx, s.between(100*time.Millisecond, rig.Take+rig.Trust))
	}
	if err := s.Rig.Redis.Jump(0); err != nil {
		panic(fmt.Sprintf("the clock of redis does not come back: %v", err)) // nothing of the run would mean anything
	}
	return n
}

// diskFull has Redis's file not grow any more.
func diskFull(ctx context.Context, s *Strike) int64 {
	r := s.Rig.Redis
	_, size := r.File()
	n := -r.Info(ctx, "errorstats", "errorstat_MISCONF")
	if r.Grow(uint64(size)) != nil {
		return 0
	}
	pause(ctx, s.between(500*time.Millisecond, rig.Take+rig.Trust))
	n += r.Info(ctx, "errorstats", "errorstat_MISCONF")
	_ = r.Grow(0) // it could be lowered
	return n
}

// fileCorrupt spoils the middle of Redis's file: a server that starts on it has
// lost orders without a word.
func fileCorrupt(ctx context.Context, s *Strike) int64 {
	r := s.Rig.Redis
	r.Kill()
	mend, err := r.Corrupt()
	refused := int64(0)
	if err == nil {
		if r.Start(context.WithoutCancel(ctx)) != nil {
			refused = 1
		} else {
			r.Kill()
		}
		err = mend()
	}
	if err == nil {
		err = r.Start(context.WithoutCancel(ctx))
	}
	if err != nil {
		panic(fmt.Sprintf("redis does not come back: %v", err)) // nothing of the run would mean anything
	}
	return refused
}

// tooMany leaves Redis no room for new connections, and ends all there are.
func tooMany(ctx context.Context, s *Strike) int64 {
	r := s.Rig.Redis
	n := -r.Info(ctx, "stats", "rejected_connections")
	admin := r.Conn()
	defer func() { _ = admin.Close() }()
	admin.ConfigSet(ctx, "maxclients", strconv.Itoa(2+s.IntN(20)))
	admin.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes")
	pause(ctx, s.between(300*time.Millisecond, rig.Take))
	admin.ConfigSet(context.WithoutCancel(ctx), "maxclients", "10000")
	return n + r.Info(context.WithoutCancel(ctx), "stats", "rejected_connections")
}

// wrongPassword changes the fleet's password before the fleet knows the new one.
func wrongPassword(ctx context.Context, s *Strike) int64 {
	r := s.Rig.Redis
	n := -r.Info(ctx, "errorstats", "errorstat_WRONGPASS")
	r.Admin.Do(ctx, "acl", "setuser", rig.User, "resetpass", ">another")
	r.Admin.ClientKillByFilter(ctx, "USER", rig.User)
	pause(ctx, s.between(300*time.Millisecond, rig.Take+rig.Trust))
	n += r.Info(ctx, "errorstats", "errorstat_WRONGPASS")
	r.Admin.Do(context.WithoutCancel(ctx), "acl", "setuser", rig.User, "resetpass", ">"+r.Password())
	return n
}

// newPassword changes the fleet's password for good, in Redis first and then in the
// file of everybody, and ends all connections.
func newPassword(ctx context.Context, s *Strike) int64 {
	ctx = context.WithoutCancel(ctx)
	r := s.Rig.Redis
	err := r.NewPassword(ctx, fmt.Sprintf("of-the-fleet-%d", s.Int64()), func() {
		r.Admin.ClientKillByFilter(ctx, "USER", rig.User)
		pause(ctx, s.between(0, rig.Trust))
	})
	if err != nil {
		panic(err.Error()) // nothing of the run would mean anything
	}
	pause(ctx, s.between(rig.Trust, rig.Take))
	return int64(strings.Count(r.Admin.ClientList(ctx).Val(), "user="+rig.User+" "))
}

// deletes removes what an operator may think is nothing: what only makes the
// fleet faster, and what it makes again by itself.
func deletes(ctx context.Context, s *Strike) int64 {
	var n int64
	r := s.Rig.Redis.Admin
	for p := range s.Rig.Partitions {
		slot := fmt.Sprintf("{%s:%d}:", rig.Name, p)
		n += r.XGroupDestroy(ctx, slot+"road", "fleet").Val()
		pause(ctx, s.between(0, 200*time.Millisecond))
		n += r.Del(ctx, slot+"wake", slot+"control", slot+"pace", slot+"beat").Val()
		for _, m := range s.Rig.Workers {
			n += r.Del(ctx, slot+"attempt:"+m.Name(), slot+"hints:"+m.Name()).Val()
		}
		pause(ctx, s.between(0, 300*time.Millisecond))
	}
	return n
}
