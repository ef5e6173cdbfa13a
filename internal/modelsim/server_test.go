package modelsim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, cfg Config) (*Server, string) {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	web := httptest.NewServer(s.Handler())
	t.Cleanup(func() { http.DefaultClient.CloseIdleConnections(); web.CloseClientConnections(); web.Close() })
	return s, web.URL
}

// post asks and returns the status, the header and the whole body.
func post(ctx context.Context, t *testing.T, url, call, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Gavel-Job", "j1")
	req.Header.Set("X-Gavel-Call", call)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, _ := io.ReadAll(resp.Body)
	return resp, string(data)
}

func question(step string, more ...string) string {
	text := "# Task\n" + step + "\n\n# Problem\nShould we open a second bakery next spring? We are unsure.\n\n" + strings.Join(more, "\n\n")
	data, err := json.Marshal(map[string]any{
		"model": Model, "stream": true, "seed": 3, "stream_options": map[string]any{"include_usage": true},
		"messages": []any{
			map[string]any{"role": "system", "content": "# You are The Miller\nYou mill.\n\n# You look at\nflour and patience\n\n# You always come back to\n- Who grinds?"},
			map[string]any{"role": "user", "content": text},
		},
	})
	if err != nil {
		return ""
	}
	return string(data)
}

// text joins the deltas of a stream and returns the usage it states.
func text(t *testing.T, body string) (content string, in, out int) {
	t.Helper()
	sc := bufio.NewScanner(strings.NewReader(body))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var f struct {
			Choices []struct {
				Delta struct{ Content string } `json:"delta"`
			} `json:"choices"`
			Usage *struct {
				Prompt     int `json:"prompt_tokens"`
				Completion int `json:"completion_tokens"`
			} `json:"usage"`
		}
		require.NoError(t, json.Unmarshal([]byte(data), &f))
		for _, c := range f.Choices {
			content += c.Delta.Content
		}
		if f.Usage != nil {
			in, out = f.Usage.Prompt, f.Usage.Completion
		}
	}
	return content, in, out
}

func TestTheSameQuestionHasTheSameAnswerWhoeverAsksAndWhenever(t *testing.T) {
	_, url := serve(t, Config{Seed: 1})
	_, other := serve(t, Config{Seed: 1, Pace: 50_000})
	_, different := serve(t, Config{Seed: 2})
	ask := question("contribute", "# Round\n2 of at most 4", "# Discussion so far\nThe Baker, round 1:\nI say yes.")
	_, a := post(t.Context(), t, url, "c1", ask)
	_, b := post(t.Context(), t, other, "c2", ask)
	_, c := post(t.Context(), t, different, "c1", ask)
	ta, in, out := text(t, a)
	tb, _, _ := text(t, b)
	tc, _, _ := text(t, c)
	require.Equal(t, ta, tb)
	require.NotEqual(t, ta, tc)
	require.True(t, strings.HasPrefix(ta, label))
	require.Positive(t, in)
	require.Positive(t, out)
}

func TestAPersonaSpeaksOfTheProblemInItsOwnTerms(t *testing.T) {
	_, url := serve(t, Config{Seed: 4})
	_, body := post(t.Context(), t, url, "c", question("contribute", "# Round\n2 of at most 4", "# Discussion so far\nThe Baker, round 1:\nI say yes."))
	said, _, _ := text(t, body)
	require.Contains(t, said, "The Baker", "it answers the other")
	require.Contains(t, said, "flour and patience", "from its own side")
	require.Contains(t, said, "Who grinds?", "with its own question")

	_, body = post(t.Context(), t, url, "c", question("contribute", "# Round\n1 of at most 4"))
	said, _, _ = text(t, body)
	require.Contains(t, said, "open a second bakery next spring", "about the problem at hand")
}

func TestStructuredStepsAreAnsweredWithJSON(t *testing.T) {
	_, url := serve(t, Config{Seed: 4})
	for step, key := range map[string]string{
		"clarify": "questions", "decompose": "sub_problems", "select": "personas", "facilitate": "focus",
		"check": "convergence", "options": "options", "vote": "reason", "synthesize": "action", "conclude": "recommendations",
	} {
		_, body := post(t.Context(), t, url, step, question(step,
			"# Advisers\n- a | The A | x\n- b | The B | y\n- c | The C | z\n- d | The D | z", "# Options\n- A | Go | go\n- B | Stay | stay",
			"# Votes\n- The A votes A with 70 %: yes\n- The B votes B with 20 %: no", "# Finding of s1 (Demand)\nDo it.\nBecause.", "# Reply\nat most 2"))
		said, _, _ := text(t, body)
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(said), &got), step)
		require.NotEmpty(t, got[key], step)
		require.Contains(t, said+label, label)
	}
}

