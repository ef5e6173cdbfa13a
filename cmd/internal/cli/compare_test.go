package cli

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/modelsim"
)

func TestAProblemIsAskedBothWays(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	got := outcome(t.Context(), t, Process{Out: &out, Err: &out}, "compare", "../../../examples/build-or-buy.json").ok()
	for _, want := range []string{"build-or-buy", "one plain call", "votes with a confidence", "simulated"} {
		require.Contains(t, got, want)
	}
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "compare", "no-such-file").fails(codeUsage, "no-such-file")
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "compare", "--model", "unheard-of", "../../../examples/build-or-buy.json").fails(codeUsage, "--model-url")
}

// The way to a real model: a server of its own, which wants a key, and a model whose
// price is in a file. The page does not call that simulated.
func TestAComparisonAsksARealServerWithItsKey(t *testing.T) {
	t.Parallel()
	sim, err := modelsim.New(modelsim.Config{Seed: 5})
	require.NoError(t, err)
	keys := make(chan string, 1000)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("Authorization")
		if r.Header.Get("Authorization") != "Bearer sk-real" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"message":"no such key"}}`)
			return
		}
		sim.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good, bad := write("good.key", "sk-real\n"), write("bad.key", "sk-other")
	prices := write("prices.json", `{"as_of":"2026-01-01","models":{"house-model":{"input":1000000,"output":2000000}}}`)
	problem := write("sundays.json", `{"problem":"Should we open on Sundays?","max_rounds":1,"max_sub_problems":1}`)
	ask := func(more ...string) said {
		args := append([]string{"compare", "--model-url", web.URL + "/v1", "--model", "house-model", problem}, more...)
		var out bytes.Buffer
		return outcome(t.Context(), t, Process{Out: &out, Err: &out}, args...)
	}
	page := ask("--prices", prices, "--model-key-file", good).ok()
	require.Contains(t, page, "the model `house-model`")
	require.Contains(t, page, "| together |")
	require.NotContains(t, page, "A simulated model server wrote these texts")
	require.Equal(t, "Bearer sk-real", <-keys)
	require.Greater(t, sim.Totals().Requests, 10)
	asked := sim.Totals().Requests

	ask("--prices", prices, "--model-key-file", bad).fails(codeFailed, "no such key")
	ask("--prices", prices).fails(codeFailed, "401")
	ask("--model-key-file", good).fails(codeFailed, "house-model")
	ask("--model-key-file", filepath.Join(dir, "none.key")).fails(codeUsage, "none.key")
	ask("--prices", problem).fails(codeUsage, "--prices")
	require.Equal(t, asked, sim.Totals().Requests, "nobody without the key was answered")
}
