package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type checkpointsCommand struct {
	Job string `arg:"" help:"Id of the job."`
	Seq uint64 `arg:"" optional:"" help:"Number of a checkpoint, to read its state."`
}

// Run lists the checkpoints of a job, or reads one.
func (c *checkpointsCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	if c.Seq > 0 {
		return c.read(ctx, d, cl)
	}
	all, err := cl.Checkpoints(ctx, c.Job)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(all)
	}
	if len(all) == 0 {
		d.screen.Line("no checkpoints")
		return nil
	}
	t, now := show.NewTable("seq!", "after!", "age", "grant", "bytes", "stored", "sound!"), time.Now()
	for _, k := range all {
		sound := "yes"
		if !k.Sound {
			sound = "damaged"
		}
		t.Row(strconv.FormatUint(k.Seq, 10), k.Node, show.Age(k.At, now), strconv.Itoa(k.Grant), strconv.Itoa(k.Size), strconv.Itoa(k.Stored), sound)
	}
	t.Write(d.screen)
	return nil
}

// read writes a state.
func (c *checkpointsCommand) read(ctx context.Context, d *desk, cl *client.Client) error {
	k, err := cl.Checkpoint(ctx, c.Job, c.Seq)
	if err != nil {
		return err
	}
	if d.JSON || k.State == nil {
		return d.document(k)
	}
	return d.document(k.State)
}
