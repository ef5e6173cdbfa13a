package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/modelsim"
	"github.com/rtfm-si/gavel/internal/problem"
)

// Deliberations under SIGKILL and under kills: 200 and 100 of them in make
// deaths, a few in every run.
func howMany(full, few int) int {
	if *deaths {
		return full
	}
	return few
}

// panel is a fleet whose model server is watched call by call.
type panel struct {
	*fleet
	t     *testing.T
	model *modelsim.Server
	url   string
}

func newPanel(t *testing.T, cfg modelsim.Config) *panel {
	t.Helper()
	cfg.Keep = 1 << 20
	sim, err := modelsim.New(cfg)
	require.NoError(t, err)
	server := httptest.NewServer(sim.Handler())
	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(func() { f.end(); server.Close() })
	require.NoError(t, f.startDispatcher("dispatcher", func(string) string { return "" }))
	return &panel{fleet: f, t: t, model: sim, url: server.URL}
}

func (p *panel) worker(n int, more ...string) *process {
	p.t.Helper()
	name := fmt.Sprint("w", n)
	require.NoError(p.t, p.startWorker(name, func(string) string { return "" }, append([]string{"GAVEL_MODEL_URL=" + p.url + "/v1"}, more...)...))
	return p.processes[name]
}

// problemOf is one of a few problems, each with a seed of its own.
func problemOf(n int) map[string]any {
	return map[string]any{
		"problem": fmt.Sprintf("Should a shop with %d clerks open on Sundays?", 3+n), "seed": n + 1, "max_rounds": 1 + n%2, "max_sub_problems": 1 + n%2,
	}
}

func (p *panel) ask(ctx context.Context, n int) string {
	p.t.Helper()
	done, err := p.as("alice").Submit(ctx, client.Submission{Kind: "deliberation", Input: problemOf(n), MaxAttempts: 50})
	require.NoError(p.t, err)
	return done.ID
}

// answer waits for a job to succeed and returns what it found, cost aside.
func (p *panel) answer(ctx context.Context, id string) any {
	p.t.Helper()
	require.NoError(p.t, eventually(func(context.Context) error {
		j, err := p.as("alice").Job(ctx, id)
		if err != nil || j.State == client.Succeeded {
			return err
		}
		if j.State.Over() {
			return settledError{fmt.Errorf("%s is %s: %s %s", id, j.State, j.Cause, j.Error)}
		}
		return fmt.Errorf("%s is %s", id, j.State)
	}))
	r, err := p.as("alice").Result(ctx, id)
	require.NoError(p.t, err)
	var found any
	require.NoError(p.t, json.Unmarshal(r.Result, &found))
	return costless(found)
}

// costless is a document without what interrupted calls had cost.
func costless(v any) any {
	switch d := v.(type) {
	case map[string]any:
		delete(d, "cost_micro_usd")
		for _, in := range d {
			costless(in)
		}
	case []any:
		for _, in := range d {
			costless(in)
		}
	}
	return v
}

// booked is what a call of a checkpoint cost.
type booked struct {
	Cost      client.MicroUSD `json:"cost_micro_usd"`
	Estimated bool            `json:"estimated"`
}

// settled are the calls in the newest sound checkpoint of a job: settled, and
// never to be made again.
func (p *panel) settled(ctx context.Context, id string) map[string]booked {
	p.t.Helper()
	all, err := p.as("alice").Checkpoints(ctx, id)
	require.NoError(p.t, err)
	for _, k := range slices.Backward(all) {
		if !k.Sound {
			continue
		}
		full, err := p.as("alice").Checkpoint(ctx, id, k.Seq)
		require.NoError(p.t, err)
		var state struct {
			Body struct {
				Entries map[string]booked `json:"entries"`
			} `json:"body"`
		}
		require.NoError(p.t, json.Unmarshal(full.State, &state))
		return state.Body.Entries
	}
	return nil
}

// notAgain holds the model server's record to it that none of these calls was
// asked after a moment.
func (p *panel) notAgain(id string, calls map[string]booked, since time.Time) {
	p.t.Helper()
	for _, r := range p.model.Records(id) {
		if r.Arrived.After(since) {
			require.NotContains(p.t, calls, r.Call, "%s asked %s again, which was settled", id, r.Call)
		}
	}
}

