package demo

import (
	"context"
	"errors"
	"fmt"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

// crowd is how many jobs are there when everything is stopped: more than slots.
const crowd = 12

// stopAll has the admin kill everything.
func (p *play) stopAll(ctx context.Context) error {
	if err := p.fill(ctx); err != nil {
		return err
	}
	f, err := p.admin.Fleet(ctx)
	if err != nil {
		return fmt.Errorf("look at the fleet: %w", err)
	}
	p.say("alice and bob submit %d jobs; %d run, %d wait on the road", crowd, f.Jobs[client.Running], f.Jobs[client.Queued])
	p.say("the admin kills all of them, and freezes the fleet in the same step:")
	r, err := p.admin.KillAll(ctx, client.KillAll{
		Reason: "spend is out of hand", Incident: "inc-417", Confirm: p.fleet.Name(), Wait: confirmWithin,
	})
	if err != nil {
		return fmt.Errorf("kill all: %w", err)
	}
	p.all = r
	p.screen.Line("")
	show.Receipt(p.screen, r)
	p.screen.Line("")
	t := r.Tally
	if err := p.promise(r.Stage == client.Quiesced && t.Targeted == crowd && t.Waiting == 0 && t.Targeted == t.Stopped+t.NotRunning+t.AlreadyOver+t.Fenced,
		fmt.Sprintf("all %d are accounted for, and nobody holds authority over any of them any more", t.Targeted), "the receipt is %+v", r); err != nil {
		return err
	}
	return p.silence(ctx)
}

// fill submits more jobs than there are slots, and waits until all slots run.
func (p *play) fill(ctx context.Context) error {
	for n := range crowd {
		as := p.alice
		if n%3 == 0 {
			as = p.bob
		}
		if _, err := p.submit(ctx, as, "pricing-change", fields{"seed": n}); err != nil {
			return err
		}
	}
	slots := int64((p.cfg.Fleet.Workers - 1) * p.cfg.Fleet.Slots)
	return until(ctx, "every slot runs a job", func() (bool, error) {
		f, err := p.admin.Fleet(ctx)
		return f.Jobs[client.Running] == slots && f.Jobs[client.Queued] == crowd-slots, err
	})
}

// silence checks that nothing is asked of the model any more.
func (p *play) silence(ctx context.Context) error {
	before := p.fleet.Witness().Totals()
	err := until(ctx, "every dead job is booked", func() (bool, error) {
		f, err := p.admin.Fleet(ctx)
		return err == nil && live(f) == 0, err
	})
	if err != nil {
		return err
	}
	// A socket is closed by one side first; the other hears of it.
	var now modelsim.Totals
	err = until(ctx, "the model server has no call open", func() (bool, error) {
		now = p.fleet.Witness().Totals()
		return now.InFlight == 0, nil
	})
	if err != nil {
		return err
	}
	return p.promise(now.Requests == before.Requests,
		"every record says killed; the model server has no call open and got no new one", "%d new calls came", now.Requests-before.Requests)
}

// thaw shows the gate closed and opened.
func (p *play) thaw(ctx context.Context) error {
	_, err := p.submit(ctx, p.alice, "return-to-office", nil)
	var refused *client.Problem
	if !errors.As(err, &refused) {
		refused = &client.Problem{}
	}
	if err := p.promise(errors.Is(err, client.ErrFleetFrozen) && refused.Status == 503 && refused.Incident == "inc-417",
		fmt.Sprintf("alice submits and is refused: %d, the fleet is frozen because “%s” (%s)", refused.Status, refused.Reason, refused.Incident),
		"the answer was: %v", err); err != nil {
		return err
	}
	f, err := p.admin.Fleet(ctx)
	if err != nil {
		return fmt.Errorf("look at the fleet: %w", err)
	}
	_, err = p.alice.Thaw(ctx, f.Gate.Head, "I want to go on")
	if err := p.promise(errors.Is(err, client.ErrForbidden), "she may not thaw it", "the answer was: %v", err); err != nil {
		return err
	}
	g, err := p.admin.Thaw(ctx, f.Gate.Head, "the cause is found")
	if err != nil {
		return fmt.Errorf("thaw: %w", err)
	}
	if err := p.promise(!g.Frozen, "the admin may", "the gate is %+v", g); err != nil {
		return err
	}
	got, err := p.alice.Submit(ctx, client.Submission{Kind: "canary", Input: fields{"steps": 2, "step_ms": 50}})
	if err != nil {
		return fmt.Errorf("submit after the thaw: %w", err)
	}
	j, err := p.alice.Wait(ctx, got.ID)
	if err != nil {
		return fmt.Errorf("wait for the job: %w", err)
	}
	return p.promise(j.State == client.Succeeded, "a small job, submitted now, succeeds", "it %s: %s", j.State, j.Error)
}
