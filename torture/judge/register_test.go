package judge

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/torture/history"
)

// A kill that had to be asked for again stood from its first request on: who
// looks meanwhile sees it stand, and then what it came to.
func TestAKillMayBeSeenToStandBeforeItIsAnswered(t *testing.T) {
	w := good(t)
	stopped := map[string]any{
		"order": "o1", "verdict": "stopped", "stage": "quiesced", "scope": map[string]any{"kind": "job"}, "tally": map[string]any{"targeted": 1, "stopped": 1},
	}
	w.did(5*sec+2*ms, 5*sec+400*ms, history.Event{Op: "kill", Job: jobB, Idem: "k-1", Reason: "torture k-1"}, stopped)
	w.did(5*sec+50*ms, 5*sec+60*ms, history.Event{Op: "read", Job: jobB}, map[string]any{"state": "killing"})
	require.Empty(t, w.judge(t))
	w.did(5*sec+450*ms, 5*sec+460*ms, history.Event{Op: "read", Job: jobB}, map[string]any{"state": "killing"})
	require.Equal(t, []string{"register"}, w.judge(t), "but not after it was answered that it has stopped")
}
