package deliberation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/problem"
)

// The steps of the whole problem.
const (
	atClarify    node = "clarify"
	atDecompose  node = "decompose"
	atDeliberate node = "deliberate"
	atConclude   node = "conclude"
)

func wholeGraph() graph {
	return graph{
		name:  "deliberation",
		start: atClarify,
		edges: map[node][]edge{
			atClarify:    {{to: atDecompose}},
			atDecompose:  {{to: atDeliberate}},
			atDeliberate: {{to: atDeliberate, counted: true}, {to: atConclude}},
			atConclude:   {{to: end}},
		},
	}
}

// deliberate walks the whole graph.
func (r *run) deliberate(ctx context.Context) error {
	w := walk{
		graph: wholeGraph(),
		steps: map[node]step{
			atClarify:    r.clarify,
			atDecompose:  r.decompose,
			atDeliberate: r.batch,
			atConclude:   r.conclude,
		},
		laps:   problem.MaxSubProblems,
		budget: r.steps,
	}
	err := w.run(ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("deliberate: %w", context.Cause(ctx))
	}
	return err
}

// clarify asks the owner for what is missing, if the input allows it and the
// owner has not answered yet.
func (r *run) clarify(ctx context.Context) (node, error) {
	if !r.in.MayAsk {
		return atDecompose, nil
	}
	got, err := askFor(ctx, r, r.clarifyQuestion(), (*inquiry).check)
	if err != nil {
		return "", err
	}
	if len(got.Questions) == 0 || len(r.work.Answers) > 0 {
		r.asked = got.Questions
		return atDecompose, nil
	}
	questions, err := json.Marshal(got.Questions)
	if err != nil {
		return "", fmt.Errorf("encode the questions: %w", err)
	}
	return "", fmt.Errorf("clarify: %w", &job.Park{
		Reason: "input", Questions: questions,
		Detail: fmt.Sprintf("%d questions to the owner", len(got.Questions)),
	})
}

// answered is what the owner answered, each answer below its question.
func (r *run) answered() string {
	var answers []any
	if len(r.asked) == 0 || json.Unmarshal(r.work.Answers, &answers) != nil || len(answers) != len(r.asked) {
		return string(r.work.Answers)
	}
	var b strings.Builder
	for i, q := range r.asked {
		fmt.Fprintf(&b, "Asked: %s\nAnswered: %v\n", q, answers[i])
	}
	return b.String()
}

// decompose takes the problem apart.
func (r *run) decompose(ctx context.Context) (node, error) {
	most := or(r.in.MaxSubProblems, problem.MaxSubProblems)
	got, err := askFor(ctx, r, r.decomposeQuestion(most), func(p *plan) error { return p.check(most) })
	if err != nil {
		return "", err
	}
	for _, p := range got.SubProblems {
		r.subs = append(r.subs, &sub{run: r, part: p, most: roundCap(p.Complexity, r.in.MaxRounds)})
	}
	if !r.journal.begun("s") {
		err = r.emit(ctx, "decomposed", map[string]any{"complexity": got.Complexity, "sub_problems": got.SubProblems})
	}
	return atDeliberate, err
}

// batch deliberates on every sub-problem whose dependencies are done, at once.
func (r *run) batch(ctx context.Context) (node, error) {
	done := map[string]*sub{}
	for _, s := range r.subs {
		if s.done {
			done[s.part.ID] = s
		}
	}
	var ready []*sub
	for _, s := range r.subs {
		if !s.done && s.unblock(done) {
			ready = append(ready, s)
		}
	}
	if len(ready) == 0 {
		return "", errors.New("no sub-problem is ready although some are not done")
	}
	if err := r.together(len(ready), func(i int) error { return ready[i].deliberate(ctx) }); err != nil {
		return "", err
	}
	if len(done)+len(ready) < len(r.subs) {
		return atDeliberate, nil
	}
	return atConclude, nil
}

// conclude makes one answer of the sub-problems' findings.
func (r *run) conclude(ctx context.Context) (node, error) {
	got, err := askFor(ctx, r, r.concludeQuestion(), func(c *conclusion) error { return c.check(r.subs) })
	r.final = got
	return end, err
}

// simulatedModel is the name under which the simulated model server is priced.
const simulatedModel = "simulated"

// answer puts the result together.
func (r *run) answer() problem.Answer {
	a := problem.Answer{
		Version: problem.AnswerVersion, Problem: r.in.Problem,
		Synthesis: r.final.Synthesis, NextSteps: r.final.NextSteps,
		Simulated:    r.routes.any(simulatedModel),
		CostMicroUSD: int64(r.cost()), Calls: r.journal.size(),
	}
	for _, rec := range r.final.Recommendations {
		a.Recommendations = append(a.Recommendations, problem.Recommendation{
			Title: rec.Title, Detail: rec.Detail, Confidence: *rec.Confidence, SubProblems: rec.SubProblems,
		})
	}
	for _, s := range r.subs {
		a.SubProblems = append(a.SubProblems, s.outcome())
	}
	return a
}
