package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type budgetCommands struct {
	Set   setBudgetCommand   `cmd:"" help:"Set the cap of an owner's window, or of the fleet's."`
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

	Cap    string `name:"cap" required:"" placeholder:"DOLLARS" help:"The most that may be spent in a window, such as 25; 0 permits nothing."`
	Reason string `name:"reason" short:"r" required:"" help:"Why; it is in the audit."`
}

// Run sets a cap.
func (c *setBudgetCommand) Run(ctx context.Context, d *desk) error {
	if err := c.check(); err != nil {
		return err
	}
	limit, err := amount("--cap", c.Cap)
	if err != nil {
		return err
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	b, err := cl.SetBudget(ctx, c.Owner, client.Limits{Cap: &limit}, c.Reason)
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
	d.screen.Line("%s: %s", w.name(), windowLine(d.screen, b.Window))
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
	t := show.NewTable("budget of!", "cap", "spent", "reserved", "running", "window ends!")
	for _, b := range append([]client.Budget{fleet}, owners...) {
		name, limit := b.Owner, "none"
		if name == "" {
			name = "the fleet"
		}
		if b.InForce.Cap != nil {
			limit = show.Money(*b.InForce.Cap)
		}
		t.Row(name, limit, show.Money(b.Window.Spent), show.Money(b.Window.Reserved), strconv.Itoa(b.Running), b.Window.EndsAt.UTC().Format(time.RFC3339))
	}
	t.Write(s)
	if len(owners) == 0 {
		s.Line("%s", s.Paint(show.Dim, "No owner has a budget of their own; see gavel budget set --help."))
	}
	return nil
}
