package deployment

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dispatcher"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/cmd/internal/worker"
	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/redistest"
)

const (
	wait = 30 * time.Second
	tick = 20 * time.Millisecond
)

// fleet is a dispatcher and workers, each under its own user of Redis.
type fleet struct {
	guarded

	t   *testing.T
	log *zap.Logger
	api *client.Client
}

func (f *fleet) redis(user string) settings.Redis {
	return settings.Redis{Address: settings.Address{URL: f.url(user), Fleet: "gavel"}, Partitions: 1}
}

func startFleet(t *testing.T) *fleet {
	t.Helper()
	t.Setenv("GAVEL_CANARY", "true") // the jobs that this test submits
	f := &fleet{guarded: guard(t, redistest.Options{}), t: t, log: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))}
	key, secret, err := access.NewKey(access.Key{Subject: "ann", Owner: "ann", Roles: []access.Role{access.Owner, access.Operator, access.Admin}})
	require.NoError(t, err)
	keys, err := access.NewKeys([]access.Key{key})
	require.NoError(t, err)
	cfg, err := dispatcher.Parse([]string{"--keys-file=none", "--listen=127.0.0.1:0"}, nil, io.Discard)
	require.NoError(t, err)
	cfg.Redis, cfg.Timing, cfg.Auth = f.redis("dispatcher"), quick(), keys
	ready := make(chan string, 1)
	f.run(func(ctx context.Context) error {
		return dispatcher.Run(ctx, cfg, f.log, func(addr string) { ready <- addr })
	})
	f.api, err = client.New("http://"+<-ready, client.WithKey(secret))
	require.NoError(t, err)
	return f
}

// quick is a formula of trust that a test can wait for.
func quick() settings.Timing {
	return settings.Timing{Renew: 200 * time.Millisecond, Trust: 800 * time.Millisecond, Take: 1200 * time.Millisecond}
}

// run runs a process until the test ends or it is stopped; it must end cleanly.
func (f *fleet) run(process func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- process(ctx); close(ended) }()
	stop = func() {
		cancel()
		require.NoError(f.t, <-ended)
	}
	f.t.Cleanup(stop)
	return stop
}

func (f *fleet) worker(id string) (stop func()) {
	f.t.Helper()
	cfg, err := worker.Parse([]string{"--listen=", "--backoff=50ms", "--model-url=http://127.0.0.1:1/v1", "--model=simulated"}, nil, io.Discard)
	require.NoError(f.t, err)
	cfg.Redis, cfg.Timing, cfg.ID = f.redis("worker"), quick(), id
	stop = f.run(func(ctx context.Context) error { return worker.Run(ctx, cfg, nil, f.log) })
	require.Eventually(f.t, func() bool {
		view, err := f.api.Fleet(f.t.Context())
		require.NoError(f.t, err)
		for _, w := range view.Workers {
			if w.ID == id {
				return true
			}
		}
		return false
	}, wait, tick)
	return stop
}

func (f *fleet) submit(input map[string]any) string {
	f.t.Helper()
	got, err := f.api.Submit(f.t.Context(), client.Submission{Kind: "canary", Input: input})
	require.NoError(f.t, err)
	return got.ID
}

// becomes waits until a job is in a state.
func (f *fleet) becomes(id string, want client.State) (j client.Job) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		var err error
		j, err = f.api.Job(f.t.Context(), id)
		require.NoError(f.t, err)
		return j.State == want
	}, wait, tick, "%s is not %s", id, want)
	return j
}

func (f *fleet) until(id, worker string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		j, err := f.api.Job(f.t.Context(), id)
		return err == nil && j.State == client.Running && j.Worker == worker && j.Checkpoint > 0
	}, wait, tick, "%s does not run on %s", id, worker)
}

// Jobs that succeed, fail, wait, are killed, handed back and taken over; a
// freeze, a kill-all and a thaw: none of it needs a right that a user lacks.
func TestAWholeFleetLivesUnderItsUsers(t *testing.T) {
	f := startFleet(t)
	first := f.worker("first")
	long := map[string]any{"steps": 1000, "step_ms": 100, "checkpoint": true, "events": true, "calls_per_step": 1, "call_micro_usd": 1}

	f.becomes(f.submit(map[string]any{"steps": 2, "calls_per_step": 2, "call_micro_usd": 5, "checkpoint": true, "events": true}), client.Succeeded)
	f.becomes(f.submit(map[string]any{"fail": "retryable", "fail_times": 1}), client.Succeeded)
	f.becomes(f.submit(map[string]any{"fail": "permanent"}), client.Failed)
	parked := f.submit(map[string]any{"park_at": 1})
	f.becomes(parked, client.Parked)
	f.kill(parked, client.NotRunning)

	running := f.submit(long)
	f.until(running, "first")
	f.kill(running, client.Stopped)

	handed := f.submit(long)
	f.until(handed, "first")
	second := f.worker("second")
	first()
	f.until(handed, "second")

	f.killAll()
	f.becomes(handed, client.Killed)
	second()
	require.Empty(t, f.refused(t), "Redis refused what a process of ours needs")
}

func (f *fleet) kill(id string, want client.Verdict) {
	f.t.Helper()
	r, err := f.api.Kill(f.t.Context(), id, client.Kill{Reason: "test", Wait: 10 * time.Second})
	require.NoError(f.t, err)
	require.Equal(f.t, want, r.Verdict)
	f.becomes(id, client.Killed)
}

func (f *fleet) killAll() {
	f.t.Helper()
	r, err := f.api.KillAll(f.t.Context(), client.KillAll{Reason: "test", Confirm: "gavel", Wait: 20 * time.Second})
	require.NoError(f.t, err)
	require.Equal(f.t, client.Quiesced, r.Stage)
	view, err := f.api.Fleet(f.t.Context())
	require.NoError(f.t, err)
	require.True(f.t, view.Gate.Frozen)
	_, err = f.api.Thaw(f.t.Context(), view.Gate.Head, "test")
	require.NoError(f.t, err)
	for _, err := range f.api.Audit(f.t.Context(), client.AuditQuery{}) {
		require.NoError(f.t, err)
	}
}

// Redis forgets its scripts when it restarts; under these rights, too, they come
// back with the next call.
func TestScriptsComeBackUnderTheUsersOfTheFile(t *testing.T) {
	f := startFleet(t)
	f.worker("only")
	f.becomes(f.submit(map[string]any{"steps": 1}), client.Succeeded)
	require.NoError(t, f.admin.ScriptFlush(t.Context()).Err())
	f.becomes(f.submit(map[string]any{"steps": 1}), client.Succeeded)
	require.Empty(t, f.refused(t))
}
