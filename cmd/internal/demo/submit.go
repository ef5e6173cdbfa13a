package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/examples"
)

// fields are what a scene changes of an example: "max_rounds", "seed".
type fields map[string]any

// submit asks for a deliberation on an example, changed as given.
func (p *play) submit(ctx context.Context, as *client.Client, example string, changed fields) (string, error) {
	raw, err := examples.Problem(example)
	if err != nil {
		return "", err
	}
	input := fields{}
	if err := json.Unmarshal(raw, &input); err != nil {
		return "", fmt.Errorf("example %s: %w", example, err)
	}
	maps.Copy(input, changed)
	got, err := as.Submit(ctx, client.Submission{Kind: "deliberation", Input: input, Labels: map[string]string{"demo": example}})
	if err != nil {
		return "", fmt.Errorf("submit %s: %w", example, err)
	}
	return got.ID, nil
}

// errEnough ends the following of a job before its last event.
var errEnough = errors.New("enough was seen")

// follow tells a job's events; each may be looked at.
func (p *play) follow(ctx context.Context, as *client.Client, id string, look func(client.Event) error) error {
	story := show.NewStory(p.screen, true)
	for e, err := range as.Events(ctx, id, "") {
		if err != nil {
			return fmt.Errorf("follow job %s: %w", id, err)
		}
		story.Tell(e)
		if err := look(e); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// after is a look that has seen enough once an event of a type came so often.
func after(n int, kind string) func(client.Event) error {
	return func(e client.Event) error {
		if e.Type == kind {
			n--
		}
		if n == 0 {
			return errEnough
		}
		return nil
	}
}

func nothing(client.Event) error { return nil }

// soon is how long the fleet may take for what should be so at once.
const soon = 20 * time.Second

// until looks again and again until something is so.
func until(ctx context.Context, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		ok, err := so()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, soon, errors.Join(context.Cause(ctx), err))
		case <-look.C:
		}
	}
}
