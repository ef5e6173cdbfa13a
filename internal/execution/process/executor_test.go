//go:build unix

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestAGoodProgramIsHeardInOrder(t *testing.T) {
	b := newBench(t, quick(), "good")
	l := newLedger()
	lives := 0
	l.onProgress = func() { lives++ }
	l.work.Labels = map[string]string{"team": "blue"}
	l.work.Deadline = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	l.work.Spent = 8
	res, err := b.run(t.Context(), l)
	require.NoError(t, err)
	require.Equal(t, []string{"event round.started", "event cost", "reserve c1 m 90", "settle c1 42", "checkpoint 1"}, l.history())
	require.JSONEq(t, `{"round":1}`, string(l.events[0].Data))
	require.Equal(t, job.Event{Type: "cost", Audience: "admin", Data: json.RawMessage(`{}`)}, l.events[1])
	require.Equal(t, job.Usage{CallID: "c1", Model: "m", InputTokens: 7, OutputTokens: 8, Cost: 42, Estimated: true}, l.usages[0])
	require.GreaterOrEqual(t, lives, 8, "every message is a sign of life")

	var out struct{ Ack, Start map[string]any }
	require.NoError(t, json.Unmarshal([]byte(res), &out))
	require.Equal(t, map[string]any{"msg": "checkpoint_ack", "seq": 1.0, "stored": true}, out.Ack)
	require.NotEmpty(t, out.Start["dir"])
	delete(out.Start, "dir")
	require.Equal(t, map[string]any{
		"msg": "start", "job": string(testJob), "owner": "alice", "kind": "p", "attempt": 1.0, "labels": map[string]any{"team": "blue"},
		"deadline": "2030-01-02T03:04:05.000Z", "budget": map[string]any{"micro_usd": 500.0, "spent_micro_usd": 8.0},
		"input": map[string]any{"question": "<why>"},
	}, out.Start)
}

// The calls of a program are kept as it tells them, if the job asks for it.
func TestACallIsTranscribedIfTheInputAsksForIt(t *testing.T) {
	for input, want := range map[string][]job.Exchange{
		`{"transcript":true,"question":"<why>"}`: {{
			Call: "c1", Model: "m", Messages: []job.Turn{{Role: "user", Text: "why?"}}, Reply: "because", Finish: "stop",
			InputTokens: 7, OutputTokens: 8, Cost: 42, Estimated: true,
		}},
		`{"transcript":false}`: nil, `{}`: nil, `{"transcript":"yes"}`: nil,
	} {
		l := newLedger()
		l.work.Input = json.RawMessage(input)
		res, err := newBench(t, quick(), "good").run(t.Context(), l)
		require.NoError(t, err)
		require.Equal(t, want, l.exchanges, input)
		var out struct{ Start map[string]any }
		require.NoError(t, json.Unmarshal([]byte(res), &out))
		require.Equal(t, want != nil, out.Start["transcript"] == true, "the program is told")
	}
}

func TestHowAnAttemptEnds(t *testing.T) {
	for name, want := range map[string]struct {
		argv  []string
		error string // "" is success
		retry bool
	}{
		"a stray print or two":            {[]string{"prints", "Loading weights…", "{}"}, "", false},
		"three of them":                   {[]string{"prints", "one", "two", "three"}, "3 bad lines", false},
		"garbage":                         {[]string{"prints", `{"msg":`, `[1]`, `{"msg":5}`}, "3 bad lines", false},
		"what is not allowed":             {[]string{"prints", `{"msg":"event"}`, `{"msg":"reserve"}`, `{"msg":"result","data":[]}`}, "3 bad lines", false},
		"money that is none":              {[]string{"prints", `{"msg":"reserve","call_id":"a","max_micro_usd":-1}`, `{"msg":"reserve","call_id":"a","max_micro_usd":0.5}`, `{"msg":"error","class":"?"}`}, "3 bad lines", false},
		"an oversized line":               {[]string{"prints", "long"}, "", false},
		"three oversized lines":           {[]string{"prints", "long", "long", "long"}, "line too long", false},
		"a line of exactly the limit":     {[]string{"prints", "limit", "limit", "limit"}, "", false},
		"words that are unknown":          {[]string{"prints", `{"msg":"telepathy"}`, `{"msg":"x"}`, `{"msg":"y"}`, `{"msg":"z"}`}, "", false},
		"a message before hello":          {[]string{"hasty"}, "", false},
		"another protocol":                {[]string{"stranger"}, "gavel-exec/99", false},
		"exit 75":                         {[]string{"exits", "75"}, "exited with 75", true},
		"a crash":                         {[]string{"exits", "3"}, "exit status 3", true},
		"a signal":                        {[]string{"exits", "-9"}, "signal: killed", true},
		"exit without a result":           {[]string{"exits", "0"}, "without a result", true},
		"a result and a crash":            {[]string{"exits", "1", "result"}, "exit status 1", true},
		"a result and 75":                 {[]string{"exits", "75", "result"}, "exited with 75", true},
		"its own error, retryable":        {[]string{"errs", "retryable"}, "so it is", true},
		"its own error, permanent":        {[]string{"errs", "permanent"}, "so it is", false},
		"its own error, cancelled":        {[]string{"errs", "cancelled"}, "nobody did", false},
		"its own error, and no exit":      {[]string{"errs", "permanent", "stay"}, "so it is", false},
		"a result and no exit":            {[]string{"lingers"}, "crashed", true},
		"usage of a call never granted":   {[]string{"usages", "a", "b", "c"}, "was not granted", false},
		"a checkpoint that cannot be one": {[]string{"states", `{"seq":1,"codec":"base64","data":"%%%"}`}, "not base64", false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := quick()
			if strings.HasSuffix(name, "no exit") {
				cfg.Linger = 50 * time.Millisecond
			}
			b := newBench(t, cfg, want.argv...)
			_, err := b.run(t.Context(), newLedger())
			if want.error == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, want.error)
			require.Equal(t, want.retry, errors.Is(err, job.ErrRetryable))
		})
	}
}

