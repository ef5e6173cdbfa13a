package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/drill"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type drillCommand struct {
	why       `embed:""`
	Canaries  int           `name:"canaries" placeholder:"N" help:"How many, up to 100 and to the free slots; default is two for each worker."`
	SubmitKey string        `name:"submit-key" env:"GAVEL_SUBMIT_KEY" placeholder:"KEY" help:"Credential that submits the canaries, where --key may not: an owner's, or a service's with --owner. The variable hides it from the list of processes."`
	Owners    []string      `name:"owner" help:"Whose canaries a service submits; several go by turns, and reach more partitions."`
	Patience  time.Duration `name:"patience" default:"30s" help:"How long to wait for the canaries to start, and again for them to stop."`
	Within    time.Duration `name:"within" placeholder:"DURATION" help:"Fail when the slowest took longer."`
}

// Run drills the fleet.
func (c *drillCommand) Run(ctx context.Context, d *desk) error {
	if c.Canaries < 0 || c.Patience < time.Second {
		return usage("--canaries wants 1 or more, --patience a second or more")
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	submitter := cl
	if c.SubmitKey != "" {
		as := *d
		as.Key = c.SubmitKey
		if submitter, err = as.client(); err != nil {
			return err
		}
	}
	r, err := drill.Run(ctx, drill.Config{
		Admin: cl, Submitter: submitter, Owners: c.Owners, Canaries: c.Canaries, Reason: c.Reason, Incident: c.Incident,
		Patience: c.Patience, Tell: c.teller(d),
	})
	if err != nil {
		return c.refused(d, err)
	}
	if d.JSON {
		err = d.document(r)
	} else {
		c.tell(d, r)
	}
	if err != nil {
		return err
	}
	return c.verdict(d, r)
}

// teller tells a person how far it has come.
func (c *drillCommand) teller(d *desk) func(string) {
	return func(text string) {
		if !d.JSON {
			d.screen.Line("%s", d.screen.Paint(show.Dim, show.Clean(text)))
		}
	}
}

func (c *drillCommand) refused(d *desk, err error) error {
	f := d.failureOf(err)
	var p *client.Problem
	switch {
	case errors.Is(err, drill.ErrFrozen), errors.Is(err, drill.ErrNoRoom), errors.Is(err, drill.ErrNotStarted):
		f.Code, f.Hint = codeUnavailable, "Nothing was measured. See who has room: "+d.self+" fleet"
	case errors.As(err, &p) && (p.Type == client.ErrForbidden || p.Type == client.ErrInvalid):
		f.Hint = join("A drill takes an admin's key, and one that may submit (--submit-key, with --owner for a service); the dispatchers and workers must run with --canary.", f.Hint)
	}
	return f
}

func (c *drillCommand) tell(d *desk, r drill.Result) {
	t := show.NewTable("killed by", "stopped!", "p50!", "p99!", "max!")
	for _, s := range r.Scopes {
		by := "its own order"
		if s.Scope != "job" {
			by = "a selector's order"
		}
		t.Row(by, strconv.Itoa(s.Stopped), micros(s.P50), micros(s.P99), micros(s.Max))
	}
	if t.Len() > 0 {
		d.screen.Line("request to stopped, as seen from here:")
		t.Write(d.screen)
	}
	d.screen.Line("%d of %d canaries stopped, on %d of %s; the slowest was %s", r.Stopped, r.Canaries, r.Reached,
		show.Count(int64(r.Workers), "worker", "workers"), show.Clean(r.Slowest))
	for _, m := range r.Missed {
		d.screen.Line("%s", d.screen.Paint(show.Red, fmt.Sprintf("not stopped: job %s on %s (%s)", show.Clean(m.Job), show.Clean(m.Worker), m.Verdict)))
	}
	d.screen.Line("%s", d.screen.Paint(show.Dim, "it is in the audit: "+d.self+" audit --act drill"))
}

// verdict is what the drill proves.
func (c *drillCommand) verdict(d *desk, r drill.Result) error {
	waits := slices.ContainsFunc(r.Missed, func(m drill.Canary) bool { return m.Verdict == client.Waiting || m.Verdict == client.Deaf })
	switch {
	case waits:
		return notOver("See who holds them: "+d.self+" orders", "the drill failed: %d of %d canaries did not stop within %s", len(r.Missed), r.Canaries, c.Patience)
	case !r.Passed:
		return failed("the drill failed: the worker of %d of %d canaries did not confirm", len(r.Missed), r.Canaries)
	case c.Within > 0:
		for _, s := range r.Scopes {
			if took := time.Duration(s.Max) * time.Microsecond; took > c.Within {
				return failed("the drill failed: the slowest canary took %s, more than %s", show.Span(took), c.Within)
			}
		}
	}
	return nil
}

func micros(n int64) string { return show.Span(time.Duration(n) * time.Microsecond) }