// asked waits until the model server was asked something after a moment: some
// job is under way on the worker of now.
func (p *panel) asked(ctx context.Context, since time.Time) {
	p.t.Helper()
	require.NoError(p.t, p.model.Await(ctx, func(t modelsim.Totals) bool { return t.LastArrival.After(since) }))
}

// A worker that dies at any moment costs nobody their result: each deliberation
// ends as an undisturbed one does, and no call that was settled is made again.
func TestDeliberationsSurviveTheDeathOfTheirWorkers(t *testing.T) {
	t.Parallel()
	const problems, atOnce, parallel = 3, 4, 8
	deaths := howMany(200, 5)
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Duration(deaths)*patience/3)
	defer cancel()
	p := newPanel(t, modelsim.Config{Seed: 1, Latency: 40 * time.Millisecond, Pace: 3000})
	w := p.worker(0)
	undisturbed := make([]any, problems)
	for n := range problems {
		undisturbed[n] = p.answer(ctx, p.ask(ctx, n))
	}

	type running struct {
		id     string
		n      int
		deaths int
	}
	var live []running
	asked, born := 0, time.Now()
	settle := func(r running) {
		t.Helper()
		require.Equal(t, undisturbed[r.n], p.answer(ctx, r.id), "%s, interrupted %d times", r.id, r.deaths)
		seen := map[string]int{}
		again := 0
		for _, rec := range p.model.Records(r.id) {
			if seen[rec.Call]++; seen[rec.Call] > 1 {
				again++
			}
		}
		require.LessOrEqual(t, again, r.deaths*parallel, "no more is asked again than was in flight")
	}
	for death := 1; death <= deaths; death++ {
		for len(live) < atOnce {
			live = append(live, running{id: p.ask(ctx, asked%problems), n: asked % problems})
			asked++
		}
		p.asked(ctx, born)
		<-time.After(rand.N(700 * time.Millisecond))
		require.NoError(t, w.signal("KILL"))
		_, err := w.exits()
		require.NoError(t, err)
		at := time.Now()
		kept := make([]map[string]booked, len(live))
		for i, r := range live {
			kept[i] = p.settled(ctx, r.id)
		}
		born = time.Now()
		w = p.worker(death)
		var left []running
		for i, r := range live {
			j, err := p.as("alice").Job(ctx, r.id)
			require.NoError(t, err)
			p.t.Cleanup(func() { p.notAgain(r.id, kept[i], at) })
			if j.State == client.Succeeded {
				settle(r)
				continue
			}
			r.deaths++
			left = append(left, r)
		}
		live = left
	}
	for _, r := range live {
		settle(r)
	}
	t.Logf("%d deaths of workers over %d deliberations, %d requests", deaths, asked, p.model.Totals().Requests)
}

// A deliberation that was killed goes on as a new job, from a checkpoint of the
// old one: it finds what an undisturbed one finds, and pays for nothing twice.
func TestAKilledDeliberationGoesOnAsANewJob(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	p := newPanel(t, modelsim.Config{Seed: 1, Latency: 40 * time.Millisecond, Pace: 2000})
	p.worker(0)
	undisturbed := p.answer(ctx, p.ask(ctx, 1))

	input := problemOf(1)
	input["transcript"] = true
	done, err := p.as("alice").Submit(ctx, client.Submission{Kind: "deliberation", Input: input})
	require.NoError(t, err)
	id := done.ID
	require.NoError(t, eventually(func(context.Context) error {
		j, err := p.as("alice").Job(ctx, id)
		if err == nil && j.Checkpoint < 6 {
			err = fmt.Errorf("checkpoint %d", j.Checkpoint)
		}
		return err
	}))
	_, err = p.as("alice").Kill(ctx, id, client.Kill{Reason: "on second thoughts", Wait: 5 * time.Second})
	require.NoError(t, err)
	all, err := p.as("alice").Checkpoints(ctx, id)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	kept := p.settled(ctx, id)
	require.GreaterOrEqual(t, len(kept), 6)
	transcribed := map[string]bool{}
	for e, err := range p.as("alice").Transcript(ctx, id) {
		require.NoError(t, err)
		require.NotEmpty(t, e.Messages)
		transcribed[e.Call] = true
	}
	for _, rec := range p.model.Records(id) {
		require.True(t, transcribed[rec.Call], "%s was asked and is not in the transcript, cut or not", rec.Call)
	}

	p.worker(1)
	require.NoError(t, p.processes["w0"].signal("TERM"))
	r, err := p.as("alice").GoOn(ctx, id, client.Resumption{})
	require.NoError(t, err)
	require.Equal(t, all[len(all)-1].Seq, r.Seq)
	require.Equal(t, undisturbed, p.answer(ctx, r.ID))
	p.notAgain(r.ID, kept, time.Time{})
	asked := map[string]bool{}
	for _, rec := range p.model.Records(r.ID) {
		require.False(t, asked[rec.Call], "%s twice", rec.Call)
		asked[rec.Call] = true
	}
	old, err := p.as("alice").Job(ctx, id)
	require.NoError(t, err)
	require.Equal(t, client.Killed, old.State)
}

