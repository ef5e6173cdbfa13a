//go:build unix

package process

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// forced is the last rung that was needed, by the log.
func (b bench) forced(t *testing.T) string {
	t.Helper()
	ended := b.logs.FilterMessage("program ended").All()
	require.Len(t, ended, 1)
	return ended[0].ContextMap()["forced"].(string)
}

func TestCancelSaysWhyAndHow(t *testing.T) {
	for kind, mode := range map[job.StopKind]string{
		job.StopKilled: "stop", job.StopDraining: "checkpoint", job.StopDeadline: "synthesize", job.StopNoProgress: "stop", job.StopBudget: "checkpoint",
	} {
		t.Run(string(kind), func(t *testing.T) {
			cfg := quick()
			cfg.Stop = Ladder{10 * time.Second, 20 * time.Second}
			b := newBench(t, cfg, "waits")
			ctx, stop := stoppable(t)
			l := newLedger()
			l.onceReady(func() { stop(kind) })
			_, err := b.run(ctx, l)
			require.ErrorIs(t, err, &job.Stop{Kind: kind})
			require.Empty(t, b.forced(t), "it went by itself")
			require.Equal(t, []string{"event ready", "checkpoint 9"}, l.history(), "no reserve after a cancel")
			require.Contains(t, string(l.checkpoints[0].Data), fmt.Sprintf(`{"cause":%q,"grace_ms":20000,"mode":%q}`, kind, mode))
		})
	}
}

func TestAResultAfterTheCancelIsHandedOn(t *testing.T) {
	cfg := quick()
	cfg.Stop = Ladder{10 * time.Second, 20 * time.Second}
	b := newBench(t, cfg, "waits", "result")
	ctx, stop := stoppable(t)
	l := newLedger()
	l.onceReady(func() { stop(job.StopKilled) })
	res, err := b.run(ctx, l)
	require.NoError(t, err, "the runner knows what a late result is worth")
	require.Contains(t, res, "killed")
}

func TestAProgramThatIgnoresCancelAndTERMIsKilled(t *testing.T) {
	b := newBench(t, quick(), "deaf")
	ctx, stop := stoppable(t)
	l := newLedger()
	var begin time.Time
	l.onceReady(func() { begin = time.Now(); stop(job.StopKilled) })
	_, err := b.run(ctx, l)
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
	require.Equal(t, "SIGKILL", b.forced(t))
	require.GreaterOrEqual(t, time.Since(begin), 400*time.Millisecond)
}

func TestTERMIsEnoughForOneThatOnlyIgnoresCancel(t *testing.T) {
	cfg := quick()
	cfg.Stop = Ladder{50 * time.Millisecond, 20 * time.Second}
	b := newBench(t, cfg, "usages", "a")
	ctx, stop := stoppable(t)
	l := newLedger()
	l.onProgress = func() { stop(job.StopKilled) }
	_, err := b.run(ctx, l)
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
	require.Equal(t, "SIGTERM", b.forced(t))
}

func TestALostLeaseWaitsForNobody(t *testing.T) {
	cfg := quick()
	cfg.Stop = Ladder{20 * time.Second, 40 * time.Second}
	b := newBench(t, cfg, "deaf")
	ctx, stop := stoppable(t)
	l := newLedger()
	var begin time.Time
	l.onceReady(func() { begin = time.Now(); stop(job.StopLeaseLost) })
	_, err := b.run(ctx, l)
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopLeaseLost})
	require.Less(t, time.Since(begin), 10*time.Second)
}

func TestAStopOverridesThePatienceWithItsOwnEnd(t *testing.T) {
	cfg := quick()
	cfg.Linger = 40 * time.Second
	b := newBench(t, cfg, "errs", "permanent", "stay")
	ctx, stop := stoppable(t)
	l := newLedger()
	seen := 0
	l.onProgress = func() {
		if seen++; seen == 2 {
			stop(job.StopKilled)
		}
	}
	begin := time.Now()
	_, err := b.run(ctx, l)
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
	require.Less(t, time.Since(begin), 20*time.Second)
}

// A runtime that answers nothing, as when Redis is out of reach, and a program
// that fills every pipe: the ladder must not wait for either.
func TestNothingBlocksTheLadder(t *testing.T) {
	for _, argv := range [][]string{{"chatty"}, {"unread"}} {
		b := newBench(t, quick(), argv...)
		ctx, stop := stoppable(t)
		l := newLedger()
		stuck := func() {
			stop(job.StopKilled)
			short, done := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer done()
			<-short.Done() // as the runtime's own bound on what comes after a stop
		}
		l.onEvent = func(context.Context, job.Event) error { stuck(); return job.ErrUnavailable }
		calls := 0
		l.onReserve = func(job.Call) error {
			if calls++; calls == 250 { // a few more answers fill the pipe that is not read
				time.AfterFunc(500*time.Millisecond, func() { stop(job.StopKilled) })
			}
			return nil
		}
		begin := time.Now()
		_, err := b.run(ctx, l)
		require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
		require.Less(t, time.Since(begin), 10*time.Second, argv)
		require.LessOrEqual(t, len(l.events), 1, "one failure after a stop is enough")
		require.Less(t, calls, 1000, "the program was stuck")
	}
}

