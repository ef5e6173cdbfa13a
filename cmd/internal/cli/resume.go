package cli

import (
	"context"

	"github.com/rtfm-si/gavel/client"
)

type resumeCommand struct {
	ID     string `arg:"" name:"id" help:"The job's id."`
	Budget string `name:"budget" placeholder:"DOLLARS" help:"The new budget of the whole job, such as 2.50; more than it has spent. Of a new job: its own."`
	From   uint64 `name:"from" placeholder:"SEQ" help:"Of a killed or failed job: the checkpoint to go on from; the newest that is sound if left out."`
	Key    string `name:"idempotency-key" placeholder:"KEY" help:"Names this resumption; the same key gives the same new job. Drawn if left out."`
}

// Run brings a parked job back, or makes a new one of a job that is over.
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
	r, err := cl.GoOn(ctx, c.ID, client.Resumption{From: c.From, Budget: budget, IdempotencyKey: c.Key})
	if err != nil {
		return err
	}
	switch {
	case d.JSON:
		return d.document(r)
	case r.ID == c.ID:
		d.screen.Line("the job is %s", string(r.State))
	default:
		d.screen.Line("job %s goes on from checkpoint %d; it is %s", r.ID, r.Seq, string(r.State))
		d.screen.Line("follow it with: %s watch %s", d.self, r.ID)
	}
	return nil
}