func TestNoHelloIsAFailedStart(t *testing.T) {
	cfg := quick()
	cfg.Hello = 150 * time.Millisecond
	b := newBench(t, cfg, "mute")
	_, err := b.run(t.Context(), newLedger())
	require.ErrorContains(t, err, "no hello within 150ms")
	require.ErrorIs(t, err, job.ErrRetryable)
}

func TestDenied(t *testing.T) {
	park := fmt.Errorf("reserve: %w", &job.Park{Reason: "budget", Detail: "all spent"})
	t.Run("for want of money parks", func(t *testing.T) {
		b := newBench(t, quick(), "reserves", "a")
		l := newLedger()
		l.onReserve = func(job.Call) error { return park }
		l.onEvent = nil
		b.cfg.Stop = Ladder{10 * time.Second, 20 * time.Second}
		res, err := b.run(t.Context(), l)
		require.NoError(t, err, "it finished with what it had")
		require.JSONEq(t, `{"a":"deny budget"}`, res)
	})
	t.Run("and not taken well", func(t *testing.T) {
		b := newBench(t, quick(), "unread")
		l := newLedger()
		l.onReserve = func(job.Call) error { return park }
		_, err := b.run(t.Context(), l)
		var p *job.Park
		require.ErrorAs(t, err, &p)
		require.Equal(t, "budget", p.Reason)
	})
	t.Run("said by the program itself", func(t *testing.T) {
		var p *job.Park
		b := newBench(t, quick(), "errs", "budget")
		_, err := b.run(t.Context(), newLedger())
		require.ErrorAs(t, err, &p)
		require.Equal(t, job.Park{Reason: "budget", Detail: "so it is"}, *p)
	})
	t.Run("for other reasons goes on", func(t *testing.T) {
		b := newBench(t, quick(), "reserves", "a", "b", "c", "a")
		l := newLedger()
		l.onReserve = func(c job.Call) error {
			return map[string]error{"b": errors.New("the price is unknown"), "c": job.ErrUnavailable}[c.ID]
		}
		res, err := b.run(t.Context(), l)
		require.NoError(t, err)
		require.JSONEq(t, `{"a":"deny refused","b":"deny refused","c":"deny unavailable"}`, res, "the second a is one too many")
		require.Equal(t, []string{"reserve a  1", "reserve b  1", "reserve c  1", "event answers"}, l.history())
	})
}

func TestAPermitThatIsTooOldIsReservedAgain(t *testing.T) {
	b := newBench(t, quick(), "reserves", "a")
	l := newLedger()
	l.expire = 3
	res, err := b.run(t.Context(), l)
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"grant <nil>"}`, res)
	require.Equal(t, 4, strings.Count(fmt.Sprint(l.history()), "reserve a"))

	l = newLedger()
	l.expire = 1000
	res, err = b.run(t.Context(), l)
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"deny unavailable"}`, res)
	require.Zero(t, l.usages[0].Cost, "no grant, no call")
}

