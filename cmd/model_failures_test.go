package cmd_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

// struck is one way in which a model server fails a job, and what becomes of it.
type struck struct {
	fault modelsim.Fault
	// times is how often the call is struck, each try and each second asking
	// counted; 0 is always.
	times int
	call  string // "decompose", or what all calls of it begin with
	state client.State
	cause string
	says  string // the job's error
	event string // what its owner sees of it
	free  bool   // a struck call costs nothing
}

// Whatever a model server does wrong has a defined end, in the job's state and in
// its events, and nothing of its money stays reserved.
func failures() map[string]struck {
	const again, retry = "model.again", "model.retry"
	return map[string]struck{
		"429 with Retry-After":    {fault: modelsim.FaultThrottle, times: 1, call: "decompose", state: client.Succeeded, event: retry, free: true},
		"503":                     {fault: modelsim.FaultError, times: 2, call: "s1/r1/", state: client.Succeeded, event: retry, free: true},
		"no answer":               {fault: modelsim.FaultHang, times: 1, call: "decompose", state: client.Succeeded, event: retry},
		"silence in mid-stream":   {fault: modelsim.FaultStall, times: 1, call: "s1/vote/", state: client.Succeeded, event: retry},
		"a cut in mid-stream":     {fault: modelsim.FaultCut, times: 1, call: "s1/r1/", state: client.Succeeded, event: retry},
		"a stream without an end": {fault: modelsim.FaultShort, times: 1, call: "conclude", state: client.Succeeded, event: retry},
		"a stream that goes on":   {fault: modelsim.FaultEndless, times: 1, call: "s1/synthesis", state: client.Succeeded, event: again},
		"an empty reply":          {fault: modelsim.FaultEmpty, times: 1, call: "s1/options", state: client.Succeeded, event: again},
		"a refusal":               {fault: modelsim.FaultRefuse, times: 1, call: "s1/vote/", state: client.Succeeded, event: again},
		"garbage JSON":            {fault: modelsim.FaultGarbage, times: 1, call: "decompose", state: client.Succeeded, event: again},
		"no usage stated":         {fault: modelsim.FaultNoUsage, call: "decompose", state: client.Succeeded},
		"429 that stays": {
			fault: modelsim.FaultThrottle, call: "decompose", state: client.Failed, cause: "attempts", says: "after 4 tries: ask the model: model server answered 429", event: retry, free: true,
		},
		"cuts that stay":      {fault: modelsim.FaultCut, call: "decompose", state: client.Failed, cause: "attempts", says: "the model's stream broke off", event: retry},
		"garbage that stays":  {fault: modelsim.FaultGarbage, call: "decompose", state: client.Failed, cause: "error", says: "could not be used, nor could its second", event: again},
		"refusals that stay":  {fault: modelsim.FaultRefuse, call: "s1/r1/", state: client.Failed, cause: "error", says: "no persona spoke in this round", event: again},
		"a key that is wrong": {fault: modelsim.FaultDeny, call: "decompose", state: client.Failed, cause: "error", says: "401 Unauthorized", free: true},
		"a page of HTML":      {fault: modelsim.FaultPage, call: "decompose", state: client.Failed, cause: "error", says: "check the base URL"},
	}
}

