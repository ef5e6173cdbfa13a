package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type receiptCommand struct {
	Order string        `arg:"" help:"Id of the order."`
	Wait  time.Duration `name:"wait" help:"Wait so long for its confirmation."`
}

// Run shows what an order has done.
func (c *receiptCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	r, err := cl.Receipt(ctx, c.Order)
	if err != nil {
		return err
	}
	return d.ordered(ctx, cl, r, c.Wait)
}

type ordersCommand struct {
	Limit int `name:"limit" short:"n" default:"20" help:"At most so many, up to 200."`
}

// Run lists the last orders.
func (c *ordersCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	orders, err := cl.Orders(ctx, c.Limit)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(append([]client.Receipt{}, orders...))
	}
	if len(orders) == 0 {
		d.screen.Line("no orders")
		return nil
	}
	orderTable(orders, time.Now()).Write(d.screen)
	return nil
}

func orderTable(orders []client.Receipt, now time.Time) *show.Table {
	t := show.NewTable("order!", "at!", "scope", "by", "stage!", "targeted", "waiting", "reason")
	for _, r := range orders {
		scope := r.Scope.Kind
		switch scope {
		case "job":
			scope = "job " + r.Scope.Job
		case "owner":
			scope = "owner " + r.Scope.Owner
		}
		stage := string(r.Stage)
		if r.Scope.Kind == "job" && r.Verdict != "" {
			stage = string(r.Verdict)
		}
		t.Row(r.Order, show.Clock(r.Timeline.Recorded, now), scope, r.Actor, stage,
			strconv.FormatInt(r.Tally.Targeted, 10), strconv.FormatInt(r.Tally.Waiting, 10), r.Reason)
		if !r.Stopped() {
			t.Style(4, show.Yellow)
		}
	}
	return t
}

type auditCommand struct {
	Job   string `name:"job" help:"Only entries about this job."`
	Act   string `name:"act" help:"Only this act, such as kill, kill-fleet, freeze."`
	Limit int    `name:"limit" short:"n" default:"30" help:"At most so many."`
}

// Run lists control acts.
func (c *auditCommand) Run(ctx context.Context, d *desk) error {
	if c.Limit < 1 {
		return usage("--limit: %d; want 1 or more", c.Limit)
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	entries := []client.AuditEntry{}
	for e, err := range cl.Audit(ctx, client.AuditQuery{Job: c.Job, Act: c.Act, PerPage: min(c.Limit, 200)}) {
		if err != nil {
			return err
		}
		entries = append(entries, e)
		if len(entries) == c.Limit {
			break
		}
	}
	if d.JSON {
		return d.document(entries)
	}
	if len(entries) == 0 {
		d.screen.Line("no entries")
		return nil
	}
	show.AuditTable(entries, time.Now()).Write(d.screen)
	return nil
}