func TestAnyOtherQuestionIsAnsweredAndLabelled(t *testing.T) {
	_, url := serve(t, Config{})
	resp, body := post(t.Context(), t, url, "", `{"model":"x","messages":[{"role":"user","content":"What is the time?"}]}`)
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"), "without stream it is one object")
	require.Contains(t, body, label)
	require.Contains(t, body, "chat.completion")
	require.Contains(t, body, `"prompt_tokens"`)
}

func TestBadRequestsAreAnsweredAsTheProtocolHasIt(t *testing.T) {
	s, url := serve(t, Config{})
	for _, body := range []string{``, `{`, `[]`, `{}`, `{"model":"m"}`, `{"model":"m","messages":[]}`, `{"messages":[{"role":"user","content":"x"}]}`} {
		resp, text := post(t.Context(), t, url, "", body)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		require.Contains(t, text, `"error"`)
	}
	require.Equal(t, 7, s.Totals().Refused)
	require.Zero(t, s.Totals().InputTokens, "a refused request is not billed")
	resp, err := http.Get(url + "/v1/models")
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(data), Model)
}

func TestMaxTokensIsKept(t *testing.T) {
	_, url := serve(t, Config{})
	for _, field := range []string{"max_tokens", "max_completion_tokens"} {
		_, body := post(t.Context(), t, url, "", strings.Replace(question("contribute"), `{`, `{"`+field+`":9,`, 1))
		_, _, out := text(t, body)
		require.Equal(t, 9, out)
		require.Contains(t, body, `"finish_reason":"length"`)
	}
}

func TestTheWitnessKnowsWhatWasAskedBilledAndCut(t *testing.T) {
	var log bytes.Buffer
	s, url := serve(t, Config{Pace: 100, Log: &log})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(question("contribute")))
	require.NoError(t, err)
	req.Header.Set("X-Gavel-Job", "j1")
	req.Header.Set("X-Gavel-Call", "s1/r1/miller")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "data: ")
	require.Equal(t, 1, s.Totals().InFlight)
	require.True(t, s.Records("j1")[0].Open())
	cancel()
	_ = resp.Body.Close()
	require.NoError(t, s.Await(t.Context(), func(n Totals) bool { return n.InFlight == 0 }))

	rec := s.Records("j1")[0]
	require.True(t, rec.Cut)
	require.False(t, rec.Open())
	require.Equal(t, "s1/r1/miller", rec.Call)
	require.Equal(t, "contribute", rec.Step)
	require.Positive(t, rec.InputTokens)
	require.Less(t, rec.OutputTokens, 60, "what had been produced by then")
	require.Empty(t, s.Records("j2"))

	_, _ = post(t.Context(), t, url, "c2", strings.Replace(question("check"), Model, "other", 1))
	n := s.Totals()
	require.Equal(t, []int{2, 0, 1, 1, 0}, []int{n.Requests, n.InFlight, n.Completed, n.Cut, n.Refused})
	var lines []Record
	dec := json.NewDecoder(&log)
	for dec.More() {
		var r Record
		require.NoError(t, dec.Decode(&r))
		lines = append(lines, r)
	}
	require.Len(t, lines, 2)
	require.True(t, lines[0].Cut)
	require.Equal(t, "other", lines[1].Model)

	shown, err := http.Get(url + "/witness?job=j1")
	require.NoError(t, err)
	var page struct {
		Totals   Totals   `json:"totals"`
		Requests []Record `json:"requests"`
	}
	require.NoError(t, json.NewDecoder(shown.Body).Decode(&page))
	require.NoError(t, shown.Body.Close())
	require.Equal(t, n.OutputTokens, page.Totals.OutputTokens)
	require.Len(t, page.Requests, 2)
}

// What was billed is told by the answer's id, once it has ended.
func TestABillIsToldToWhoeverAsks(t *testing.T) {
	s, url := serve(t, Config{Seed: 1, Pace: 100})
	ask := func(id string) (status int, data map[string]any) {
		resp, err := http.Get(url + "/v1/generation?id=" + id)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		var body struct{ Data map[string]any }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
		return resp.StatusCode, body.Data
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(question("decompose")))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	id := resp.Header.Get("X-Generation-Id")
	require.NotEmpty(t, id)
	status, _ := ask(id)
	require.Equal(t, http.StatusNotFound, status, "it has not ended")
	cancel()
	_ = resp.Body.Close()
	require.NoError(t, s.Await(t.Context(), func(t Totals) bool { return t.Cut == 1 }))
	status, data := ask(id)
	require.Equal(t, http.StatusOK, status)
	rec := s.Records("")[0]
	require.True(t, rec.Told)
	require.EqualValues(t, rec.InputTokens, data["tokens_prompt"])
	require.EqualValues(t, rec.OutputTokens, data["native_tokens_completion"])
	require.Equal(t, true, data["cancelled"])
	require.Equal(t, 1, s.Totals().Requests, "to ask is no request")
	status, _ = ask("simulated-9")
	require.Equal(t, http.StatusNotFound, status)
}

