package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

// tooLarge keeps a state of 9 MB after a small one.
const tooLarge = `
echo '{"msg":"hello","protocol":"gavel-exec/1"}'
read start
echo '{"msg":"checkpoint","seq":1,"data":{"small":true}}'
read ack
cd "$(echo "$start" | sed 's/.*"dir":"\([^"]*\)".*/\1/')"
head -c 9000000 /dev/zero > state
echo '{"msg":"checkpoint","seq":2,"codec":"base64","file":"state","sha256":"'$(sha256sum state | cut -d' ' -f1)'"}'
read ack
echo '{"msg":"result","data":{}}'
`

// A state over the limit fails its job, through a real worker, and says how large
// it was and what is allowed; the one before it is kept.
func TestAStateOverTheLimitFailsItsJobAndSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	dir := t.TempDir()
	script, programs := filepath.Join(dir, "large.sh"), filepath.Join(dir, "programs.json")
	require.NoError(t, os.WriteFile(script, []byte(tooLarge), 0o600))
	require.NoError(t, os.WriteFile(programs, fmt.Appendf(nil, `{"large":{"argv":["sh",%q],"env":["PATH"]}}`, script), 0o600))
	f := newFleet(t, dir, 1)
	t.Cleanup(f.end)
	require.NoError(t, f.startDispatcher("dispatcher", nothing, "GAVEL_KINDS=large"))
	require.NoError(t, f.startWorker("w1", nothing, "GAVEL_PROGRAMS="+programs))
	done, err := f.as("alice").Submit(ctx, client.Submission{Kind: "large", Input: map[string]any{}})
	require.NoError(t, err)
	j := (&panel{fleet: f, t: t}).over(ctx, done.ID, client.Failed)
	require.Equal(t, "error", j.Cause, "another attempt would do the same")
	require.Contains(t, j.Error, "9000000 bytes")
	require.Contains(t, j.Error, "at most 8388608 are allowed")
	all, err := f.as("alice").Checkpoints(ctx, done.ID)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.True(t, all[0].Sound)
}

// A build whose graph could go round for ever does not start: the real worker, with
// one word of the graph changed.
func TestAWorkerWhoseGraphHasNoExitDoesNotStart(t *testing.T) {
	t.Parallel()
	if !*deaths {
		t.Skip("builds a worker of its own; make deaths runs it")
	}
	for name, change := range map[string][3]string{
		"a cycle that nothing counts": {"sub.go", "{to: atFacilitate, counted: true}", "{to: atFacilitate}"},
		"a cycle without an exit":     {"flow.go", "{{to: atDeliberate, counted: true}, {to: atConclude}}", "{{to: atDeliberate, counted: true}}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			source, err := filepath.Abs("../internal/execution/deliberation/" + change[0])
			require.NoError(t, err)
			text, err := os.ReadFile(source)
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(text), change[1]))
			changed, overlay, binary := filepath.Join(dir, change[0]), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "worker")
			require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(text), change[1], change[2], 1)), 0o600))
			replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(overlay, replaced, 0o600))
			out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", binary, "./worker").CombinedOutput()
			require.NoError(t, err, string(out))

			p := newPanel(t, modelsim.Config{Seed: 1})
			id := p.ask(t.Context(), 0)
			w, err := launch("worker", binary, p.environment("worker", nothing, []string{"GAVEL_WORKER_ID=w1"}))
			require.NoError(t, err)
			t.Cleanup(w.end)
			code, err := w.exits()
			require.NoError(t, err)
			require.Equal(t, 1, code)
			require.Regexp(t, `graph (sub-problem|deliberation): .*(is not counted|has no exit|no way)`, w.log.text())
			j, err := p.as("alice").Job(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, client.Queued, j.State, "nothing was taken")
		})
	}
}