// A kill in mid-stream: the model server sees the socket closed, is asked
// nothing more, and what it bills is in the receipt.
func TestAKillCutsTheStreamAndTheReceiptHasTheBill(t *testing.T) {
	t.Parallel()
	kills := howMany(100, 5)
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Duration(kills)*patience/5)
	defer cancel()
	p := newPanel(t, modelsim.Config{Seed: 1, Latency: 30 * time.Millisecond, Pace: 200})
	p.worker(0, "GAVEL_MODEL_BILLS=true")
	prices, err := price.Embedded()
	require.NoError(t, err)
	rate, err := prices.Of(modelsim.Model)
	require.NoError(t, err)
	var took []time.Duration
	exact := 0
	for n := range kills {
		id := p.ask(ctx, n%4)
		p.streaming(ctx, id)
		<-time.After(rand.N(2 * time.Second))
		p.streaming(ctx, id)
		asked := time.Now()
		receipt, err := p.as("alice").Kill(ctx, id, client.Kill{Reason: "in mid-stream", Wait: 10 * time.Second})
		require.NoError(t, err)
		require.EqualValues(t, "stopped", receipt.Verdict)
		confirmed := time.Now()
		require.NoError(t, p.model.Await(ctx, func(modelsim.Totals) bool {
			return !slices.ContainsFunc(p.model.Records(id), modelsim.Record.Open)
		}))
		bill, told, settled := client.MicroUSD(0), true, p.settled(ctx, id)
		for _, r := range p.model.Records(id) {
			require.True(t, r.Arrived.Before(confirmed), "%s was asked after the kill was confirmed", r.Call)
			cost := client.MicroUSD(rate.Cost(r.InputTokens, r.OutputTokens))
			bill += cost
			if b, ok := settled[r.Call]; ok && !b.Estimated {
				require.Equal(t, cost, b.Cost, "%s came to its end: what was booked is the server's count", r.Call)
			}
			if r.Cut {
				took = append(took, r.Ended.Sub(asked))
				told = told && r.Told
			}
		}
		j, err := p.as("alice").Job(ctx, id)
		require.NoError(t, err)
		require.Equal(t, client.Killed, j.State)
		require.Equal(t, j.Spent-j.SpentAtOrder, receipt.Tally.SpentAfter, "what was spent after the order is in its receipt")
		if told {
			exact++
			require.Equal(t, bill, j.Spent, "what the server counted for the calls that were cut is what was booked")
		} else {
			require.GreaterOrEqual(t, j.Spent, bill, "a call cut before the server named it is booked as an estimate, never below what the server counted")
		}
	}
	t.Logf("%d of %d bills are the server's count, the others flagged estimates", exact, kills)
	require.GreaterOrEqual(t, exact, kills*8/10, "only a call that was cut before the server had answered at all is estimated")
	require.NotEmpty(t, took, "no kill came in mid-stream")
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d kills cut %d streams: socket closed p50 %s, p99 %s after the request", kills, len(took), took[len(took)/2], p99)
	require.Less(t, p99, 3*time.Second, "on a machine of many others; the figure is in the log")
}

