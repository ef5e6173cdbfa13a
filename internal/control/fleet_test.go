package control

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// fleet is a control plane on a real Redis, and the scripts of the rooms beside
// it, by which jobs come and go.
type fleet struct {
	*Redis

	client  *redis.Client
	ps      rediskit.Partitions
	beside  map[string]*rediskit.Script
	runner  rediskit.Runner
	samples map[int]Sampler
}

func newFleet(t *testing.T, partitions int) *fleet {
	t.Helper()
	s := redistest.Start(t)
	f := &fleet{client: s.Client(t), ps: rediskit.Partitions{Fleet: s.Fleet, Count: partitions}, beside: map[string]*rediskit.Script{}, samples: map[int]Sampler{}}
	f.runner = rediskit.Runner{Client: f.client, Profile: rediskit.Server}
	for room, names := range map[string][]string{
		"stream": {"submit", "promote", "resume"}, "lease": {"grant", "finish", "release", "park", "retry"}, "budget": {"reserve"},
	} {
		for _, name := range names {
			script, err := rediskit.Load(os.DirFS("../"+room), name)
			require.NoError(t, err)
			f.beside[name] = script
		}
	}
	c, err := NewRedis(f.runner, f.ps, 15*time.Second, zap.NewNop())
	require.NoError(t, err)
	f.Redis = c
	for _, p := range f.ps.All() {
		f.samples[p] = idleSampler{}
	}
	return f
}

// idleSampler never finds a lease ripe.
type idleSampler struct{}

func (idleSampler) Tick(context.Context) (job.Ripe, bool, error) { return job.Ripe{}, false, nil }
func (idleSampler) Drop()                                        {}
func (idleSampler) Leave(context.Context) error                  { return nil }

// clerk is another dispatcher's clerk, until the test ends.
func (f *fleet) clerk(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	k := Clerk{Control: f.Redis, Samplers: f.samples, Every: time.Hour, SweepEvery: 5 * time.Millisecond, Log: zap.NewNop()}
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func (f *fleet) script(ctx context.Context, name string, at rediskit.Place, args rediskit.Args) (rediskit.Reply, error) {
	return f.runner.Run(ctx, f.beside[name], at, args)
}

// submit sends a job and gives its id, or what refuses it.
func (f *fleet) submit(ctx context.Context, owner, kind, labels string) (job.ID, string, error) {
	p := f.ps.Of(owner)
	id, err := f.ps.NewID(p)
	if err != nil {
		return "", "", err
	}
	reply, err := f.script(ctx, "submit", rediskit.Place{Slot: f.ps.Slot(p), Owner: owner, Idem: string(id)}, rediskit.Args{
		"id": string(id), "owner": owner, "submitter": owner, "kind": kind, "labels": labels, "input": "{}", "budget": 1000,
		"max_attempts": 3, "timeout": 0, "digest": "d", "floor": 0, "idem_seconds": 600, "seen": "", "from": "", "from_seq": "", "place": "", "who": "", "models": "", "trace": "",
	})
	if err != nil {
		return "", "", err
	}
	if reply.Word != "created" {
		return "", reply.Word + " " + reply.Str(0), nil
	}
	return id, "", nil
}

func (f *fleet) mustSubmit(t *testing.T, owner, kind, labels string) job.ID {
	t.Helper()
	id, refused, err := f.submit(t.Context(), owner, kind, labels)
	require.NoError(t, err)
	require.Empty(t, refused)
	return id
}

// held is a job that a worker was given.
type held struct {
	id    job.ID
	epoch string
}

// grant takes up to slots jobs from a partition.
func (f *fleet) grant(ctx context.Context, p int, worker, nonce string, slots int) ([]held, error) {
	reply, err := f.script(ctx, "grant", rediskit.Place{Slot: f.ps.Slot(p), Worker: worker},
		rediskit.Args{"worker": worker, "nonce": nonce, "slots": slots, "scan": 4 * slots, "seen": ""})
	if err != nil || reply.Word == "frozen" || reply.Word == "paced" {
		return nil, err
	}
	var out []held
	for i := 1; i < len(reply.Rest); i++ {
		v := reply.List(i)
		out = append(out, held{job.ID(rediskit.Text(v[0])), rediskit.Text(v[1])})
	}
	return out, nil
}

func (f *fleet) mustGrant(t *testing.T, nonce string) (out []held) {
	t.Helper()
	for _, p := range f.ps.All() {
		hs, err := f.grant(t.Context(), p, "w1", nonce, 50)
		require.NoError(t, err)
		out = append(out, hs...)
	}
	return out
}

// end ends a claim by finish, release, park or retry, and gives its word.
func (f *fleet) end(ctx context.Context, script, worker string, h held) (string, error) {
	args := rediskit.Args{"id": string(h.id), "worker": worker, "epoch": h.epoch}
	more := map[string]rediskit.Args{
		"finish": {"outcome": "succeeded", "cause": "done", "result": "{}", "error": "", "delivered": "", "cancelled": "", "returned": ""},
		"park":   {"reason": "input", "questions": "[]"}, "release": {"cause": "draining"}, "retry": {"error": "x", "due": "1"},
	}
	for k, v := range more[script] {
		args[k] = v
	}
	reply, err := f.script(ctx, script, rediskit.Place{Slot: f.ps.Slot(h.id.Partition())}, args)
	return reply.Word, err
}

func (f *fleet) record(t *testing.T, id job.ID) job.Job {
	t.Helper()
	j, err := f.jobIn(t.Context(), id)
	require.NoError(t, err)
	return j
}

func (f *fleet) receipt(t *testing.T, id job.ID) job.Receipt {
	t.Helper()
	r, err := f.Receipt(t.Context(), id)
	require.NoError(t, err)
	require.True(t, r.Tally.Sums(), "%+v", r.Tally)
	return r
}

// permit is an admin's, for an act.
func permit(t interface {
	require.TestingT
	Helper()
}, act access.Act, on access.Target,
) access.Permit {
	t.Helper()
	p, err := access.Authorize(access.Actor{Subject: "root", Roles: []access.Role{access.Admin}}, act, on)
	require.NoError(t, err)
	return p
}

func asked(reason string) job.Order {
	return job.Order{Reason: reason, RequestedAt: time.Now(), Check: "preview", Expected: 3}
}

// kill issues a selector order.
func (f *fleet) kill(t *testing.T, s job.Selector, key string) job.Receipt {
	t.Helper()
	r, err := f.KillAll(t.Context(), permit(t, access.KillSelector, access.Selected(s)), asked("loud"), key)
	require.NoError(t, err)
	require.True(t, r.Tally.Sums())
	return r
}

// inFleets runs a test on one partition and on four.
func inFleets(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	for _, n := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d partitions", n), func(t *testing.T) { test(t, newFleet(t, n)) })
	}
}

// owners are spread over the partitions.
func owners(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("owner-%d", i)
	}
	return out
}

func place(f *fleet, p int, order job.ID) rediskit.Place {
	return rediskit.Place{Slot: f.ps.Slot(p), Order: string(order)}
}
