package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type blockCommand struct {
	Owner string `name:"owner" help:"Block this owner's jobs."`
	Kind  string `name:"kind" help:"Block jobs of this kind."`
	Label string `name:"label" short:"l" placeholder:"KEY=VALUE" help:"Block jobs with this label."`
	why   `embed:""`
}

// Run makes a standing order.
func (c *blockCommand) Run(ctx context.Context, d *desk) error {
	b := client.NewBlock{On: "owner", Value: c.Owner, Reason: c.Reason, Incident: c.Incident}
	switch {
	case !oneOf(c.Owner, c.Kind, c.Label):
		return usage("a block is on one thing: give --owner, --kind or --label, and for several several blocks")
	case c.Kind != "":
		b.On, b.Value = "kind", c.Kind
	case c.Label != "":
		key, value, ok := strings.Cut(c.Label, "=")
		if !ok || key == "" || value == "" {
			return usage("--label: %q; want KEY=VALUE", c.Label)
		}
		b.On, b.Label, b.Value = "label", key, value
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	got, err := cl.Block(ctx, b)
	if err != nil {
		return d.unheard(err)
	}
	if d.JSON {
		return d.document(got)
	}
	d.screen.Line("%s is blocked: it is neither admitted nor started; what runs goes on", show.Clean(blocked(got)))
	d.screen.Line("order %s; until: %s lift %s --reason …", got.ID, d.self, got.ID)
	if len(got.Missing) > 0 {
		d.screen.Line("%s", d.screen.Paint(show.Yellow, fmt.Sprintf("not in force yet in the partitions %v; any dispatcher completes it", got.Missing)))
	}
	return nil
}

// blocked is what a block is on.
func blocked(b client.Block) string {
	if b.On == "label" {
		return "label " + b.Label + "=" + b.Value
	}
	return b.On + " " + b.Value
}

type blocksCommand struct{}

// Run lists the standing orders.
func (blocksCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	blocks, _, err := cl.Blocks(ctx)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(append([]client.Block{}, blocks...))
	}
	if len(blocks) == 0 {
		d.screen.Line("no blocks")
		return nil
	}
	now := time.Now()
	t := show.NewTable("block!", "on", "since!", "by", "missing in", "reason")
	for _, b := range blocks {
		missing := ""
		if len(b.Missing) > 0 {
			missing = fmt.Sprint(b.Missing)
		}
		t.Row(b.ID, blocked(b), show.Clock(b.RecordedAt, now), b.Actor, missing, b.Reason)
	}
	t.Write(d.screen)
	return nil
}

type liftCommand struct {
	Block  string `arg:"" help:"Id of the block."`
	Reason string `name:"reason" short:"r" required:"" help:"Why; kept in the audit."`
	Seen   string `name:"seen" placeholder:"HEAD" help:"Lift only at the gate that you saw (head in gavel fleet --json); default is the one of now."`
}

// Run ends a standing order.
func (c *liftCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	if c.Seen == "" {
		if _, c.Seen, err = cl.Blocks(ctx); err != nil {
			return err
		}
	}
	b, err := cl.Lift(ctx, c.Block, c.Seen, c.Reason)
	if err != nil {
		return d.unheard(err)
	}
	if d.JSON {
		return d.document(b)
	}
	d.screen.Line("%s is not blocked any more; the jobs that it had put aside come back", show.Clean(blocked(b)))
	return nil
}
