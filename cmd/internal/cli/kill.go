package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// why are the flags of every control act.
type why struct {
	Reason   string `name:"reason" short:"r" required:"" help:"Why; kept in the receipt, the job and the audit."`
	Incident string `name:"incident" help:"Id of the incident it belongs to."`
}

// pardon is what a kill leaves to the owner of what it kills.
type pardon struct {
	AllowResume bool `name:"allow-resume" help:"Let the owner go on from a checkpoint of what is killed; otherwise, after the kill of an operator or admin, only an admin may."`
}

type killCommand struct {
	Job    string `arg:"" help:"Id of the job."`
	why    `embed:""`
	pardon `embed:""`
	Wait   time.Duration `name:"wait" default:"20s" help:"How long to wait for the confirmation; 0s returns as soon as the order is recorded."`
}

// Run stops one job.
func (c *killCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	r, err := cl.Kill(ctx, c.Job, client.Kill{
		Reason: c.Reason, Incident: c.Incident, AllowResume: c.AllowResume, Wait: firstWait(c.Wait), IdempotencyKey: rand.Text(),
	})
	if err != nil {
		return d.unheard(err)
	}
	return d.ordered(ctx, cl, r, c.Wait-firstWait(c.Wait))
}

// longestWait is how long a dispatcher lets one request wait.
const longestWait = 30 * time.Second

func firstWait(all time.Duration) time.Duration { return max(min(all, longestWait), 0) }

// ordered shows what an order did, waiting on for its confirmation.
func (d *desk) ordered(ctx context.Context, c *client.Client, r client.Receipt, rest time.Duration) error {
	r, err := await(ctx, c, r, rest)
	if err != nil {
		return err
	}
	if d.JSON {
		err = d.document(r)
	} else {
		show.Receipt(d.screen, r)
	}
	if err == nil && !r.Stopped() {
		err = notOver("It cannot start or commit anything any more. See whether it has stopped: "+d.self+" receipt "+r.Order,
			"the order is in force, and not confirmed yet")
	}
	return err
}

// await looks at an order until nobody holds authority over what it covers, or
// for so long.
func await(ctx context.Context, c *client.Client, r client.Receipt, rest time.Duration) (client.Receipt, error) {
	const look = 500 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	for end := time.Now().Add(rest); !r.Stopped() && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return r, nil
		case <-tick.C:
		}
		next, err := c.Receipt(ctx, r.Order)
		if err != nil {
			return r, fmt.Errorf("look at order %s: %w", r.Order, err)
		}
		r = next
	}
	return r, nil
}

// unheard adds to an error without answer that the order may stand.
func (d *desk) unheard(err error) error {
	f := d.failureOf(err)
	if f.Code == codeUnavailable {
		if f.Hint == nothingDone {
			f.Hint = ""
		}
		f.Hint = join(f.Hint, "The order may have been recorded all the same. Give the same command again: to kill twice does no harm.")
	}
	return f
}

type killAllCommand struct {
	why        `embed:""`
	scopeFlags `embed:""`
	pardon     `embed:""`
	Freeze     *bool         `name:"freeze" negatable:"" help:"Freeze the fleet in the same step, or retries refill the road; done for the whole fleet unless --no-freeze, otherwise only if asked, and not with a selector."`
	Yes        string        `name:"yes" placeholder:"FLEET" help:"The fleet's name, instead of typing it under the preview."`
	Token      string        `name:"token" help:"Of a gavel preview of the same jobs, not older than a minute, instead of a new one."`
	BreakGlass bool          `name:"break-glass" help:"No preview and no question; said loudly in the log and in the audit."`
	Wait       time.Duration `name:"wait" default:"30s" help:"How long to follow it until nobody holds authority any more; 0s returns as soon as it is recorded."`
}

