package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// question is what a deliberation was asked.
func question(j client.Job) string {
	var in struct {
		Problem string `json:"problem"`
	}
	if json.Unmarshal(j.Input, &in) != nil {
		return j.ID
	}
	return in.Problem
}

const confirmWithin = 20 * time.Second

// stranger has bob try to kill alice's job.
func (p *play) stranger(ctx context.Context) error {
	id, err := p.submit(ctx, p.alice, "market-entry", nil)
	if err != nil {
		return err
	}
	p.second = id
	p.say("alice submits another problem:")
	if err := p.follow(ctx, p.alice, id, after(2, "contribution")); err != nil {
		return err
	}
	p.say("bob tries to kill it")
	_, err = p.bob.Kill(ctx, id, client.Kill{Reason: "it is in my way"})
	_, unknown := p.bob.Kill(ctx, neighbour(id), client.Kill{Reason: "it is in my way"})
	if err := p.promise(errors.Is(err, client.ErrNotFound) && errors.Is(unknown, client.ErrNotFound) && refusal(err) == refusal(unknown),
		"he is told 404, in the very words for a job that does not exist", "he was told %v, and for an unknown job %v", err, unknown); err != nil {
		return err
	}
	j, err := p.alice.Job(ctx, id)
	if err != nil {
		return fmt.Errorf("look at the job: %w", err)
	}
	return p.promise(j.State == client.Running && j.Order == "", "the job runs on, and no order was recorded", "it is %s under order %q", j.State, j.Order)
}

// neighbour is an id of the right shape that nobody has.
func neighbour(id string) string {
	b := []byte(id)
	const random = 21 // a digit of the random part
	if b[random] == '0' {
		b[random] = '1'
	} else {
		b[random] = '0'
	}
	return string(b)
}

// refusal is all that a refusal says.
func refusal(err error) string {
	var p *client.Problem
	if !errors.As(err, &p) {
		return ""
	}
	seen := *p
	seen.RequestID = ""
	return fmt.Sprintf("%+v", seen)
}

// owner has alice kill it.
func (p *play) owner(ctx context.Context) error {
	p.say("alice kills it, and waits for the receipt:")
	r, err := p.alice.Kill(ctx, p.second, client.Kill{Reason: "I asked the wrong question", Wait: confirmWithin})
	if err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	p.receipt = r
	p.screen.Line("")
	show.Receipt(p.screen, r)
	p.screen.Line("")
	t := r.Timeline
	if err := p.promise(r.Verdict == client.Stopped && inOrder(t.Recorded, t.Delivered, t.Cancelled, t.Returned),
		fmt.Sprintf("confirmed %s after the order was recorded: only the worker's own last write says so", show.Span(t.Returned.Sub(t.Recorded))),
		"the receipt is %+v", r); err != nil {
		return err
	}
	again, err := p.alice.Kill(ctx, p.second, client.Kill{Reason: "to be sure", Wait: confirmWithin})
	if err != nil {
		return fmt.Errorf("kill again: %w", err)
	}
	j, err := p.alice.Job(ctx, p.second)
	if err != nil {
		return fmt.Errorf("look at the job: %w", err)
	}
	return p.promise(j.State == client.Killed && j.KilledBy == "alice" && j.Checkpoint > 0 && again.Stopped(),
		fmt.Sprintf("killed once and for all, %s spent; its last checkpoint is kept, and killing it again changes nothing", show.Money(j.Spent)),
		"it is %s by %q with checkpoint %d", j.State, j.KilledBy, j.Checkpoint)
}

func inOrder(times ...time.Time) bool {
	last := time.Time{}
	for _, t := range times {
		if t.IsZero() || t.Before(last) {
			return false
		}
		last = t
	}
	return true
}
