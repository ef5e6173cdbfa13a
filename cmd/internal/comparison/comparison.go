package comparison

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rtfm-si/gavel/internal/execution/deliberation"
	"github.com/rtfm-si/gavel/internal/execution/model"
	"github.com/rtfm-si/gavel/internal/execution/price"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/problem"
)

// plainTokens is the most a plain answer may take: as much as the conclusion of a
// deliberation.
const plainTokens = 2000

// Asker asks a model, in one way and the other.
type Asker struct {
	// Chat reaches the model server, Model is who answers there.
	Chat  deliberation.Chat
	Model string
	// Thinking is what answers may take beyond what is asked for.
	Thinking int
	Prices   *price.Table
}

// Plain is one call's answer.
type Plain struct {
	Bill
	Text string
}

// Deliberated is a deliberation's.
type Deliberated struct {
	Bill
	Answer problem.Answer
}

// Pair is one problem, asked both ways.
type Pair struct {
	Name        string
	Problem     problem.Input
	Plain       Plain
	Deliberated Deliberated
}

// Compare puts one problem both ways.
func (a Asker) Compare(ctx context.Context, name string, input json.RawMessage) (Pair, error) {
	in, err := problem.Parse(input)
	if err != nil {
		return Pair{}, fmt.Errorf("compare %s: %w", name, err)
	}
	p := Pair{Name: name, Problem: in}
	if p.Plain, err = a.plain(ctx, in); err != nil {
		return p, fmt.Errorf("compare %s: one plain call: %w", name, err)
	}
	if p.Deliberated, err = a.deliberate(ctx, input); err != nil {
		return p, fmt.Errorf("compare %s: the deliberation: %w", name, err)
	}
	return p, nil
}

// plain asks as a person would who has a model and a question.
func (a Asker) plain(ctx context.Context, in problem.Input) (Plain, error) {
	rate, err := a.Prices.Of(a.Model)
	if err != nil {
		return Plain{}, err
	}
	text := in.Problem
	if in.Context != "" {
		text += "\n\n" + in.Context
	}
	if len(in.Constraints) > 0 {
		text += "\n\nConstraints:\n- " + strings.Join(in.Constraints, "\n- ")
	}
	reply, err := a.Chat.Chat(ctx, model.Request{
		Model: a.Model, MaxTokens: plainTokens + a.Thinking, Seed: in.Seed, Call: "plain",
		Messages: []model.Message{
			{Role: model.System, Text: "You advise people who have to decide. Say what to do and why."},
			{Role: model.User, Text: text},
		},
	}, func() error { return nil })
	if err != nil {
		return Plain{}, err
	}
	return Plain{Bill{1, reply.InputTokens, reply.OutputTokens, rate.Cost(reply.InputTokens, reply.OutputTokens)}, strings.TrimSpace(reply.Text)}, nil
}

func (a Asker) deliberate(ctx context.Context, input json.RawMessage) (Deliberated, error) {
	x, err := deliberation.New(deliberation.Config{Model: a.Model, Thinking: a.Thinking}, a.Chat, a.Prices)
	if err != nil {
		return Deliberated{}, err
	}
	l := &ledger{}
	result, err := x.Execute(ctx, job.Work{Kind: deliberation.Kind, Input: input, Attempt: 1}, l)
	if err != nil {
		return Deliberated{}, err
	}
	answer, err := problem.ReadAnswer(result)
	return Deliberated{l.bill, answer}, err
}
