package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
)

func TestRunTellsTheDeliberationAndEndsWithItsAnswer(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	out := w.gavel(dev.Alice, "run", "--label", "team=board", "../../../examples/return-to-office.json").ok()
	for _, want := range []string{
		"job ", "queued", "started on worker-", "taken apart into 2 parts", "at the table:", "round 1 of at most", "“", "votes ", "succeeded",
		"simulated model server", "# Deliberation report", "## Answer", "## Recommendations", "## The parts", "report ",
	} {
		require.Contains(t, out, want)
	}
	require.NotContains(t, out, "### The discussion", "that is in the whole report")

	var jobs []client.Job
	s := w.gavel(dev.Alice, "ps", "--json", "--state", "succeeded", "--label", "team=board")
	s.ok()
	s.into(&jobs)
	require.Len(t, jobs, 1)
	require.Contains(t, w.gavel(dev.Alice, "report", jobs[0].ID).ok(), "### The discussion")
	require.Contains(t, w.gavel(dev.Alice, "watch", jobs[0].ID).ok(), "succeeded")
	require.Contains(t, w.gavel(dev.Alice, "get", jobs[0].ID).ok(), "team=board")
	require.Contains(t, w.gavel(dev.Alice, "ps").ok(), jobs[0].ID)
	require.Equal(t, "no jobs\n", w.gavel(dev.Bob, "ps").ok())
	require.Equal(t, "no jobs\n", w.gavel(dev.Alice, "ps", "--state", "failed,queued").ok())
	for _, ask := range []string{"get", "watch", "report"} {
		w.gavel(dev.Bob, ask, jobs[0].ID).fails(codeRefused, "gavel ps")
	}

	s = w.gavel(dev.Alice, "report", "--json", jobs[0].ID)
	s.ok()
	var r client.Result
	s.into(&r)
	require.Equal(t, client.Succeeded, r.Outcome)
}

func TestRunInJSONIsOneRecordPerLine(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	out := w.gavel(dev.Alice, "run", "--json", "../../../examples/return-to-office.json").ok()
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, 1<<20)
	var all []map[string]any
	for lines.Scan() {
		var v map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &v), lines.Text())
		all = append(all, v)
	}
	require.NoError(t, lines.Err())
	require.Equal(t, true, all[0]["created"])
	require.Equal(t, "job.queued", all[1]["type"])
	require.NotEmpty(t, all[1]["id"], "a script can resume behind it")
	require.Equal(t, "succeeded", all[len(all)-1]["outcome"])

	again := w.gavel(dev.Alice, "watch", "--json", "--after", all[len(all)-3]["id"].(string), all[0]["id"].(string)).ok()
	require.Equal(t, 1, strings.Count(again, "\n"), "only what came after it")
}

func TestInterruptedRunAsksWhetherToKill(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	for answer, want := range map[string]struct {
		code  int
		state client.State
	}{"k\n": {codeFailed, client.Killed}, "\n": {codeNotOver, client.Running}, "leave\n": {codeNotOver, client.Running}} {
		ctx, interrupt := context.WithCancel(t.Context())
		out := newTTY("started on")
		go func() { <-out.seen; interrupt() }()
		s := w.run(ctx, Process{In: strings.NewReader(answer), Out: out, Err: out}, dev.Alice, "run", "../../../examples/market-entry.json")
		s.fails(want.code)
		require.Contains(t, out.String(), "Kill the job, or leave it running?")
		var jobs []client.Job
		ps := w.gavel(dev.Alice, "ps", "--json", "-n", "1")
		ps.ok()
		ps.into(&jobs)
		require.Equal(t, want.state, jobs[0].State, "%q", answer)
		if want.state == client.Running {
			require.Contains(t, s.err.Error(), "kill "+jobs[0].ID)
			w.gavel(dev.Alice, "kill", jobs[0].ID, "--reason", "tidy up").ok()
		}
	}
}

// Nobody answers, and another Ctrl-C comes: the job is left running.
func TestASecondInterruptLeavesTheJobRunning(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	ctx, interrupt := context.WithCancel(t.Context())
	out, hurry := newTTY("started on"), make(chan struct{}, 1)
	go func() { <-out.seen; hurry <- struct{}{}; interrupt() }()
	in, typing := io.Pipe()
	defer func() { _ = typing.Close() }()
	s := w.run(ctx, Process{In: in, Out: out, Err: out, Hurry: hurry}, dev.Alice, "run", "../../../examples/market-entry.json")
	s.fails(codeNotOver, "left running")
	w.gavel(dev.Admin, "kill-all", "--reason", "tidy up", "--yes", w.fleet.Name()).ok()
}