// streaming waits until the model server is in the middle of an answer.
func (p *panel) streaming(ctx context.Context, id string) {
	p.t.Helper()
	require.NoError(p.t, p.model.Await(ctx, func(modelsim.Totals) bool {
		return slices.ContainsFunc(p.model.Records(id), modelsim.Record.Open)
	}))
}

// over waits until a job is in a state and returns it.
func (p *panel) over(ctx context.Context, id string, want client.State) client.Job {
	p.t.Helper()
	var j client.Job
	require.NoError(p.t, eventually(func(context.Context) (err error) {
		if j, err = p.as("alice").Job(ctx, id); err == nil && j.State != want {
			err = fmt.Errorf("%s is %s: %s %s", id, j.State, j.Cause, j.Error)
			if j.State.Over() {
				err = settledError{err}
			}
		}
		return err
	}))
	return j
}

// replaced is a worker in the place of another, with other settings.
func (p *panel) replaced(n int, more ...string) {
	p.t.Helper()
	if old := p.processes[fmt.Sprint("w", n-1)]; old != nil {
		require.NoError(p.t, old.signal("TERM"))
		_, err := old.exits()
		require.NoError(p.t, err)
	}
	p.worker(n, more...)
}

// The layers that end what would go on for ever, each through a real worker.
func TestWhatEndsALoop(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	silent := newPanel(t, modelsim.Config{Seed: 1, HangPerMille: 1000})
	p := newPanel(t, modelsim.Config{Seed: 1})
	submit := func(p *panel, s client.Submission) string {
		s.Kind = "deliberation"
		if s.Input == nil {
			s.Input = problemOf(1)
		}
		done, err := p.as("alice").Submit(ctx, s)
		require.NoError(t, err)
		return done.ID
	}

	// 1: the limit of steps.
	p.replaced(0, "GAVEL_STEPS=5")
	j := p.over(ctx, submit(p, client.Submission{}), client.Failed)
	require.Contains(t, j.Error, "step")
	require.Contains(t, j.Error, "5")

	// 2: the check of the graphs and of the configuration, before anything is taken.
	refused, err := p.start("refused", "worker", p.environment("worker", func(string) string { return "" }, []string{"GAVEL_STEPS=-1", "GAVEL_WORKER_ID=refused"}))
	require.NoError(t, err)
	code, err := refused.exits()
	require.NoError(t, err)
	require.Equal(t, 1, code)
	require.Contains(t, refused.log.text(), "steps must be at least 1")

	// 3: the cap of rounds: by the complexity, and lowered by the input.
	p.replaced(1)
	for most, id := range map[int]string{
		6: submit(p, client.Submission{Input: map[string]any{"problem": "Should a shop with nine clerks open on Sundays?", "seed": 3}}),
		1: submit(p, client.Submission{Input: map[string]any{"problem": "Should a shop with nine clerks open on Sundays?", "seed": 3, "max_rounds": 1}}),
	} {
		p.over(ctx, id, client.Succeeded)
		r, err := p.as("alice").Result(ctx, id)
		require.NoError(t, err)
		a, err := problem.ReadAnswer(r.Result)
		require.NoError(t, err)
		for _, s := range a.SubProblems {
			byComplexity := map[bool]int{true: 3, false: 6}[s.Complexity <= 3]
			require.LessOrEqual(t, s.Rounds, min(most, byComplexity))
			require.NotEmpty(t, s.StoppedBy)
			if most == 1 {
				require.Equal(t, "round cap", s.StoppedBy)
			}
		}
	}

	// 4: the deadline, and the watchdog, which fires although nothing ever comes.
	silent.replaced(0, "GAVEL_JOB_SILENCE=2s")
	late := submit(silent, client.Submission{Timeout: time.Second})
	mute := submit(silent, client.Submission{MaxAttempts: 1})
	require.Equal(t, "deadline", silent.over(ctx, late, client.Failed).Cause)
	require.Equal(t, "attempts", silent.over(ctx, mute, client.Failed).Cause)
	require.Equal(t, 0, silent.model.Totals().InFlight, "both sockets are closed")

	// 5: the budget, before every paid call.
	j = p.over(ctx, submit(p, client.Submission{Budget: 10}), client.Parked)
	require.Equal(t, "budget", j.ParkReason)
	require.Empty(t, p.model.Records(j.ID), "no call was made that the budget does not bear")
}
