package cmd_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
)

// How the bucket behaves.
const (
	well int32 = iota
	refuses
	hangs
)

// bucketed is a fleet whose states are in a bucket of an S3-compatible server that
// nobody here wrote, and that can be made to refuse and to hang.
type bucketed struct {
	*fleet
	t      *testing.T
	mood   atomic.Int32
	states []string // settings
	objs   func() int
}

func newBucketed(t *testing.T, more ...string) *bucketed {
	t.Helper()
	b := &bucketed{t: t}
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("states"))
	inner := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch b.mood.Load() {
		case refuses:
			http.Error(w, "refused", http.StatusServiceUnavailable)
		case hangs:
			_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that the client goes
			<-r.Context().Done()
		default:
			inner.ServeHTTP(w, r)
		}
	}))
	b.objs = func() int {
		list, err := backend.ListBucket("states", &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
		require.NoError(t, err)
		return len(list.Contents)
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "bucket.key")
	require.NoError(t, os.WriteFile(key, []byte("id secret\n"), 0o600))
	b.states = []string{
		"GAVEL_CHECKPOINTS=s3://states/gavel", "GAVEL_CHECKPOINTS_ENDPOINT=" + server.URL, "GAVEL_CHECKPOINTS_REGION=us-east-1",
		"GAVEL_CHECKPOINTS_KEY_FILE=" + key, "GAVEL_CHECKPOINTS_PATIENCE=1s",
	}
	b.states = append(b.states, more...)
	b.fleet = newFleet(t, dir, 1)
	t.Cleanup(func() {
		b.mood.Store(well)
		b.end()
		server.CloseClientConnections()
		server.Close()
	})
	require.NoError(t, b.startDispatcher("dispatcher", nothing, b.states...))
	return b
}

func nothing(string) string { return "" }

// canary submits one that takes a checkpoint after each step.
func (b *bucketed) canary(ctx context.Context, steps, stepMS int) string {
	b.t.Helper()
	done, err := b.as("alice").Submit(ctx, client.Submission{Kind: "canary", MaxAttempts: 50, Input: map[string]any{
		"steps": steps, "step_ms": stepMS, "calls_per_step": 1, "call_micro_usd": 100, "checkpoint": true,
	}})
	require.NoError(b.t, err)
	return done.ID
}

// until waits for a job to be as it is asked.
func (b *bucketed) until(id string, what string, is func(client.Job) bool) client.Job {
	b.t.Helper()
	var j client.Job
	require.NoError(b.t, eventually(func(ctx context.Context) (err error) {
		if j, err = b.as("alice").Job(ctx, id); err == nil && !is(j) {
			err = fmt.Errorf("%s is %s at checkpoint %d, not %s: %s", id, j.State, j.Checkpoint, what, j.Error)
		}
		return err
	}))
	return j
}

func reached(n uint64) func(client.Job) bool {
	return func(j client.Job) bool { return j.Checkpoint >= n }
}

func in(s client.State) func(client.Job) bool { return func(j client.Job) bool { return j.State == s } }

// States in a bucket: a job goes on from them on another worker.
func TestAJobGoesOnFromItsStateInABucket(t *testing.T) {
	t.Parallel()
	ctx, b := t.Context(), newBucketed(t)
	require.NoError(t, b.startWorker("w1", nothing, b.states...))
	id := b.canary(ctx, 60, 30)
	b.until(id, "at 5", reached(5))
	require.NoError(t, b.processes["w1"].signal("KILL"))
	require.NoError(t, b.startWorker("w2", nothing, b.states...))
	j := b.until(id, "succeeded", in(client.Succeeded))
	require.Equal(t, 2, j.Grants)
	require.GreaterOrEqual(t, j.Checkpoint, uint64(60))
	require.LessOrEqual(t, j.Spent, client.MicroUSD(6200), "no step whose state was kept was paid for again")
	require.InDelta(t, 5, b.objs(), 1, "the last four, the mark, and at most the one whose record the kill prevented")
	all, err := b.as("alice").Checkpoints(ctx, id)
	require.NoError(t, err)
	require.Len(t, all, 4)
	require.True(t, all[3].Sound)
}

// A bucket that is away costs attempts, and nothing else: the job says why, and
// goes on when it is back.
func TestABucketThatIsAwayIsTriedAgain(t *testing.T) {
	t.Parallel()
	ctx, b := t.Context(), newBucketed(t)
	require.NoError(t, b.startWorker("w1", nothing, append(b.states, "GAVEL_PRIVATE_LISTEN=127.0.0.1:0")...))
	id := b.canary(ctx, 100, 20)
	b.until(id, "at 3", reached(3))
	b.mood.Store(refuses)
	j := b.until(id, "tried again", func(j client.Job) bool { return j.Attempts > 0 })
	require.Contains(t, j.Error, "checkpoint store away")
	_, err := b.as("alice").Checkpoints(ctx, id)
	require.ErrorIs(t, err, client.ErrStoreUnavailable, "not known is not the same as none")
	b.mood.Store(well)
	require.Equal(t, client.Succeeded, b.until(id, "succeeded", in(client.Succeeded)).State)
	_, err = b.processes["w1"].logged(regexp.MustCompile(`checkpoint store away; trying again`))
	require.NoError(t, err)
	addr, err := b.processes["w1"].said("metrics, profiles and log level", "addr")
	require.NoError(t, err)
	page, err := scraped(ctx, addr)
	require.NoError(t, err)
	require.Regexp(t, `gavel_checkpoint_store_errors_total\{call="(put|get)"\} [1-9]`, page, "an alert has something to go by")
	require.Regexp(t, `gavel_checkpoint_store_calls_total\{call="put"\} [1-9]`, page)
}

// scraped is a process's page of metrics.
func scraped(ctx context.Context, addr string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	page, err := io.ReadAll(resp.Body)
	return string(page), err
}

// A bucket that hangs holds neither a kill nor a drain.
func TestABucketThatHangsHoldsNoKillAndNoDrain(t *testing.T) {
	t.Parallel()
	b := newBucketed(t) // a lease ends after 1.5 s: the kill has to be confirmed before
	ctx := t.Context()
	require.NoError(t, b.startWorker("w1", nothing, append(b.states, "GAVEL_CHECKPOINTS_PATIENCE=10m")...))
	first, second := b.canary(ctx, 1000, 20), b.canary(ctx, 1000, 20)
	b.until(first, "at 3", reached(3))
	b.until(second, "at 3", reached(3))
	b.mood.Store(hangs)
	asked := time.Now()
	r, err := b.as("alice").Kill(ctx, first, client.Kill{Reason: "hangs", Wait: 20 * time.Second})
	require.NoError(t, err)
	require.Equal(t, client.Stopped, r.Verdict)
	require.Less(t, time.Since(asked), 8*time.Second, "its last state is given up")

	asked = time.Now()
	require.NoError(t, b.processes["w1"].signal("TERM"))
	code, err := b.processes["w1"].exits()
	require.NoError(t, err)
	require.Zero(t, code, "the job was handed back")
	require.Less(t, time.Since(asked), 12*time.Second)
	j := b.until(second, "queued", in(client.Queued))
	require.Zero(t, j.Attempts)
}
