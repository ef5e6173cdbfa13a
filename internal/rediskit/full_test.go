package rediskit_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// full is a fleet on a server whose memory is full.
type full struct {
	t    *testing.T
	c    *redis.Client
	slot rediskit.Slot
	run  rediskit.Runner
}

// newFull sets the scene while there is room, and then takes the room away.
func newFull(t *testing.T) *full {
	t.Helper()
	own := redistest.StartOwn(t, redistest.Options{})
	f := &full{t: t, c: own.Client(t), slot: rediskit.NewSlot(own.Fleet, 0)}
	f.run = rediskit.Runner{Client: f.c, Profile: rediskit.Server}
	for seq, id := range []string{"", "J1", "J2", "J3", "J4", "J5", "J6", "J7", "J8"} {
		if id == "" {
			continue
		}
		f.do("HSET", f.slot.Of("job", id), "id", id, "state", "running", "owner", "ann", "kind", "talk", "labels", "{}", "seq", seq,
			"worker", "w1", "epoch", "1.a", "budget", 500, "spent", 0, "reserved", 50)
		f.do("HSET", f.slot.Of("reserved", id), "c1", "50 gpt")
		f.do("ZADD", f.slot.Of("leases"), 1, id)
		f.do("ZADD", f.slot.Of("live"), seq, id)
	}
	f.do("HSET", f.slot.Of("alive"), "running", 8, "running ann", 8)
	f.do("HSET", f.slot.Of("job", "J9"), "id", "J9", "state", "queued", "owner", "ann", "seq", 9, "entry", "5-1")
	f.do("XADD", f.slot.Of("road"), "5-1", "job", "J9")
	f.do("HSET", f.slot.Of("job", "J0"), "state", "succeeded", "owner", "ann")
	f.do("ZADD", f.slot.Of("over"), 1, "J0")
	f.do("HSET", f.slot.Of("reapers"), "r1", "n1")
	f.do("SET", f.slot.Of("seq"), 9)
	f.do("CONFIG", "SET", "maxmemory", 1)
	require.ErrorContains(t, f.c.Set(t.Context(), f.slot.Of("seq"), strings.Repeat("x", 100), 0).Err(), "OOM")
	return f
}

func (f *full) do(args ...any) {
	f.t.Helper()
	require.NoError(f.t, f.c.Do(f.t.Context(), args...).Err())
}

// call runs a script of the house with what it is given; the rest is empty.
func (f *full) call(name string, at rediskit.Place, given rediskit.Args, rest ...string) (string, error) {
	f.t.Helper()
	files, err := filepath.Glob("../*/lua/" + name + ".lua")
	require.NoError(f.t, err)
	files = slices.DeleteFunc(files, func(p string) bool { return strings.HasPrefix(p, "../rediskit/") }) // fragments
	require.Len(f.t, files, 1)
	s, err := rediskit.Load(os.DirFS(filepath.Dir(filepath.Dir(files[0]))), name)
	require.NoError(f.t, err)
	args := rediskit.Args{}
	for _, a := range s.Header.Args {
		if !strings.HasSuffix(a, "*") {
			args[a] = ""
		}
	}
	for k, v := range given {
		args[k] = v
	}
	at.Slot = f.slot
	reply, err := f.run.Run(f.t.Context(), s, at, args, rest...)
	return reply.Word, err
}

// held is what every key of the fleet holds, and would show any write.
func (f *full) held() map[string]string {
	f.t.Helper()
	out := map[string]string{}
	for _, k := range f.c.Keys(f.t.Context(), string(f.slot)+"*").Val() {
		out[k] = f.c.Dump(f.t.Context(), k).Val()
	}
	require.NotEmpty(f.t, out)
	return out
}

func TestWhileMemoryIsFullNothingIsAdmittedStartedOrSpent(t *testing.T) {
	f := newFull(t)
	before := f.held()
	claim := rediskit.Args{"id": "J1", "worker": "w1", "epoch": "1.a"}
	with := func(more rediskit.Args) rediskit.Args {
		for k, v := range claim {
			more[k] = v
		}
		return more
	}
	for name, c := range map[string]struct {
		at   rediskit.Place
		args rediskit.Args
	}{
		"submit": {rediskit.Place{Owner: "ann", Idem: "i"}, rediskit.Args{
			"id": "N1", "owner": "ann", "labels": "{}", "floor": 0,
			"digest": "d", "idem_seconds": 9, "kind": "talk",
		}},
		"grant":      {rediskit.Place{Worker: "w1"}, rediskit.Args{"worker": "w1", "nonce": "n", "slots": 1, "scan": 4}},
		"reserve":    {rediskit.Place{Job: "J1"}, with(rediskit.Args{"call": "c2", "model": "gpt", "max": 1})},
		"checkpoint": {rediskit.Place{Job: "J1"}, with(rediskit.Args{"seq": 1, "sum": "s", "node": "n", "data": "d", "keep": 4})},
		"transcribe": {rediskit.Place{Job: "J1"}, with(rediskit.Args{"data": "{}", "nonce": "n", "limit": 9})},
		"event":      {rediskit.Place{Job: "J1"}, with(rediskit.Args{"kind": "k", "data": "{}", "nonce": "n"})},
	} {
		_, err := f.call(name, c.at, c.args)
		require.ErrorContains(t, err, "OOM", name)
		require.Equal(t, rediskit.NotExecuted, rediskit.OutcomeOf(err), name)
	}
	require.Equal(t, before, f.held(), "a refusal writes nothing")
}

