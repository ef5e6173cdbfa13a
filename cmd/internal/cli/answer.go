package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type answerCommand struct {
	Job     string   `arg:"" help:"Id of the job."`
	Answers []string `arg:"" optional:"" help:"One answer for each question, in their order; asked for on a terminal if left out."`
	Raw     string   `name:"raw" placeholder:"JSON" help:"The answers as JSON, for jobs whose questions are no list."`
}

// Run answers what a parked job asks.
func (c *answerCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	answers, err := c.answers(ctx, d, cl)
	if err != nil {
		return err
	}
	state, err := cl.Answer(ctx, c.Job, answers, rand.Text())
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(map[string]any{"id": c.Job, "state": state})
	}
	d.screen.Line("answered; the job is %s. Follow it: %s watch %s", state, d.self, show.Clean(c.Job))
	return nil
}

func (c *answerCommand) answers(ctx context.Context, d *desk, cl *client.Client) (any, error) {
	switch {
	case c.Raw != "" && len(c.Answers) > 0:
		return nil, usage("give the answers as words or with --raw, not both")
	case c.Raw != "":
		if !json.Valid([]byte(c.Raw)) {
			return nil, usage("--raw is not valid JSON")
		}
		return json.RawMessage(c.Raw), nil
	case len(c.Answers) > 0:
		return c.Answers, nil
	case !d.person():
		return nil, usage("give one answer for each question; see them with: %s get %s", d.self, c.Job)
	}
	return c.interview(ctx, d, cl)
}

// interview asks a person each question in turn.
func (c *answerCommand) interview(ctx context.Context, d *desk, cl *client.Client) (any, error) {
	j, err := cl.Job(ctx, c.Job)
	if err != nil {
		return nil, err
	}
	asked := questions(j)
	if len(asked) == 0 {
		return nil, usage("the job asks no list of questions (it is %s %s); answer with --raw if it asks something else", j.State, j.ParkReason)
	}
	lines := d.lines()
	var answers []string
	for _, q := range asked {
		d.screen.Line("%s", d.screen.Paint(show.Bold, show.Clean(q)))
		text := lines(ctx)
		if text == "" {
			return nil, usage("an empty answer; nothing was sent")
		}
		answers = append(answers, text)
	}
	return answers, nil
}

// questions are what a job asks, when that is a list.
func questions(j client.Job) []string {
	var raw []any
	if json.Unmarshal(j.Questions, &raw) != nil {
		return nil
	}
	out := make([]string, 0, len(raw))
	for _, q := range raw {
		text, ok := q.(string)
		if !ok {
			b, _ := json.Marshal(q) // it was JSON a moment ago
			text = string(b)
		}
		out = append(out, strings.TrimSpace(text))
	}
	return out
}
