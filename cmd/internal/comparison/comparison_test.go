package comparison

import (
	"context"
	"flag"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/examples"
	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

var update = flag.Bool("update", false, "write docs/what-deliberation-adds.md anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const page = "../../../docs/what-deliberation-adds.md"

func asker(t *testing.T, cfg modelsim.Config) (Asker, *modelsim.Server) {
	t.Helper()
	sim, err := modelsim.New(cfg)
	require.NoError(t, err)
	web := httptest.NewServer(sim.Handler())
	chat, err := model.New(model.Config{BaseURL: web.URL + "/v1"})
	require.NoError(t, err)
	t.Cleanup(func() { chat.Close(); web.Close() })
	prices, err := price.Embedded()
	require.NoError(t, err)
	return Asker{Chat: chat, Model: modelsim.Model, Prices: prices}, sim
}

// The document is what the command writes, and the bill is the server's count.
func TestTheDocumentIsWhatIsWritten(t *testing.T) {
	a, sim := asker(t, modelsim.Config{Seed: 7})
	var pairs []Pair
	var all Bill
	for _, name := range []string{"build-or-buy", "market-entry", "pricing-change"} {
		input, err := examples.Problem(name)
		require.NoError(t, err)
		p, err := a.Compare(t.Context(), name, input)
		require.NoError(t, err)
		require.Equal(t, 1, p.Plain.Calls)
		require.Greater(t, p.Deliberated.Calls, 10)
		require.Greater(t, p.Deliberated.Cost, p.Plain.Cost)
		pairs, all = append(pairs, p), all.plus(p.Plain.Bill).plus(p.Deliberated.Bill)
	}
	totals := sim.Totals()
	require.Equal(t, []int{totals.Requests, totals.InputTokens, totals.OutputTokens}, []int{all.Calls, all.InputTokens, all.OutputTokens})
	text := Document(pairs, a.Model, true)
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(text), 0o600))
	}
	want, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "write it anew: go test ./cmd/internal/comparison -update")
}

func TestWhatCannotBeComparedSaysWhy(t *testing.T) {
	a, _ := asker(t, modelsim.Config{ErrorPerMille: 1000})
	_, err := a.Compare(t.Context(), "x", []byte(`{}`))
	require.ErrorContains(t, err, "problem is missing")
	good := []byte(`{"problem":"Should we open on Sundays?"}`)
	_, err = a.Compare(t.Context(), "x", good)
	require.ErrorContains(t, err, "503")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err = a.Compare(stopped, "x", good)
	require.ErrorIs(t, err, context.Canceled)
	a.Model = "unheard-of"
	_, err = a.Compare(t.Context(), "x", good)
	require.ErrorContains(t, err, "unheard-of")
	require.NotContains(t, Document(nil, "m", false), "simulated")
}