func TestNeedsInputAndGetsIt(t *testing.T) {
	b := newBench(t, quick(), "asks")
	l := newLedger()
	_, err := b.run(t.Context(), l)
	var p *job.Park
	require.ErrorAs(t, err, &p)
	require.Equal(t, "input", p.Reason)
	require.JSONEq(t, `["Which market?"]`, string(p.Questions))

	l.work.Attempt, l.work.Answers = 2, json.RawMessage(`["Peru"]`)
	res, err := b.run(t.Context(), l)
	require.NoError(t, err)
	require.JSONEq(t, `{"answers":["Peru"]}`, res)
}

func TestALargeInputIsAFile(t *testing.T) {
	b := newBench(t, quick(), "good")
	l := newLedger()
	l.work.Input = json.RawMessage(`{"x":"` + strings.Repeat("x", job.MaxInput-20) + `"}`)
	res, err := b.run(t.Context(), l)
	require.NoError(t, err)
	require.Contains(t, res, `"input_file":"input"`)
	require.NotContains(t, res, "xxxx")
}

func TestTheProgramSeesWhatItMay(t *testing.T) {
	t.Setenv("SECRET_OF_THE_WORKER", "1")
	t.Setenv("PASSED_ON", "2")
	dir := t.TempDir()
	cfg := quick()
	self := newBench(t, quick(), "says").commands["p"].path
	cfg.Programs = map[string]Program{"p": {Argv: []string{self, "program", "says"}, Env: []string{"PASSED_ON", "GIVEN=3", "NOT_THERE", atOnce}, Dir: dir}}
	b := newBench(t, cfg)
	res, err := b.run(t.Context(), newLedger())
	require.NoError(t, err)
	var out struct {
		Env []string
		Dir string
	}
	require.NoError(t, json.Unmarshal([]byte(res), &out))
	require.Equal(t, dir, out.Dir)
	names := map[string]bool{}
	for _, e := range out.Env {
		name, _, _ := strings.Cut(e, "=")
		names[name] = true
	}
	want := map[string]bool{"PATH": true, "PASSED_ON": true, "GIVEN": true, "GAVEL_PROTOCOL": true, "GAVEL_JOB_DIR": true, "GORACE": true, "PWD": true}
	for name := range names {
		require.True(t, want[name] || name == "GAVEL_EXEC", "%s was passed on", name)
	}

	text := 0
	for _, e := range b.logs.FilterMessage("program").All() {
		text += len(e.ContextMap()["stderr"].(string))
	}
	require.LessOrEqual(t, text, maxLogged)
	require.Equal(t, "a word to the log "+strings.Repeat("y", 40), b.logs.FilterMessage("program").All()[0].ContextMap()["stderr"])
	require.True(t, b.logged("program wrote more to stderr than is logged"))
}

func TestConfigIsCheckedWhole(t *testing.T) {
	ok := map[string]Program{"p": {Argv: []string{"sh"}}}
	for want, cfg := range map[string]Config{
		"no programs":             {},
		"hello is negative":       {Programs: ok, Hello: -1},
		"comes later than":        {Programs: ok, Stop: Ladder{6 * time.Second, time.Second}},
		"drain: SIGTERM":          {Programs: ok, Drain: Ladder{6 * time.Second, time.Second}},
		"no command":              {Programs: map[string]Program{"p": {}}},
		"find the program":        {Programs: map[string]Program{"p": {Argv: []string{"no-such-program-here"}}}},
		"no directory":            {Programs: map[string]Program{"p": {Argv: []string{"sh"}, Dir: "/no/such"}}},
		"no name that begins":     {Programs: map[string]Program{"p": {Argv: []string{"sh"}, Env: []string{"GAVEL_EXEC=x"}}}},
		"want NAME or NAME=value": {Programs: map[string]Program{"p": {Argv: []string{"sh"}, Env: []string{"=x"}}}},
	} {
		_, err := New(cfg, zap.NewNop())
		require.ErrorContains(t, err, want)
	}
	b := newBench(t, quick(), "good")
	l := newLedger()
	l.work.Kind = "unknown"
	_, err := b.run(t.Context(), l)
	require.ErrorContains(t, err, `no program for kind "unknown"`)
}

func TestAClosedExecutorStartsNothing(t *testing.T) {
	b := start(t, quick(), "good")
	b.Close()
	_, err := b.run(t.Context(), newLedger())
	require.ErrorIs(t, err, ErrClosed)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrUnexpectedEOF)
	_, err = b.run(ctx, newLedger())
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	b.nobodyIsLeft(t)
}
