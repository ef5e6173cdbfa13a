package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/cmd/internal/drill"
)

func TestADrillStopsItsCanariesAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	spared := w.canary(dev.Alice, nil, long())
	out := w.gavel(dev.Admin, "drill", "--reason", "weekly").ok()
	for _, want := range []string{"its own order", "a selector's order", "canaries stopped", "the slowest was worker-", "audit --act drill"} {
		require.Contains(t, out, want)
	}
	w.running(dev.Alice, spared)

	// The first one took every free slot: workers have to say that they have room
	// again, or the second one is about fewer of them.
	require.Eventually(t, func() bool {
		var f client.Fleet
		s := w.gavel(dev.Admin, "fleet", "--json")
		s.ok()
		s.into(&f)
		return len(f.Workers) == 2 && f.Workers[0].Running+f.Workers[1].Running == 1
	}, time.Minute, 50*time.Millisecond)

	var r drill.Result
	s := w.gavel(dev.Admin, "drill", "--reason", "again", "--canaries", "2", "--json")
	s.ok()
	s.into(&r)
	require.True(t, r.Passed)
	require.Equal(t, 2, r.Stopped)
	require.Equal(t, 2, r.Workers)
	require.Empty(t, r.Missed)
	require.Len(t, r.Scopes, 2)
	for _, scope := range r.Scopes {
		require.Positive(t, scope.P50)
		require.GreaterOrEqual(t, scope.Max, scope.P50)
	}
	acts := w.acts("--act", "drill")
	require.Len(t, acts, 2)
	require.Equal(t, "again", acts[0].Fields["reason"])
	require.Equal(t, "1", acts[0].Fields["passed"])
	require.Equal(t, "2", acts[0].Fields["stopped"])
	require.Equal(t, r.Slowest, acts[0].Fields["slowest"])
	require.Regexp(t, `^1 \d+ \d+ \d+$`, acts[0].Fields["job_us"])

	w.gavel(dev.Admin, "drill", "--reason", "too slow", "--canaries", "2", "--within", "1us").fails(codeFailed, "slowest")
	var jobs []client.Job
	s = w.gavel(dev.Admin, "ps", "--json", "--state", "running,queued", "--owner", "ops")
	s.ok()
	s.into(&jobs)
	require.Empty(t, jobs, "a drill leaves no canary behind")
}

func TestADrillThatCannotBeSaysWhy(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	w.gavel(dev.Alice, "drill", "--reason", "mine").fails(codeRefused, "--submit-key")
	w.gavel(dev.Admin, "drill", "--reason", "r", "--patience", "1ms").fails(codeUsage)
	w.gavel(dev.Admin, "drill", "--reason", "r", "--submit-key", "nobody").fails(codeRefused)
	for range 4 {
		w.canary(dev.Bob, nil, long())
	}
	w.gavel(dev.Admin, "drill", "--reason", "r").fails(codeUnavailable, "free slot")
	w.gavel(dev.Admin, "freeze", "--reason", "r").ok()
	w.gavel(dev.Admin, "drill", "--reason", "r").fails(codeUnavailable, "frozen")
	require.Empty(t, w.acts("--act", "drill"), "what was not drilled is not in the audit")
}
