//go:build unix

package process

import (
	"context"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// panel runs the program of examples/process.
func panel(t *testing.T, cfg Config) bench {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("the example is in Python, and there is no python3 here")
	}
	cfg.Programs = map[string]Program{"p": {Argv: []string{python, "-B", "panel.py"}, Dir: "../../../examples/process"}}
	return newBench(t, cfg)
}

const panelInput = `{"question":"Should the office move?","voices":["finance","staff","customers"]}`

func TestTheExampleDrainsAndGoesOnWithoutPayingTwice(t *testing.T) {
	b := panel(t, quick())
	ctx, stop := stoppable(t)
	first := newLedger()
	first.work.Input = json.RawMessage(panelInput[:len(panelInput)-1] + `,"pause_ms":100}`)
	first.onEvent = func(_ context.Context, e job.Event) error {
		if len(first.events) == 2 {
			stop(job.StopDraining)
		}
		return nil
	}
	_, err := b.run(ctx, first)
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopDraining})
	require.GreaterOrEqual(t, len(first.checkpoints), 2)

	second := newLedger()
	second.work.Attempt, second.work.Checkpoint = 2, &first.checkpoints[1]
	second.work.Input = json.RawMessage(panelInput)
	res, err := b.run(t.Context(), second)
	require.NoError(t, err)
	require.Equal(t, []string{"reserve customers made-up 1200", "settle customers 1200", "checkpoint 3", "event vote"}, second.history())
	var out struct {
		Votes    map[string]string
		Decision string
	}
	require.NoError(t, json.Unmarshal([]byte(res), &out))
	require.Len(t, out.Votes, 3)
	require.NotEmpty(t, out.Decision)
}

func TestTheExampleSaysWhatIsWrongWithItsInput(t *testing.T) {
	b := panel(t, quick())
	l := newLedger()
	_, err := b.run(t.Context(), l)
	require.ErrorContains(t, err, "bad input")
	require.NotErrorIs(t, err, job.ErrRetryable)

	l = newLedger()
	l.work.Input = json.RawMessage(panelInput)
	l.onReserve = func(job.Call) error { return &job.Park{Reason: "budget"} }
	_, err = b.run(t.Context(), l)
	var park *job.Park
	require.ErrorAs(t, err, &park)
}
