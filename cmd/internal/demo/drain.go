package demo

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

// leave drains the worker that runs a job; another one finishes it.
func (p *play) leave(ctx context.Context) error {
	id, err := p.submit(ctx, p.bob, "build-or-buy", fields{"max_sub_problems": 1, "max_rounds": 2})
	if err != nil {
		return err
	}
	p.say("bob submits a problem; when the first personas have spoken, its worker is told to leave, as by SIGTERM:")
	left := make(chan error, 1)
	said := map[utterance]int{}
	gone := ""
	err = p.follow(ctx, p.bob, id, func(e client.Event) error {
		if e.Type != "contribution" {
			return nil
		}
		said[speaker(e)]++
		if len(said) != 2 || gone != "" {
			return nil
		}
		j, err := p.bob.Job(ctx, id)
		if err != nil {
			return fmt.Errorf("look at the job: %w", err)
		}
		gone = j.Worker
		go func() { left <- p.fleet.Drain(j.Worker) }()
		return nil
	})
	if err != nil {
		return err
	}
	if gone == "" {
		return fmt.Errorf("job %s was over before its worker could leave", id)
	}
	if err := <-left; err != nil {
		return p.promise(false, gone+" leaves in order", "it left with: %v", err)
	}
	if err := p.promise(true, gone+" left in order, with nothing in its hands", ""); err != nil {
		return err
	}
	return p.resumed(ctx, id, said)
}

// utterance is what one persona said in one round.
type utterance struct {
	Part    string `json:"sub_problem"`
	Round   int    `json:"round"`
	Persona string `json:"persona"`
}

func speaker(e client.Event) utterance {
	var u utterance
	if json.Unmarshal(e.Data, &u) != nil {
		return utterance{Persona: e.ID} // counted as one of its own
	}
	return u
}

// resumed checks that nothing was lost, and nothing that was said was asked for
// again.
func (p *play) resumed(ctx context.Context, id string, said map[utterance]int) error {
	j, err := p.bob.Job(ctx, id)
	if err != nil {
		return fmt.Errorf("look at the job: %w", err)
	}
	if err := p.promise(j.State == client.Succeeded && j.Grants == 2 && j.Attempts == 0,
		"another worker resumed the job from its checkpoint and finished it; no attempt was counted",
		"it is %s after %d grants and %d attempts: %s", j.State, j.Grants, j.Attempts, j.Error); err != nil {
		return err
	}
	twice := 0
	for _, n := range said {
		if n > 1 {
			twice++
		}
	}
	answers, again := tally(p.fleet.Witness().Records(id))
	inFlight := "no call was in flight when it left"
	if again > 0 {
		inFlight = "only the " + show.Count(int64(again), "call", "calls") + " in flight when it left had to be asked again"
	}
	return p.promise(twice == 0, fmt.Sprintf("%d answers, and no persona had to say anything twice; %s", answers, inFlight),
		"%d of them had to", twice)
}

// tally counts the questions that the model was asked, and those of them that
// it was asked again.
func tally(calls []modelsim.Record) (questions, again int) {
	asked := map[string]int{}
	for _, c := range calls {
		asked[c.Call]++
	}
	return len(asked), len(calls) - len(asked)
}
