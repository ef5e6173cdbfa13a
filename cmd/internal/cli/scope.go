package cli

import (
	"context"
	"slices"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// scopeFlags say which jobs an order is about; none is the whole fleet.
type scopeFlags struct {
	Owner     string            `name:"owner" help:"Only this owner's jobs."`
	Submitter string            `name:"submitter" help:"Only jobs that this user or service asked for, whoever owns them."`
	Kind      string            `name:"kind" help:"Only jobs of this kind."`
	Model     string            `name:"model" help:"Only jobs whose input names this model, or that have called it."`
	Labels    map[string]string `name:"label" short:"l" help:"Only jobs with this label, key=value; may be repeated, and all must hold." mapsep:"none"`
	MinAge    time.Duration     `name:"min-age" placeholder:"DURATION" help:"Only jobs accepted at least so long ago, such as 30m; whole seconds."`
	MinSpend  string            `name:"min-spend" placeholder:"DOLLARS" help:"Only jobs that have spent at least so much, such as 2.50."`
}

// scope is the whole fleet, one owner in one step, or a selector. What is given
// must all hold.
func (f scopeFlags) scope() (client.Scope, error) {
	s := client.Selector{Owner: f.Owner, Submitter: f.Submitter, Kind: f.Kind, Model: f.Model, Labels: f.Labels}
	if f.MinAge < 0 || f.MinAge%time.Second != 0 {
		return client.Scope{}, usage("--min-age: %s; want whole seconds, such as 30m", f.MinAge)
	}
	s.MinAge = int64(f.MinAge / time.Second)
	if f.MinSpend != "" {
		var err error
		if s.MinSpend, err = dollars(f.MinSpend); err != nil {
			return client.Scope{}, err
		}
	}
	wholly := f.Submitter == "" && f.Kind == "" && f.Model == "" && len(f.Labels) == 0 && s.MinAge == 0 && s.MinSpend == 0
	switch {
	case wholly && f.Owner == "":
		return client.Scope{Kind: "fleet"}, nil
	case wholly:
		return client.Scope{Kind: "owner", Owner: f.Owner}, nil
	default:
		return client.Scope{Kind: "selector", Selector: &s}, nil
	}
}

type previewCommand struct {
	scopeFlags `embed:""`
}

// Run shows what an order would reach.
func (c *previewCommand) Run(ctx context.Context, d *desk) error {
	scope, err := c.scope()
	if err != nil {
		return err
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	p, err := cl.Preview(ctx, scope)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(p)
	}
	show.Preview(d.screen, p)
	d.screen.Line("")
	d.screen.Line("Nothing was changed. Within a minute: %s kill-all … --reason … --token %s", d.self, show.Clean(p.Token))
	return nil
}

// seeThrough shows an order filling up, until nobody holds authority over what it
// covers or patience ends. It listens to the order's events, and looks again and
// again where those do not come through.
func (d *desk) seeThrough(ctx context.Context, cl *client.Client, r client.Receipt, patience time.Duration) client.Receipt {
	if r.Stopped() || patience <= 0 {
		return r
	}
	progress := show.NewProgress(d.screen, time.Now())
	tell := progress.Tell
	if d.JSON {
		tell = func(client.Receipt) {}
	}
	defer progress.Done()
	tell(r)
	end := time.Now().Add(patience)
	patient, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for next, err := range cl.Follow(patient, r.Order) {
		if err != nil {
			break
		}
		tell(next)
		r = next
	}
	if r.Stopped() || ctx.Err() != nil {
		return r
	}
	// The events broke off, or never came: what is true is in the receipt.
	if last, err := await(ctx, cl, r, max(time.Until(end), 0)); err == nil {
		r = last
	}
	if last, err := cl.Receipt(ctx, r.Order); err == nil {
		r = last
	}
	tell(r)
	return r
}

// byState are a preview's counts, for people.
func byState(p client.Preview) string {
	jobs := map[client.State]int64{}
	for _, c := range p.ByState {
		jobs[client.State(c.Name)] += c.Jobs
	}
	return liveJobs(jobs)
}

// oneOf reports whether exactly one of the texts is given.
func oneOf(texts ...string) bool {
	return len(slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == "" })) == 1
}