func TestASubmissionIsRepeatedUnderItsKey(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	id := w.submit(dev.Alice, "build-or-buy", "--idempotency-key", "k1", "--budget", "1.25", "--timeout", "2m")
	var j client.Job
	s := w.gavel(dev.Alice, "get", "--json", id)
	s.ok()
	s.into(&j)
	require.Equal(t, client.MicroUSD(1_250_000), j.Budget)
	again := w.gavel(dev.Alice, "submit", "--idempotency-key", "k1", "--budget", "1.25", "--timeout", "2m", "../../../examples/build-or-buy.json").ok()
	require.Contains(t, again, id)
	require.Contains(t, again, "submitted before")
	w.gavel(dev.Alice, "submit", "--idempotency-key", "k1", "../../../examples/market-entry.json").fails(codeRefused, id)
	w.gavel(dev.Alice, "kill", id, "--reason", "tidy up").ok()
	w.gavel(dev.Alice, "report", id).fails(codeFailed, "was killed")
}

func TestCheckpointsAreListedAndReadAlsoAfterAKill(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	id := w.submit(dev.Alice, "build-or-buy")
	require.Eventually(t, func() bool {
		return strings.Contains(w.gavel(dev.Alice, "checkpoints", id).ok(), "decompose")
	}, 20*time.Second, 20*time.Millisecond)
	w.gavel(dev.Alice, "kill", id, "--reason", "seen enough").ok()
	var all []client.Checkpoint
	s := w.gavel(dev.Alice, "checkpoints", "--json", id)
	s.ok()
	s.into(&all)
	require.True(t, all[0].Sound)
	require.Contains(t, w.gavel(dev.Alice, "checkpoints", id, strconv.FormatUint(all[0].Seq, 10)).ok(), `"version"`)
	w.gavel(dev.Alice, "checkpoints", id, "9999").fails(codeRefused)
	w.gavel(dev.Bob, "checkpoints", id).fails(codeRefused)
}

func TestATranscriptIsKeptForThoseWhoAskForIt(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	name := file(t, `{"problem":"Should we open on Sundays, with seven clerks?","max_rounds":1,"max_sub_problems":1,"transcript":true}`)
	w.gavel(dev.Alice, "run", name).ok()
	w.gavel(dev.Alice, "run", file(t, `{"problem":"Should we open on Sundays?","max_rounds":1,"max_sub_problems":1}`)).ok()
	var jobs []client.Job
	s := w.gavel(dev.Alice, "ps", "--json")
	s.ok()
	s.into(&jobs)
	require.Len(t, jobs, 2)
	require.Contains(t, w.gavel(dev.Alice, "transcript", jobs[0].ID).ok(), "nothing was kept")
	text := w.gavel(dev.Alice, "transcript", jobs[1].ID).ok()
	for _, want := range []string{"decompose", "conclude", "seven clerks", "reply", "tokens in"} {
		require.Contains(t, text, want)
	}
	calls := strings.Count(w.gavel(dev.Alice, "transcript", "--json", jobs[1].ID).ok(), `"call":`)
	require.Greater(t, calls, 5)
	w.gavel(dev.Bob, "transcript", jobs[1].ID).fails(codeRefused)
}

func TestAReportOfARunningJobIsNotOverYet(t *testing.T) {
	t.Parallel()
	w := newTown(t, slow())
	id := w.submit(dev.Alice, "build-or-buy")
	w.gavel(dev.Alice, "report", id).fails(codeNotOver, "gavel watch")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	stopped, interrupt := context.WithCancel(t.Context())
	go func() { <-ctx.Done(); interrupt() }()
	w.typed(stopped, strings.NewReader(""), dev.Alice, "watch", id).fails(codeNotOver, "goes on")
	w.gavel(dev.Alice, "kill", id, "--reason", "tidy up").ok()
}

func TestWhatIsWrongWithAProblemFileIsSaidBeforeAnythingIsAsked(t *testing.T) {
	t.Parallel()
	nowhere := func(args ...string) said {
		var out bytes.Buffer
		return outcome(t.Context(), t, Process{In: strings.NewReader("[1]"), Out: &out, Err: &out}, append([]string{"--url", "http://127.0.0.1:1"}, args...)...)
	}
	nowhere("submit", "no-such-file.json").fails(codeUsage, "no-such-file.json", "examples/market-entry.json")
	nowhere("submit", file(t, "{\n\"problem\": }")).fails(codeUsage, "line 2")
	nowhere("submit", "-").fails(codeUsage, "no JSON object")
	good := file(t, `{"problem": "Should we do it?"}`)
	for _, budget := range []string{"many", "0", "-1", "0.0000001", "1e400"} {
		nowhere("submit", good, "--budget", budget).fails(codeUsage, "--budget")
	}
	nowhere("submit", good, "--timeout", "1500ms").fails(codeUsage, "whole seconds")
	nowhere("submit", good).fails(codeUnavailable, "connection refused", "gavel dev", "--idempotency-key")
}
