package dev

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAFleetRunsJobsDrainsAWorkerAndEnds(t *testing.T) {
	f, err := Start(t.Context(), Config{Workers: 2, Slots: 2}, zap.NewNop())
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	alice, err := client.New(f.URL(), client.WithKey(Alice))
	require.NoError(t, err)
	got, err := alice.Submit(t.Context(), client.Submission{Kind: "canary", Input: map[string]any{"steps": 2, "step_ms": 20}})
	require.NoError(t, err)
	j, err := alice.Wait(t.Context(), got.ID)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, j.State)

	require.Equal(t, []string{"worker-1", "worker-2"}, f.Workers())
	require.NoError(t, f.Drain("worker-1"))
	require.NoError(t, f.Drain("worker-1"), "it may be asked again")
	require.ErrorContains(t, f.Drain("worker-9"), "there are [worker-1 worker-2]")
	select {
	case err := <-f.Failed():
		t.Fatalf("a drained worker has not failed: %v", err)
	default:
	}
	require.NotNil(t, f.Witness())
	require.NoError(t, f.Close())
}

func TestEachCredentialIsWhoItSaysItIs(t *testing.T) {
	f, err := Start(t.Context(), Config{}, zap.NewNop())
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.Len(t, Credentials(), 3)
	for _, cred := range Credentials() {
		c, err := client.New(f.URL(), client.WithKey(cred.Token))
		require.NoError(t, err)
		_, err = c.Fleet(t.Context())
		if cred.Token == Admin {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, client.ErrForbidden)
	}
}

func TestStartRefusesWhatItShouldNotStart(t *testing.T) {
	for _, cfg := range []Config{
		{Listen: "0.0.0.0:0"},
		{Listen: ":7070"},
		{Listen: "nonsense"},
		{Workers: 65},
		{ModelURL: "http://127.0.0.1:1/v1"},
	} {
		_, err := Start(t.Context(), cfg, zap.NewNop())
		require.ErrorIs(t, err, ErrConfig, "%+v", cfg)
	}
}

func TestAStartThatFailsLeavesNothingBehind(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	_, err = Start(t.Context(), Config{Listen: ln.Addr().String()}, zap.NewNop())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
}

func TestAPartThatEndsByItselfIsTold(t *testing.T) {
	failed := make(chan error, 1)
	p := begin(t.Context(), "part", failed, func(context.Context, *process) error { return nil })
	require.ErrorContains(t, <-failed, "part ended by itself")
	require.NoError(t, p.stop())
}

func TestCloseDoesNotTakeLongWithNothingRunning(t *testing.T) {
	f, err := Start(t.Context(), Config{Workers: 3}, zap.NewNop())
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, f.Close())
	require.Less(t, time.Since(began), 5*time.Second)
}
