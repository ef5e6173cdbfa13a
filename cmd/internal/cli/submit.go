package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// submission are the flags of submit and run.
type submission struct {
	File    string            `arg:"" help:"File with the problem (JSON), or - for standard input."`
	Labels  map[string]string `name:"label" short:"l" help:"Label of the job, key=value; may be repeated." mapsep:"none"`
	Budget  string            `name:"budget" placeholder:"USD" help:"The most the job may spend, in dollars, such as 2.50; default is the fleet's."`
	Timeout time.Duration     `name:"timeout" help:"Bound of one attempt, in whole seconds such as 10m; default is the fleet's."`
	Owner   string            `name:"owner" help:"On whose behalf, for services."`
	Kind    string            `name:"kind" default:"deliberation" help:"What runs it."`
	Again   string            `name:"idempotency-key" placeholder:"KEY" help:"Repeat a submission whose answer was lost; drawn if left out."`
}

// maxProblem bounds a file: what is larger no dispatcher takes.
const maxProblem = 2 << 20

// read makes a submission of the file and the flags.
func (s submission) read(in io.Reader) (client.Submission, error) {
	out := client.Submission{
		Kind: s.Kind, Labels: s.Labels, Timeout: s.Timeout, Owner: s.Owner, IdempotencyKey: s.Again,
	}
	if out.IdempotencyKey == "" {
		out.IdempotencyKey = rand.Text()
	}
	if s.Timeout < 0 || s.Timeout%time.Second != 0 {
		return out, usage("--timeout: %s is not a number of whole seconds", s.Timeout)
	}
	if s.Budget != "" {
		var err error
		if out.Budget, err = dollars(s.Budget); err != nil {
			return out, err
		}
	}
	raw, err := s.problem(in)
	if err != nil {
		return out, err
	}
	out.Input = json.RawMessage(raw)
	return out, nil
}

func (s submission) problem(in io.Reader) ([]byte, error) {
	if s.File != "-" {
		f, err := os.Open(s.File)
		if err != nil {
			return nil, &Failure{Code: codeUsage, Text: err.Error(), Hint: "Give a file such as examples/market-entry.json; examples/README.md says what may be in it."}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxProblem+1))
	if err != nil {
		return nil, usage("read the problem: %v", err)
	}
	if len(raw) > maxProblem {
		return nil, usage("%s is larger than %d bytes", s.File, maxProblem)
	}
	raw = bytes.TrimSpace(raw)
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, &Failure{Code: codeUsage, Text: fmt.Sprintf("%s is no JSON object: %s", s.File, whereIn(raw, err)), Hint: "The least there can be is {\"problem\": \"Should we …?\"}."}
	}
	return raw, nil
}

// whereIn adds the line to an error of the JSON decoder.
func whereIn(raw []byte, err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("line %d: %v", 1+bytes.Count(raw[:syntax.Offset], []byte("\n")), err)
	}
	return err.Error()
}

// dollars reads an amount exactly: money is never a float.
func dollars(text string) (client.MicroUSD, error) {
	m, err := amount("--budget", text)
	if err == nil && m == 0 {
		return 0, usage("--budget: %q is not an amount in dollars such as 2.50", text)
	}
	return m, err
}

// amount reads dollars, none included.
func amount(flag, text string) (client.MicroUSD, error) {
	r, ok := new(big.Rat).SetString(text)
	if !ok || r.Sign() < 0 {
		return 0, usage("%s: %q is not an amount in dollars such as 2.50", flag, text)
	}
	r.Mul(r, new(big.Rat).SetInt64(int64(client.USD)))
	if !r.IsInt() || !r.Num().IsInt64() {
		return 0, usage("%s: %q cannot be counted in millionths of a dollar", flag, text)
	}
	return client.MicroUSD(r.Num().Int64()), nil
}

// send submits, and says how to repeat it when its answer was lost.
func (s submission) send(ctx context.Context, d *desk) (*client.Client, client.Accepted, error) {
	c, err := d.client()
	if err != nil {
		return nil, client.Accepted{}, err
	}
	sub, err := s.read(d.In)
	if err != nil {
		return nil, client.Accepted{}, err
	}
	got, err := c.Submit(ctx, sub)
	if err != nil {
		f := d.failureOf(err)
		if f.Code == codeUnavailable || errors.Is(err, context.Canceled) {
			f.Hint = join(f.Hint, "The same command with --idempotency-key "+sub.IdempotencyKey+" never submits it twice.")
		}
		return nil, got, f
	}
	return c, got, nil
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n" + b
}

type submitCommand struct {
	submission `embed:""`
}

// Run submits the problem.
func (c *submitCommand) Run(ctx context.Context, d *desk) error {
	_, got, err := c.send(ctx, d)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(got)
	}
	accepted(d, got)
	d.screen.Line("%s", d.screen.Paint(show.Dim, "follow it: "+d.self+" watch "+got.ID))
	return nil
}

func accepted(d *desk, got client.Accepted) {
	note := ""
	if !got.Created {
		note = "  (submitted before under the same idempotency key)"
	}
	d.screen.Line("job %s%s", d.screen.Paint(show.Bold, got.ID), note)
}
