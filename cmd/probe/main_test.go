package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProbeTellsWellFromIll(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/well" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	require.NoError(t, run(t.Context(), []string{srv.URL + "/well"}))
	require.ErrorContains(t, run(t.Context(), []string{srv.URL + "/ill"}), "503")
	srv.Close()
	require.Error(t, run(t.Context(), []string{srv.URL + "/well"}), "nobody answers")
	require.Error(t, run(t.Context(), nil))
}
