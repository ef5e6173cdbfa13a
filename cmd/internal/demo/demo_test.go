package demo

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config() Config {
	return Config{
		Fleet: dev.Config{Workers: 3, Slots: 2, Simulation: modelsim.Config{Seed: 7, Latency: 40 * time.Millisecond, Pace: 3000}},
		Self:  "gavel",
	}
}

func TestTheDemoKeepsEveryPromise(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Play(t.Context(), config(), show.NewScreen(&out, false), zap.NewNop()), out.String())
	text := out.String()
	require.NotContains(t, text, "\x1b", "colours are for terminals")
	require.NotContains(t, text, "✗")
	for _, want := range []string{
		"1. A fleet in this process", "8. Who did what", "memory-only", "simulated model server",
		"he is told 404", "verdict      stopped", "12 targeted = 4 stopped + 8 not running", "quiesced",
		"another worker resumed the job", "refused: 503", "promises were kept",
	} {
		require.Contains(t, text, want)
	}
	require.Equal(t, 17, strings.Count(text, "✓"))
}

func TestABrokenPromiseIsShownAndReturned(t *testing.T) {
	var out bytes.Buffer
	p := &play{screen: show.NewScreen(&out, false)}
	require.EqualError(t, p.promise(false, "it is so", "it is %d", 7), "promised: it is so; but it is 7")
	require.Contains(t, out.String(), "✗ it is so")
	require.Zero(t, p.promises)
}

func TestAFleetThatDoesNotStartEndsTheDemo(t *testing.T) {
	cfg := config()
	cfg.Fleet.Redis = "redis://127.0.0.1:1"
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, Play(ctx, cfg, show.NewScreen(&bytes.Buffer{}, false), zap.NewNop()), "start the fleet")
}

func TestTheDemoCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &cancelling{at: "round 1", cancel: cancel}
	err := Play(ctx, config(), show.NewScreen(out, false), zap.NewNop())
	require.ErrorIs(t, err, context.Canceled)
}

// cancelling cancels when a line says something.
type cancelling struct {
	at     string
	cancel context.CancelFunc
}

func (c *cancelling) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.at) {
		c.cancel()
	}
	return len(p), nil
}

func TestNeighbourIsAnotherIdOfTheSameShape(t *testing.T) {
	for _, id := range []string{"0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00", "0199f1c2-6c1e-7d3a-9b0e-5f2c8a6b0e00"} {
		n := neighbour(id)
		require.NotEqual(t, id, n)
		parsed, err := job.ParseID(n)
		require.NoError(t, err)
		require.Equal(t, job.ID(id).Partition(), parsed.Partition())
	}
}

func TestTallyCountsQuestionsAskedAgain(t *testing.T) {
	questions, again := tally([]modelsim.Record{{Call: "a"}, {Call: "b"}, {Call: "b"}})
	require.Equal(t, []int{2, 1}, []int{questions, again})
}

func TestInOrder(t *testing.T) {
	a := time.Now()
	require.True(t, inOrder(a, a, a.Add(1)))
	require.False(t, inOrder(a, a.Add(-1)))
	require.False(t, inOrder(a, time.Time{}))
}