func TestAProviderThatDoesNotNoticeBillsTheWholeAnswer(t *testing.T) {
	bill := func(whole bool) int {
		s, url := serve(t, Config{Pace: 200, BillWhole: whole})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			_ = s.Await(ctx, func(n Totals) bool { return n.InFlight == 1 })
			cancel()
		}()
		_, _ = post(ctx, t, url, "c", question("contribute"))
		require.NoError(t, s.Await(t.Context(), func(n Totals) bool { return n.Cut == 1 }))
		return s.Totals().OutputTokens
	}
	require.Greater(t, bill(true), bill(false))
}

func TestEveryFaultDoesWhatItsNameSays(t *testing.T) {
	for fault, want := range map[Fault]func(resp *http.Response, body string){
		FaultThrottle: func(r *http.Response, _ string) {
			require.Equal(t, 429, r.StatusCode)
			require.Equal(t, "3", r.Header.Get("Retry-After"))
		},
		FaultError:   func(r *http.Response, _ string) { require.Equal(t, 503, r.StatusCode) },
		FaultDeny:    func(r *http.Response, _ string) { require.Equal(t, 401, r.StatusCode) },
		FaultPage:    func(r *http.Response, body string) { require.Contains(t, body, "<html>") },
		FaultHang:    func(r *http.Response, _ string) { require.Nil(t, r) },
		FaultStall:   func(_ *http.Response, body string) { require.NotContains(t, body, "[DONE]") },
		FaultCut:     func(_ *http.Response, body string) { require.NotContains(t, body, "[DONE]") },
		FaultShort:   func(_ *http.Response, body string) { require.NotContains(t, body, "finish_reason\":\"stop") },
		FaultEndless: func(_ *http.Response, body string) { require.Greater(t, len(body), 20_000) },
		FaultEmpty:   func(_ *http.Response, body string) { s, _, _ := text(t, body); require.Empty(t, s) },
		FaultRefuse:  func(_ *http.Response, body string) { require.Contains(t, body, "refusal") },
		FaultGarbage: func(_ *http.Response, body string) {
			s, _, _ := text(t, body)
			require.False(t, json.Valid([]byte(s)))
		},
		FaultNoUsage: func(_ *http.Response, body string) {
			require.NotContains(t, body, "prompt_tokens")
			require.Contains(t, body, "[DONE]")
		},
	} {
		s, url := serve(t, Config{RetryAfter: 3 * time.Second, Fault: func(a Asked) Fault {
			require.Equal(t, "decompose", a.Step)
			return fault
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		resp, body := post(ctx, t, url, "c", question("decompose"))
		cancel()
		want(resp, body)
		require.NoError(t, s.Await(t.Context(), func(n Totals) bool { return n.InFlight == 0 }), fault)
		require.Equal(t, fault, s.Records("")[0].Fault)
	}
}

func TestRatesStrikeAboutAsOftenAsTheySayAndARetryHasItsOwnChance(t *testing.T) {
	cfg := Config{Seed: 9, ThrottlePerMille: 100, ErrorPerMille: 50, HangPerMille: 30, CutPerMille: 20}
	count := map[Fault]int{}
	again := 0
	for i := range 5000 {
		a := Asked{Job: "j", Call: strings.Repeat("c", i%97) + string(rune('a'+i/97))}
		f := cfg.strike(a)
		require.Equal(t, f, cfg.strike(a), "the same request meets the same fate")
		count[f]++
		if a.Before = 1; f != "" && cfg.strike(a) == "" {
			again++
		}
	}
	require.InDelta(t, 500, count[FaultThrottle], 120)
	require.InDelta(t, 250, count[FaultError], 90)
	require.InDelta(t, 150, count[FaultHang], 70)
	require.InDelta(t, 100, count[FaultCut], 60)
	require.Greater(t, again, 500)
}

func TestTheWitnessForgetsRecordsAndNeverTotals(t *testing.T) {
	s, url := serve(t, Config{Keep: 10})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				_, _ = post(t.Context(), t, url, "c", question("check"))
			}
		})
	}
	wg.Wait()
	require.Equal(t, 40, s.Totals().Completed)
	require.LessOrEqual(t, len(s.Records("")), 10)
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	s, _ := serve(t, Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	require.ErrorIs(t, s.Await(ctx, func(Totals) bool { return false }), cause)
}

func TestALogThatCannotBeWrittenIsReportedAndStopsNothing(t *testing.T) {
	s, url := serve(t, Config{Log: brokenWriter{}})
	for range 2 {
		resp, _ := post(t.Context(), t, url, "c", question("check"))
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	require.ErrorContains(t, s.Err(), "disk full")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for want, cfg := range map[string]Config{
		"negative":             {ErrorPerMille: -1},
		"add up to 1200":       {ErrorPerMille: 600, HangPerMille: 600},
		"must not be negative": {Pace: -1},
	} {
		_, err := New(cfg)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, Demo(1).check())
}