func TestAProgramThatDoesNotReadIsGivenUp(t *testing.T) {
	cfg := quick()
	cfg.Stall = 100 * time.Millisecond
	b := newBench(t, cfg, "unread")
	_, err := b.run(t.Context(), newLedger())
	require.ErrorIs(t, err, errStalled)
	require.ErrorIs(t, err, job.ErrRetryable)
}

func TestEventsMayBeDroppedAndNothingElse(t *testing.T) {
	b := newBench(t, quick(), "floods")
	l := newLedger()
	gate, full := make(chan bool), make(chan bool)
	l.onEvent = func(_ context.Context, e job.Event) error {
		if e.Type == "noise" {
			<-gate
		}
		return nil
	}
	seen := 0
	l.onProgress = func() {
		if seen++; seen == 2001 { // hello and every noise
			close(full)
		}
	}
	go func() {
		<-full
		close(gate)
	}()
	_, err := b.run(t.Context(), l)
	require.NoError(t, err)
	kept, dropped := 0, 0
	for _, e := range l.events {
		switch e.Type {
		case "noise":
			kept++
		case "events.dropped":
			var n struct{ Events int }
			require.NoError(t, json.Unmarshal(e.Data, &n))
			dropped += n.Events
		}
	}
	require.Equal(t, 2000, kept+dropped)
	require.Positive(t, dropped)
	require.Len(t, l.usages, 1)
}

func TestCheckpointsComeBackAsTheyWereSent(t *testing.T) {
	for sent, want := range map[string]string{
		`{"seq":3,"node":"vote","data":{"a": "<b>&"}}`: `{"seq":3,"node":"vote","codec":"json","data":{"a":"<b>&"}}`,
		`{"seq":1,"codec":"text","data":"hallo\n"}`:    `{"seq":1,"codec":"text","data":"hallo\n"}`,
		`{"seq":1,"codec":"base64","data":"AP8AAQ=="}`: `{"seq":1,"codec":"base64","data":"AP8AAQ=="}`,
		`{"seq":1,"codec":"pickle+hex","data":"80af"}`: `{"seq":1,"codec":"pickle+hex","data":"80af"}`,
		`{"seq":1,"codec":"base64","write":3000000}`:   `{"seq":1,"codec":"base64","file":"checkpoint","content":3000000,"matches":true}`,
		`{"seq":1,"codec":"text","fill":60000}`:        `{"seq":1,"codec":"text","file":"checkpoint","content":180000,"matches":true}`,
	} {
		b := newBench(t, quick(), "states", sent)
		first := newLedger()
		_, err := b.run(t.Context(), first)
		require.NoError(t, err)
		require.Len(t, first.checkpoints, 1)

		second := newLedger()
		second.work.Checkpoint = &first.checkpoints[0]
		res, err := b.run(t.Context(), second)
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(res), &got))
		require.Len(t, got["sha256"], 64)
		delete(got, "sha256")
		data, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, want, string(data))
	}
}

func TestCheckpointsThatAreNotTaken(t *testing.T) {
	for sent, why := range map[string]string{
		`{"seq":1,"data":{},"sha256":"00"}`:                                   "sha256",
		`{"seq":1,"write":10,"sha256":"00"}`:                                  "sha256",
		`{"seq":1,"codec":"text","data":{}}`:                                  "a string",
		`{"seq":1,"file":"../../etc/passwd","sha256":"00"}`:                   "want a name",
		`{"seq":1,"file":"nothing","sha256":"00"}`:                            "nothing",
		`{"seq":1,"link":"/etc/passwd","file":"state","sha256":"00"}`:         "no plain file",
		`{"seq":1,"codec":"base64","write":9000000}`:                          "at most",
		`{"seq":1,"codec":"text","data":"` + strings.Repeat("x", 1000) + `"}`: "",
	} {
		cfg := quick()
		if why == "" {
			cfg.MaxCheckpoint, why = 500, "at most 500"
		}
		b := newBench(t, cfg, "states", sent)
		l := newLedger()
		_, err := b.run(t.Context(), l)
		require.ErrorContains(t, err, why, sent)
		require.NotErrorIs(t, err, job.ErrRetryable)
		require.Empty(t, l.checkpoints)
	}
	b := newBench(t, quick(), "states", `{"seq":4,"safe":false,"data":{}}`)
	l := newLedger()
	res, err := b.run(t.Context(), l)
	require.NoError(t, err)
	require.JSONEq(t, `{"msg":"checkpoint_ack","seq":4,"stored":false}`, res)
	require.Empty(t, l.checkpoints)

	l.work.Checkpoint = &job.Checkpoint{Seq: 2, Data: []byte("{}")}
	_, err = b.run(t.Context(), l)
	require.ErrorContains(t, err, "checkpoint 2 was not taken by a program")
}

func TestACheckpointThatRedisDoesNotTakeIsWorthAnotherAttempt(t *testing.T) {
	b := newBench(t, quick(), "states", `{"seq":1,"data":{}}`)
	l := newLedger()
	l.onCheckpoint = func(job.Checkpoint) error { return fmt.Errorf("write: %w", job.ErrUnavailable) }
	_, err := b.run(t.Context(), l)
	require.ErrorIs(t, err, job.ErrRetryable)
}
