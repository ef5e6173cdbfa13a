package cmd_test

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/worker"
)

// deafKubernetes is an API server that takes a request and never answers; paths
// are those it was asked for.
func deafKubernetes(t *testing.T) (account string, paths chan string) {
	t.Helper()
	paths = make(chan string, 100)
	api := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		paths <- r.URL.Path
		<-r.Context().Done()
	}))
	t.Cleanup(api.Close)
	account = t.TempDir()
	for name, text := range map[string]string{
		"token": "t", "namespace": "gavel", "ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(account, name), []byte(text), 0o600))
	}
	host, port, err := net.SplitHostPort(api.Listener.Addr().String())
	require.NoError(t, err)
	t.Setenv("KUBERNETES_SERVICE_HOST", host)
	t.Setenv("KUBERNETES_SERVICE_PORT", port)
	return account, paths
}

// A worker in a pod whose API server hangs obeys a kill and drains as any other.
func TestNeitherKillNorDrainWaitsForKubernetes(t *testing.T) {
	account, paths := deafKubernetes(t)
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	require.NoError(t, f.startDispatcher("dispatcher", func(string) string { return "" }))
	cfg, err := worker.Parse([]string{
		"--redis=" + f.ground.url, "--fleet=" + f.name, "--id=w1", "--listen=", "--slots=2", "--canary", "--pod=gavel-worker-1",
		"--lease-renew=250ms", "--lease-trust=1s", "--lease-take=1500ms",
	}, nil, io.Discard)
	require.NoError(t, err)
	cfg.Account = account
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	over := make(chan error, 1)
	work, drain := context.WithCancel(ctx)
	go func() { over <- worker.Run(work, cfg, nil, zap.NewNop()) }()
	defer drain()

	require.Equal(t, "/api/v1/namespaces/gavel/pods/gavel-worker-1/status", <-paths)
	alice := f.as("alice")
	done, err := alice.Submit(ctx, client.Submission{Kind: "canary", Input: rawJSON(`{"steps":1000,"step_ms":20}`)})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		j, err := alice.Job(ctx, done.ID)
		return err == nil && j.State == client.Running
	}, patience, 10*time.Millisecond)
	from := time.Now()
	r, err := alice.Kill(ctx, done.ID, client.Kill{Reason: "enough", Wait: 5 * time.Second})
	require.NoError(t, err)
	require.Equal(t, client.Quiesced, r.Stage)
	drain()
	require.NoError(t, <-over)
	require.Less(t, time.Since(from), 5*time.Second)
}
