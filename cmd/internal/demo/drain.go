package demo

import (
	"context"
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
	said := 0
	err = p.follow(ctx, p.bob, id, func(e client.Event) error {
		if e.Type == "contribution" {
			said++
		}
		if said != 2 || p.gone != "" {
			return nil
		}
		j, err := p.bob.Job(ctx, id)
		if err != nil {
			return fmt.Errorf("look at the job: %w", err)
		}
		p.gone = j.Worker
		go func() { left <- p.fleet.Drain(j.Worker) }()
		return nil
	})
	if err != nil {
		return err
	}
	if p.gone == "" {
		return fmt.Errorf("job %s was over before its worker could leave", id)
	}
	return p.resumed(ctx, id, <-left)
}

// resumed checks that nothing was lost and nothing was paid for twice.
func (p *play) resumed(ctx context.Context, id string, drained error) error {
	j, err := p.bob.Job(ctx, id)
	if err != nil {
		return fmt.Errorf("look at the job: %w", err)
	}
	if err := p.promise(drained == nil, p.gone+" left in order, with nothing in its hands", "it left with: %v", drained); err != nil {
		return err
	}
	if err := p.promise(j.State == client.Succeeded && j.Grants == 2 && j.Attempts == 0,
		"another worker resumed the job from its checkpoint and finished it; no attempt was counted",
		"it is %s after %d grants and %d attempts: %s", j.State, j.Grants, j.Attempts, j.Error); err != nil {
		return err
	}
	kept, cut, twice := tally(p.fleet.Witness().Records(id))
	again := "none was in flight when it left"
	if cut > 0 {
		again = fmt.Sprintf("only the %s that it cut off when it left had to be asked again", show.Count(int64(cut), "call", "calls"))
	}
	return p.promise(twice == 0, fmt.Sprintf("%s paid for once; %s", show.Count(int64(kept), "answer was", "answers were each"), again),
		"%d calls were answered twice", twice)
}

// tally counts the calls of a job: answered, cut off in flight, and answered
// twice.
func tally(calls []modelsim.Record) (kept, cut, twice int) {
	answered := map[string]int{}
	for _, c := range calls {
		if c.Cut {
			cut++
			continue
		}
		answered[c.Call]++
	}
	for _, n := range answered {
		if n > 1 {
			twice++
		}
	}
	return len(answered), cut, twice
}