func TestEachFailureOfAModelServerHasItsResult(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	var mu sync.Mutex
	jobs, strikes := map[string]struck{}, map[string]int{}
	p := newPanel(t, modelsim.Config{Seed: 1, RetryAfter: time.Second, Fault: func(a modelsim.Asked) modelsim.Fault {
		mu.Lock()
		defer mu.Unlock()
		s := jobs[a.Job]
		if s.fault == "" || !strings.HasPrefix(a.Call, s.call) || s.times > 0 && strikes[a.Job] >= s.times {
			return ""
		}
		strikes[a.Job]++
		return s.fault
	}})
	ids := map[string]string{}
	for name, s := range failures() {
		done, err := p.as("alice").Submit(ctx, client.Submission{Kind: "deliberation", MaxAttempts: 1, Input: map[string]any{
			"problem": "Should a shop with nine clerks open on Sundays?", "seed": 1, "max_rounds": 1, "max_sub_problems": 1,
		}})
		require.NoError(t, err)
		ids[name] = done.ID
		mu.Lock()
		jobs[done.ID] = s
		mu.Unlock()
	}
	p.worker(0, "GAVEL_SLOTS=32", "GAVEL_MODEL_SILENCE=1s")
	for name, s := range failures() {
		id := ids[name]
		j := p.over(ctx, id, s.state)
		mu.Lock()
		n := strikes[id]
		mu.Unlock()
		require.Positive(t, n, "%s: it was struck", name)
		require.Equal(t, client.MicroUSD(0), j.Reserved, name)
		if s.state == client.Failed {
			require.Equal(t, s.cause, j.Cause, name)
			require.Contains(t, j.Error, s.says, name)
		}
		seen := p.eventsOf(ctx, id)
		if s.event != "" {
			require.NotEmpty(t, seen[s.event], "%s: its owner sees it", name)
		}
		if s.fault == modelsim.FaultThrottle {
			require.GreaterOrEqual(t, waited(t, seen["model.retry"][0]), time.Second, "%s: not before its Retry-After", name)
		}
		if s.free && s.state == client.Failed {
			require.Zero(t, j.Spent, name)
		}
		if !s.free && s.fault != modelsim.FaultPage {
			require.Positive(t, j.Spent, name)
		}
	}
	require.NoError(t, p.model.Await(ctx, func(n modelsim.Totals) bool { return n.InFlight == 0 }), "every socket is closed")
}

// eventsOf are a job's events by type, to its end.
func (p *panel) eventsOf(ctx context.Context, id string) map[string][]client.Event {
	p.t.Helper()
	out := map[string][]client.Event{}
	for e, err := range p.as("alice").Events(ctx, id, "") {
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		require.NoError(p.t, err)
		out[e.Type] = append(out[e.Type], e)
	}
	return out
}

func waited(t *testing.T, e client.Event) time.Duration {
	t.Helper()
	var data struct {
		Wait int64 `json:"wait_ms"`
	}
	require.NoError(t, json.Unmarshal(e.Data, &data))
	return time.Duration(data.Wait) * time.Millisecond
}

// A model that thinks before it writes: without room for that its answers are
// empty and the job says what to do; with it, for all or by role, it is answered,
// and what was thought is booked.
func TestAModelThatThinksNeedsRoomForIt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	p := newPanel(t, modelsim.Config{Seed: 1, Think: 3000})
	w := p.worker(0)
	j := p.over(ctx, p.ask(ctx, 0), client.Failed)
	require.Contains(t, j.Error, "its tokens ran out before its first word")
	require.Contains(t, j.Error, "--model-thinking")
	require.NoError(t, w.signal("TERM"))

	p.worker(1, "GAVEL_MODEL_THINKING=4000")
	p.answer(ctx, p.ask(ctx, 0))
	require.NoError(t, p.processes["w1"].signal("TERM"))
	_, err := p.processes["w1"].exits()
	require.NoError(t, err)

	models := filepath.Join(p.dir, "models.json")
	require.NoError(t, os.WriteFile(models, []byte(`{"lead":{"thinking":4000},"persona":{"thinking":3500},"synthesis":{"thinking":3001}}`), 0o600))
	p.worker(2, "GAVEL_MODELS="+models)
	id := p.ask(ctx, 0)
	p.answer(ctx, id)
	prices, err := price.Embedded()
	require.NoError(t, err)
	rate, err := prices.Of(modelsim.Model)
	require.NoError(t, err)
	bill := client.MicroUSD(0)
	for _, r := range p.model.Records(id) {
		require.Greater(t, r.OutputTokens, 3000)
		bill += client.MicroUSD(rate.Cost(r.InputTokens, r.OutputTokens))
	}
	j = p.over(ctx, id, client.Succeeded)
	require.Equal(t, bill, j.Spent)
}
