package cli

import (
	"context"

	"github.com/rtfm-si/gavel/client"
)

type resumeCommand struct {
	ID     string `arg:"" name:"id" help:"The job's id."`
	Budget string `name:"budget" placeholder:"DOLLARS" help:"The new budget of the whole job, such as 2.50; more than it has spent."`
}

// Run brings a parked job back.
func (c *resumeCommand) Run(ctx context.Context, d *desk) error {
	var budget client.MicroUSD
	if c.Budget != "" {
		var err error
		if budget, err = dollars(c.Budget); err != nil {
			return err
		}
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	state, err := cl.Resume(ctx, c.ID, budget)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(map[string]any{"id": c.ID, "state": state})
	}
	d.screen.Line("the job is %s", string(state))
	return nil
}
