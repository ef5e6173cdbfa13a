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

type killCommand struct {
	Job  string `arg:"" help:"Id of the job."`
	why  `embed:""`
	Wait time.Duration `name:"wait" default:"20s" help:"How long to wait for the confirmation; 0s returns as soon as the order is recorded."`
}

// Run stops one job.
func (c *killCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	r, err := cl.Kill(ctx, c.Job, client.Kill{
		Reason: c.Reason, Incident: c.Incident, Wait: firstWait(c.Wait), IdempotencyKey: rand.Text(),
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
		f.Hint = join(f.Hint, "The order may have been recorded all the same. Give the same command again: to kill twice does no harm.")
	}
	return f
}

type killAllCommand struct {
	why    `embed:""`
	Owner  string        `name:"owner" help:"Only this owner's jobs; the gate stays open."`
	Freeze bool          `name:"freeze" negatable:"" default:"true" help:"Freeze the fleet in the same step, or retries refill the road; not for one owner."`
	Yes    string        `name:"yes" placeholder:"FLEET" help:"The fleet's name, instead of typing it when asked."`
	Wait   time.Duration `name:"wait" default:"30s" help:"How long to wait until nobody holds authority any more."`
}

// Run stops every job.
func (c *killAllCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	if err := c.confirm(ctx, d, cl); err != nil {
		return err
	}
	freeze := c.Freeze && c.Owner == ""
	r, err := cl.KillAll(ctx, client.KillAll{
		Owner: c.Owner, Reason: c.Reason, Incident: c.Incident, Confirm: c.Yes, Freeze: &freeze,
		Wait: firstWait(c.Wait), IdempotencyKey: rand.Text(),
	})
	if err != nil {
		return d.unheard(err)
	}
	err = d.ordered(ctx, cl, r, c.Wait-firstWait(c.Wait))
	if freeze && !d.JSON {
		d.screen.Line("%s", d.screen.Paint(show.Dim, "nothing is admitted until: "+d.self+" thaw --reason …"))
	}
	return err
}

// confirm has the fleet's name typed, under what it would hit.
func (c *killAllCommand) confirm(ctx context.Context, d *desk, cl *client.Client) error {
	if c.Yes != "" {
		return nil
	}
	if !d.person() {
		return usage("kill-all without a terminal needs --yes and the fleet's name")
	}
	f, err := cl.Fleet(ctx)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("every job of fleet %s (%s) and freeze it", f.Name, liveJobs(f.Jobs))
	switch {
	case c.Owner != "":
		what = fmt.Sprintf("every job of %s in fleet %s", show.Clean(c.Owner), f.Name)
	case !c.Freeze:
		what = fmt.Sprintf("every job of fleet %s (%s); it stays open", f.Name, liveJobs(f.Jobs))
	}
	d.screen.Line("This will %s %s.", d.screen.Paint(show.Red, "kill"), what)
	c.Yes = d.question(ctx, "Type the fleet's name to go on:")
	if c.Yes != f.Name {
		return usage("that is not the fleet's name; nothing was killed")
	}
	return nil
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
