package simulation

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving runs a simulation with these flags and returns its address.
func serving(t *testing.T, args ...string) string {
	t.Helper()
	var cfg Config
	require.NoError(t, settings.Parse("modelsim", "", &cfg, append([]string{"--listen", "127.0.0.1:0"}, args...), nil, io.Discard))
	ctx, cancel := context.WithCancel(t.Context())
	addr, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, func(a string) { addr <- a }) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		require.NoError(t, <-ended)
	})
	return "http://" + <-addr
}

func ask(ctx context.Context, t *testing.T, base string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/chat/completions",
		strings.NewReader(`{"model":"simulated","messages":[{"role":"user","content":"why?"}]}`))
	require.NoError(t, err)
	return http.DefaultClient.Do(req)
}

func TestSimulationServesUntilItIsStopped(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serving(t)+"/v1/models", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Error(t, Run(t.Context(), Config{Listen: "127.0.0.1:-1"}, nil))
	require.ErrorContains(t, Run(t.Context(), Config{Errors: 600, Hangs: 600}, nil), "1200 per mille")
}

// Every flag reaches the server.
func TestTheFlagsMakeTheServerSo(t *testing.T) {
	for want, args := range map[int][]string{
		http.StatusOK:                 {"--latency", "0s", "--pace", "0"},
		http.StatusServiceUnavailable: {"--errors", "1000"},
		http.StatusTooManyRequests:    {"--throttle", "1000", "--retry-after", "7s"},
	} {
		resp, err := ask(t.Context(), t, serving(t, args...))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, args)
		if want == http.StatusTooManyRequests {
			require.Equal(t, "7", resp.Header.Get("Retry-After"))
		}
	}
	for _, args := range [][]string{{"--hangs", "1000", "--latency", "0s"}, {"--latency", "1h"}} {
		base := serving(t, args...)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := ask(ctx, t, base)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, args)
	}
	defaults := Config{}
	require.NoError(t, settings.Parse("modelsim", "", &defaults, nil, nil, io.Discard))
	require.Equal(t, 200*time.Millisecond, defaults.server().Latency)
	require.Equal(t, 200, defaults.server().Pace)
}
