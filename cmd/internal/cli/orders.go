package cli

import (
	"context"
	"errors"
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
	orders, missing, err := cl.Orders(ctx, c.Limit)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(append([]client.Receipt{}, orders...))
	}
	if len(missing) > 0 {
		d.screen.Line("%s", d.screen.Paint(show.Yellow, partitionsText(missing)+" cannot be read: orders that only they know are not here"))
	}
	if len(orders) == 0 {
		d.screen.Line("no orders")
		return nil
	}
	orderTable(orders, time.Now()).Write(d.screen)
	return nil
}

// scopeText is what an order covers.
func scopeText(sc client.Scope) string {
	switch {
	case sc.Kind == "job":
		return "job " + sc.Job
	case sc.Kind == "owner":
		return "owner " + sc.Owner
	case sc.Kind == "selector" && sc.Selector != nil:
		return show.Selected(*sc.Selector)
	default:
		return sc.Kind
	}
}

func orderTable(orders []client.Receipt, now time.Time) *show.Table {
	t := show.NewTable("order!", "at!", "scope", "by", "stage!", "targeted", "waiting", "reason")
	for _, r := range orders {
		scope := scopeText(r.Scope)
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
	Job   string `name:"job" help:"Only entries about this job, and about the order that stopped it."`
	Order string `name:"order" help:"Only entries about this order."`
	Act   string `name:"act" help:"Only this act, such as kill, kill-fleet, freeze."`
	Actor string `name:"actor" help:"Only what this subject did, or tried to."`
	Since string `name:"since" placeholder:"TIME" help:"Not before: a time such as 2026-11-28T14:00:00Z, or how long ago, such as 2h."`
	Until string `name:"until" placeholder:"TIME" help:"Not after, in the same form."`
	Limit int    `name:"limit" short:"n" default:"30" help:"At most so many."`
}

// Run lists control acts.
func (c *auditCommand) Run(ctx context.Context, d *desk) error {
	q, err := c.query(time.Now())
	if err != nil {
		return err
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	entries := []client.AuditEntry{}
	for e, err := range cl.Audit(ctx, q) {
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
	if err := c.about(ctx, d, cl); err != nil {
		return err
	}
	if len(entries) == 0 {
		d.screen.Line("no entries")
		return nil
	}
	show.AuditTable(entries, time.Now()).Write(d.screen)
	return nil
}

// about says first who stopped the job and what it cost, if its record is kept
// still.
func (c *auditCommand) about(ctx context.Context, d *desk, cl *client.Client) error {
	if c.Job == "" {
		return nil
	}
	j, err := cl.Job(ctx, c.Job)
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if j.KilledBy != "" {
		d.screen.Line("killed by %s at %s (%s): %s", show.Clean(j.KilledBy), show.Clock(j.KilledAt, time.Now()), j.Verdict, show.Clean(j.KillReason))
	}
	d.screen.Line("the job is %s; it has spent %s", j.State, show.Money(j.Spent))
	d.screen.Line("")
	return nil
}

func (c *auditCommand) query(now time.Time) (client.AuditQuery, error) {
	q := client.AuditQuery{Job: c.Job, Act: c.Act, Actor: c.Actor, PerPage: min(c.Limit, 200)}
	switch {
	case c.Limit < 1:
		return q, usage("--limit: %d; want 1 or more", c.Limit)
	case c.Job != "" && c.Order != "":
		return q, usage("give --job or --order, not both")
	case c.Order != "":
		q.Job = c.Order
	}
	var err error
	if q.Since, err = instant("--since", c.Since, now); err != nil {
		return q, err
	}
	q.Until, err = instant("--until", c.Until, now)
	return q, err
}

// instant reads a time, or how long ago it was.
func instant(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usage("%s: %q; want a time such as %s, or how long ago, such as 2h", flag, text, now.UTC().Format(time.RFC3339))
	}
	return at, nil
}