func TestAFullRedisCanStillBeStopped(t *testing.T) {
	f := newFull(t)
	info, err := f.c.Info(t.Context(), "server").Result()
	require.NoError(t, err)
	_, id, _ := strings.Cut(info, "run_id:")
	watched := rediskit.Args{"reaper": "r1", "nonce": "n1", "run_id": id[:40], "before": 2, "skip": 0, "limit": 1, "due": 9}
	claim := func(n int, more rediskit.Args) rediskit.Args {
		more["id"], more["worker"], more["epoch"] = "J"+strconv.Itoa(n), "w1", "1.a"
		return more
	}
	for _, c := range []struct {
		name, want string
		at         rediskit.Place
		args       rediskit.Args
		rest       []string
	}{
		{name: "gate", want: "frozen", args: rediskit.Args{"act": "freeze", "mark": "m1"}},
		{name: "gate", want: "thawed", args: rediskit.Args{"act": "thaw", "mark": "m2", "seen": "1.m1"}},
		{name: "deny", want: "noted", args: rediskit.Args{"act": "kill"}},
		{name: "sample", want: "sampled", args: rediskit.Args{"sampler": "r2", "nonce": "n2", "first": "1"}},
		{name: "renew", want: "beat", at: rediskit.Place{Worker: "w1"}, args: rediskit.Args{"worker": "w1"}, rest: []string{"J8", "1.a"}},
		{name: "settle", want: "settled", at: rediskit.Place{Job: "J1"}, args: rediskit.Args{"id": "J1", "call": "c1", "cost": 9, "estimated": "0"}},
		{name: "finish", want: "over", args: claim(1, rediskit.Args{"outcome": "failed"})},
		{name: "release", want: "released", args: claim(2, rediskit.Args{})},
		{name: "park", want: "parked", args: claim(3, rediskit.Args{})},
		{name: "retry", want: "delayed", args: claim(4, rediskit.Args{"due": 9})},
		{name: "reclaim", want: "reclaimed", args: watched},
		{name: "order", want: "recorded", at: rediskit.Place{Order: "O1", Idem: "order-O1"}, args: rediskit.Args{"id": "O1", "job": "J6"}},
		{name: "horizon", want: "recorded", at: rediskit.Place{Order: "O2"}, args: rediskit.Args{"id": "O2", "scope": "fleet", "freeze": "1", "mark": "m3"}},
		{name: "sweep", want: "more", at: rediskit.Place{Order: "O2"}, args: rediskit.Args{"id": "O2", "limit": 1}},
		{name: "fence", want: "fenced", args: watched},
		{name: "finish", want: "killed", args: claim(7, rediskit.Args{"outcome": "succeeded"})},
		{name: "leave", want: "left", at: rediskit.Place{Worker: "w1"}, args: rediskit.Args{"worker": "w1"}, rest: []string{"J8", "1.a"}},
		{name: "bury", want: "buried", at: rediskit.Place{Worker: "w1"}, args: rediskit.Args{"worker": "w1"}},
		{name: "forget", want: "forgotten", args: rediskit.Args{"before": 1, "limit": 9}},
	} {
		word, err := f.call(c.name, c.at, watchedOnly(c.name, c.args), c.rest...)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, word, c.name)
	}
	state := func(id string) string { return f.c.HGet(t.Context(), f.slot.Of("job", id), "state").Val() }
	require.Equal(t, string(job.Killed), state("J7"))
	require.Equal(t, string(job.Killed), state("J6"), "fenced")
	require.Equal(t, string(job.Killed), state("J2"), "released, and swept")
	require.Equal(t, "1", f.c.HGet(t.Context(), f.slot.Of("gate"), "frozen").Val())
	require.Zero(t, f.c.Exists(t.Context(), f.slot.Of("job", "J0")).Val())
}

// watchedOnly leaves out what a script's header does not name.
func watchedOnly(name string, args rediskit.Args) rediskit.Args {
	out := rediskit.Args{}
	for k, v := range args {
		if name == "reclaim" && k == "skip" || name == "fence" && k == "due" {
			continue
		}
		out[k] = v
	}
	return out
}
