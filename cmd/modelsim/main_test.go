package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSimulationServesUntilItIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- run(ctx, config{Listen: "127.0.0.1:0", Seed: 1}, func(a string) { addr <- a }) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+<-addr+"/v1/models", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	cancel()
	require.NoError(t, <-ended)

	require.Error(t, run(t.Context(), config{Listen: "127.0.0.1:-1"}, nil))
}
