package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type budgetCommands struct {
	Set   setBudgetCommand   `cmd:"" help:"Set the cap of an owner's window, or of the fleet's, or how many of an owner's jobs may run at once."`
	List  listBudgetsCommand `cmd:"" help:"Show the budgets of the fleet and of owners who have one of their own."`
	Unset unsetBudgetCommand `cmd:"" help:"Give an owner, or the fleet, the default again."`
}

// budgeted says whose budget a command is about.
type budgeted struct {
	Owner string `arg:"" optional:"" help:"The owner."`
	Fleet bool   `name:"fleet" help:"All owners together."`
}

func (w budgeted) check() error {
	if (w.Owner == "") != w.Fleet {
		return usage("say whose budget it is: an owner, or --fleet")
	}
	return nil
}

func (w budgeted) name() string {
	if w.Fleet {
		return "the fleet"
	}
	return w.Owner
}

type setBudgetCommand struct {
	budgeted `embed:""`

	Cap     string `name:"cap" placeholder:"DOLLARS" help:"The most that may be spent in a window, such as 25; 0 permits nothing. Left out, it stays as it is."`
	Running *int   `name:"running" placeholder:"JOBS" help:"How many of an owner's jobs may run at once; the others wait. Left out, it stays as it is."`
	Reason  string `name:"reason" short:"r" required:"" help:"Why; it is in the audit."`
}

// Run sets a cap.
func (c *setBudgetCommand) Run(ctx context.Context, d *desk) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Cap == "" && c.Running == nil {
		return usage("say what to set: --cap, --running")
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	now, err := cl.Budget(ctx, c.Owner)
	if err != nil {
		return err
	}
	l := now.Own
	if c.Running != nil {
		l.Running = c.Running
	}
	if c.Cap != "" {
		limit, err := amount("--cap", c.Cap)
		if err != nil {
			return err
		}
		l.Cap = &limit
	}
	b, err := cl.SetBudget(ctx, c.Owner, l, c.Reason)
	if err != nil {
		return err
	}
	return c.told(d, b)
}

// told shows what holds now.
func (w budgeted) told(d *desk, b client.Budget) error {
	if d.JSON {
		return d.document(b)
	}
	text := windowLine(d.screen, b.Window)
	if b.InForce.Running != nil {
		text += fmt.Sprintf(", %d of %d running", b.Running, *b.InForce.Running)
	}
	d.screen.Line("%s: %s", w.name(), text)
	return nil
}

type unsetBudgetCommand struct {
	budgeted `embed:""`

	Reason string `name:"reason" short:"r" required:"" help:"Why; it is in the audit."`
}

// Run takes a cap away.
func (c *unsetBudgetCommand) Run(ctx context.Context, d *desk) error {
	if err := c.check(); err != nil {
		return err
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	b, err := cl.UnsetBudget(ctx, c.Owner, c.Reason)
	if err != nil {
		return err
	}
	return c.told(d, b)
}

type listBudgetsCommand struct{}

// Run lists the budgets.
func (listBudgetsCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	fleet, owners, err := cl.Budgets(ctx)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(map[string]any{"fleet": fleet, "owners": append([]client.Budget{}, owners...)})
	}
	s := d.screen
	t := show.NewTable("budget of!", "cap", "spent", "reserved", "running", "at most", "held", "window ends!")
	for _, b := range append([]client.Budget{fleet}, owners...) {
		name, limit, most := b.Owner, "none", ""
		if name == "" {
			name = "the fleet"
		}
		if b.InForce.Cap != nil {
			limit = show.Money(*b.InForce.Cap)
		}
		if b.InForce.Running != nil {
			most = strconv.Itoa(*b.InForce.Running)
		}
		t.Row(name, limit, show.Money(b.Window.Spent), show.Money(b.Window.Reserved), strconv.Itoa(b.Running), most, strconv.Itoa(b.Held), b.Window.EndsAt.UTC().Format(time.RFC3339))
	}
	t.Write(s)
	if len(owners) == 0 {
		s.Line("%s", s.Paint(show.Dim, "No owner has a budget of their own; see gavel budget set --help."))
	}
	return nil
}