// Run stops every job of a scope.
func (c *killAllCommand) Run(ctx context.Context, d *desk) error {
	scope, err := c.check(d)
	if err != nil {
		return err
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	if err := c.confirm(ctx, d, cl, scope); err != nil {
		return err
	}
	r, err := cl.Issue(ctx, client.Order{
		Scope: scope, Reason: c.Reason, Incident: c.Incident, Token: c.Token, BreakGlass: c.BreakGlass, Freeze: c.Freeze, AllowResume: c.AllowResume,
		IdempotencyKey: rand.Text(),
	})
	if err != nil {
		return d.unheard(err)
	}
	err = d.ordered(ctx, cl, d.seeThrough(ctx, cl, r, c.Wait), 0)
	if r.Freeze && !d.JSON {
		d.screen.Line("%s", d.screen.Paint(show.Dim, "nothing is admitted until: "+d.self+" thaw --reason …"))
	}
	return err
}

// check finds what is wrong before anybody is asked.
func (c *killAllCommand) check(d *desk) (client.Scope, error) {
	scope, err := c.scope()
	switch {
	case err != nil:
		return scope, err
	case scope.Kind == "selector" && c.Freeze != nil && *c.Freeze:
		return scope, usage("a selector order does not close the gate: block what keeps coming (%s block), or freeze the fleet (%s freeze)", d.self, d.self)
	case c.BreakGlass && c.Token != "":
		return scope, usage("give --token or --break-glass, not both")
	case c.Yes == "" && c.Token == "" && !c.BreakGlass && !d.person():
		return scope, usage("kill-all without a terminal needs --yes and the fleet's name, the --token of a preview, or --break-glass")
	}
	return scope, nil
}

// confirm has the fleet's name said, under what the order would hit. A token was
// given by a preview, break-glass asks nothing.
func (c *killAllCommand) confirm(ctx context.Context, d *desk, cl *client.Client, scope client.Scope) error {
	if c.Yes == "" && (c.Token != "" || c.BreakGlass) {
		return nil
	}
	f, err := cl.Fleet(ctx)
	if err != nil {
		return err
	}
	if c.Yes != "" && c.Yes != f.Name {
		return &Failure{Code: codeRefused, Text: fmt.Sprintf("the fleet is not named %q; nothing was killed", c.Yes), Hint: "See its name with: " + d.self + " fleet"}
	}
	if c.Token != "" || c.BreakGlass {
		return nil
	}
	p, err := cl.Preview(ctx, scope)
	if err != nil {
		return err
	}
	c.Token = p.Token
	if c.Yes != "" {
		return nil
	}
	show.Preview(d.screen, p)
	d.screen.Line("This will %s %s.", d.screen.Paint(show.Red, "kill"), c.deed(show.Clean(f.Name), scope, p))
	c.Yes = d.question(ctx, "Type the fleet's name to go on:")
	if c.Yes != f.Name {
		return usage("that is not the fleet's name; nothing was killed")
	}
	return nil
}

// deed is what the order does, in words.
func (c *killAllCommand) deed(fleet string, scope client.Scope, p client.Preview) string {
	freezes := scope.Kind == "fleet"
	if c.Freeze != nil {
		freezes = *c.Freeze
	}
	what := fmt.Sprintf("every job of fleet %s (%s)", fleet, byState(p))
	switch scope.Kind {
	case "owner":
		what = fmt.Sprintf("every job of %s in fleet %s (%s)", show.Clean(scope.Owner), fleet, byState(p))
	case "selector":
		what = fmt.Sprintf("every job of fleet %s with %s (%s)", fleet, show.Clean(show.Selected(*scope.Selector)), byState(p))
	}
	switch {
	case freezes && scope.Kind == "fleet":
		return what + " and freeze it"
	case freezes:
		return what + " and freeze the fleet"
	case scope.Kind == "fleet":
		return what + "; it stays open"
	default:
		return what
	}
}

// liveJobs counts jobs by state, in the order a person thinks of them.
func liveJobs(jobs map[client.State]int64) string {
	var out []string
	for _, s := range []client.State{client.Running, client.Killing, client.Queued, client.Delayed, client.Parked, client.Held} {
		if n := jobs[s]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(out) == 0 {
		return "none live"
	}
	return strings.Join(out, ", ")
}
