package pod

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// What a real API server knows of a pod, see make kube.
var (
	account   = flag.String("account", "", "folder of a pod's service account")
	apiServer = flag.String("server", "", "host:port of its API server")
	podName   = flag.String("pod", "", "the pod")
)

// patched is one request that the API server has seen.
type patched struct{ method, path, query, kind, token, cost string }

// server stands for the API server. What it answers can be changed.
type server struct {
	*httptest.Server
	dir string

	mu     sync.Mutex
	asked  []patched
	answer http.HandlerFunc
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{dir: t.TempDir()}
	s.says(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"kind":"Pod"}`)) })
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	s.put(t, "ca.crt", string(ca))
	s.put(t, "token", "first\n")
	s.put(t, "namespace", "fleet")
	return s
}

func (s *server) put(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
}

func (s *server) says(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Metadata struct{ Annotations map[string]string }
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	s.asked = append(s.asked, patched{
		r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), body.Metadata.Annotations[Annotation],
	})
	answer := s.answer
	s.mu.Unlock()
	answer(w, r)
}

func (s *server) heard() []patched {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]patched(nil), s.asked...)
}

func (s *server) last() patched {
	heard := s.heard()
	if len(heard) == 0 {
		return patched{}
	}
	return heard[len(heard)-1]
}

func (s *server) pod(t *testing.T, log *zap.Logger) *Pod {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	p, err := New(Config{Name: "worker-7", Host: host, Port: port, Account: s.dir, Every: time.Millisecond, Log: log})
	require.NoError(t, err)
	return p
}

// run runs it until the test ends, over a number that can be changed.
func run(t *testing.T, p *Pod) (running *atomic.Int64, stop func()) {
	t.Helper()
	running = &atomic.Int64{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx, func() (int, int) { return int(running.Load()), 8 })
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return running, stop
}

func TestTheCostFollowsTheJobsInFewSteps(t *testing.T) {
	s := newServer(t)
	running, _ := run(t, s.pod(t, zap.NewNop()))
	cost := func(want string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) { require.Equal(c, want, s.last().cost) }, patience, time.Millisecond)
	}
	cost("0") // also at the start: an earlier container of the pod may have left another
	require.Equal(t, patched{
		"PATCH", "/api/v1/namespaces/fleet/pods/worker-7/status", "fieldManager=gavel-worker", "application/merge-patch+json", "Bearer first", "0",
	}, s.last())
	running.Store(1)
	cost("25")
	running.Store(8)
	cost("100")
	s.put(t, "token", "second")
	running.Store(0)
	cost("0")
	require.Equal(t, "Bearer second", s.last().token, "tokens are renewed under a running pod")
	require.Len(t, s.heard(), 4, "nothing is written twice")
}

// An API server that nobody here wrote takes what is written of a pod there.
func TestARealServerTakesTheCost(t *testing.T) {
	if *apiServer == "" {
		t.Skip("no API server given; run make kube")
	}
	host, port, err := net.SplitHostPort(*apiServer)
	require.NoError(t, err)
	p, err := New(Config{Name: *podName, Host: host, Port: port, Account: *account, Log: zap.NewNop()})
	require.NoError(t, err)
	defer p.http.CloseIdleConnections()
	require.NoError(t, p.keep(t.Context(), level(0, 8)))
	require.NoError(t, p.keep(t.Context(), level(6, 8)))
}

func TestLevels(t *testing.T) {
	for _, c := range []struct{ running, slots, want int }{
		{0, 8, 0}, {1, 8, 25}, {2, 8, 25}, {3, 8, 50}, {6, 8, 75}, {7, 8, 100}, {8, 8, 100}, {9, 8, 100}, {1, 1, 100}, {1, 10_000, 25}, {0, 0, 0},
	} {
		require.Equal(t, c.want, level(c.running, c.slots), "%d of %d", c.running, c.slots)
	}
}

func TestARefusalIsSaidOnceAndTriedAgain(t *testing.T) {
	s := newServer(t)
	s.says(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"kind":"Status","message":"pods \"worker-7\" is forbidden"}`))
	})
	core, logs := observer.New(zap.InfoLevel)
	p := s.pod(t, zap.New(core))
	_, stop := run(t, p)
	require.Eventually(t, func() bool { return len(s.heard()) >= 3 }, patience, time.Millisecond)
	require.Equal(t, 1, logs.Len())
	require.Contains(t, logs.All()[0].ContextMap()["error"], `pods "worker-7" is forbidden`)
	s.says(func(http.ResponseWriter, *http.Request) {})
	require.Eventually(t, func() bool { return logs.FilterMessageSnippet("written again").Len() == 1 }, patience, time.Millisecond)
	stop()
	require.Equal(t, 2, logs.Len())
}

// Whatever Kubernetes does, the worker's way out is not through it.
func TestAServerThatHangsIsLeftAtOnce(t *testing.T) {
	s := newServer(t)
	entered := make(chan struct{}, 1)
	s.says(func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
	})
	_, stop := run(t, s.pod(t, zap.NewNop()))
	<-entered
	from := time.Now()
	stop()
	require.Less(t, time.Since(from), callTimeout/2)
}

func TestPausesGrowAfterFailuresAndEndWithSuccess(t *testing.T) {
	s := newServer(t)
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		fail := true
		p := s.pod(t, zap.NewNop())
		p.cfg.Every = 15 * time.Second
		p.http.Transport = roundTrip(func() (int, error) {
			at = append(at, time.Now())
			if fail {
				return 0, net.ErrClosed
			}
			return http.StatusOK, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		p.Run(ctx, func() (int, int) { return 1, 8 })
		require.Less(t, len(at), 30, "an hour of refusals")
		require.Greater(t, len(at), 6)

		at, fail = nil, false
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		n := 0
		p.Run(ctx, func() (int, int) { n++; return n % 2 * 8, 8 })
		require.InDelta(t, 240, len(at), 80, "a worker that is busy and idle in turn")
		for i := range at[1:] {
			require.GreaterOrEqual(t, at[i+1].Sub(at[i]), 7500*time.Millisecond)
		}
	})
}

type roundTrip func() (int, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTrip) RoundTrip(*http.Request) (*http.Response, error) {
	code, err := f()
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Body: http.NoBody}, nil
}

func TestAPlaceThatIsNoPodIsRefused(t *testing.T) {
	s := newServer(t)
	_, err := New(Config{Name: "w", Account: s.dir})
	require.ErrorContains(t, err, "KUBERNETES_SERVICE_HOST")
	for name, want := range map[string]string{"namespace": "automountServiceAccountToken", "token": "automountServiceAccountToken", "ca.crt": "CA"} {
		dir := newServer(t).dir
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
		_, err := New(Config{Name: "w", Host: "h", Port: "443", Account: dir})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "--pod")
	}
}
