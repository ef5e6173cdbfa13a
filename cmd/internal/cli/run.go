package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// eventLine is an event as a script gets it, with its position.
type eventLine struct {
	ID string `json:"id"`
	client.Event
}

// follow tells a job's events to the last one.
func (d *desk) follow(ctx context.Context, c *client.Client, id, after string) error {
	story := show.NewStory(d.screen, false)
	for e, err := range c.Events(ctx, id, after) {
		if err != nil {
			return err
		}
		if !d.JSON {
			story.Tell(e)
			continue
		}
		if err := d.record(eventLine{e.ID, e}); err != nil {
			return err
		}
	}
	return nil
}

type watchCommand struct {
	Job   string `arg:"" help:"Id of the job."`
	After string `name:"after" placeholder:"EVENT" help:"Begin behind this event."`
}

// Run follows the events of a job.
func (c *watchCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	err = d.follow(ctx, cl, c.Job, c.After)
	if errors.Is(err, context.Canceled) {
		return notOver("The job goes on. Stop it with: "+d.self+" kill "+c.Job+" --reason …", "no longer watched")
	}
	return err
}

type runCommand struct {
	submission `embed:""`
	Full       bool `name:"full" help:"End with the whole report, not its summary."`
}

// Run submits the problem, tells what happens, and ends with the answer.
func (c *runCommand) Run(ctx context.Context, d *desk) error {
	cl, got, err := c.send(ctx, d)
	if err != nil {
		return err
	}
	if d.JSON {
		err = d.record(got)
	} else {
		accepted(d, got)
	}
	if err != nil {
		return err
	}
	err = d.follow(ctx, cl, got.ID, "")
	if ctx.Err() != nil {
		return d.leaveOrKill(context.WithoutCancel(ctx), cl, got.ID)
	}
	if err != nil {
		f := d.failureOf(err)
		f.Hint = join(f.Hint, "The job may well go on. Follow it with: "+d.self+" watch "+got.ID)
		return f
	}
	return d.conclusion(ctx, cl, got.ID, c.Full)
}

// conclusion reads how a followed job ended, and shows it.
func (d *desk) conclusion(ctx context.Context, c *client.Client, id string, full bool) error {
	r, err := c.Result(ctx, id)
	if err != nil {
		return err
	}
	if d.JSON {
		if err := d.record(r); err != nil {
			return err
		}
		return unsuccessful(d, r)
	}
	if err := unsuccessful(d, r); err != nil {
		return err
	}
	d.screen.Line("")
	if err := d.report(r, full); err != nil {
		return err
	}
	if !full {
		d.screen.Line("\n%s", d.screen.Paint(show.Dim, "each part, vote and contribution: "+d.self+" report "+id))
	}
	return nil
}

// unsuccessful is the failure of a command whose job did not succeed.
func unsuccessful(d *desk, r client.Result) error {
	if r.Outcome == client.Succeeded {
		return nil
	}
	text := "the job was killed, after spending " + show.Money(r.Spent)
	if r.Outcome != client.Killed {
		text = fmt.Sprintf("the job %s, after spending %s: %s", r.Outcome, show.Money(r.Spent), show.Clean(r.Error))
	}
	f := failed("%s", text)
	f.Hint = "All about it: " + d.self + " get " + r.Job
	return f
}

// patience is how long an answer to Ctrl-C may take.
const (
	patience   = 5 * time.Minute
	killWithin = 10 * time.Second
)

// leaveOrKill asks what is to become of the job that was followed when Ctrl-C
// came. Nobody to ask, and another Ctrl-C, leave it running.
func (d *desk) leaveOrKill(ctx context.Context, c *client.Client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer := ""
	if d.person() {
		d.screen.Line("")
		answer = d.question(ctx, "Kill the job, or leave it running? [k/L]")
	}
	if !strings.HasPrefix(strings.ToLower(answer), "k") {
		return notOver("Follow it: "+d.self+" watch "+id+"\nStop it:   "+d.self+" kill "+id+" --reason …", "left running: job %s", id)
	}
	r, err := c.Kill(ctx, id, client.Kill{Reason: "interrupted by its owner at the terminal", Wait: killWithin})
	if err != nil {
		return err
	}
	show.Receipt(d.screen, r)
	if !r.Stopped() {
		return notOver("See whether it has stopped: "+d.self+" receipt "+r.Order, "the order is in force, the worker has not confirmed yet")
	}
	return failed("the job was killed, as you asked")
}
