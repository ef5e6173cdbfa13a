package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

type spendCommand struct {
	By string `name:"by" default:"owner" placeholder:"WHAT" help:"Told by owner, submitter, kind, model, worker, version or label:KEY."`
}

// Run shows what is being spent.
func (c *spendCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	m, err := cl.Spend(ctx, c.By)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(m)
	}
	s := d.screen
	s.Line("burn    %s (%s)", s.Paint(show.Bold, perMinute(m.Now.PerMinute)), against(m.Now.Baseline))
	s.Line("spent   %s in 5 min, %s today, of which estimated %s; reserved %s",
		show.Money(m.Now.LastFive), show.Money(m.Now.Today), show.Money(m.Now.Estimated), show.Money(m.Now.Reserved))
	s.Line("window  %s", windowLine(s, m.Window))
	s.Line("breaker %s", breakerLine(s, m.Breaker, time.Now()))
	s.Line("")
	spenders(m, len(m.Top)).Write(s)
	return nil
}

// spenders are the dearest of a dimension.
func spenders(m client.Spend, most int) *show.Table {
	t := show.NewTable(m.By+"!", "per min!", "5 min", "today", "running")
	for _, n := range m.Top[:most] {
		running := strconv.Itoa(n.Running)
		if m.By == "model" {
			running = ""
		}
		t.Row(n.Name, show.Money(n.PerMinute), show.Money(n.LastFive), show.Money(n.Today), running)
	}
	return t
}

func perMinute(m client.MicroUSD) string { return show.Money(m) + "/min" }

// against is what a burn is compared with; a young fleet has nothing yet.
func against(baseline client.MicroUSD) string {
	if baseline == 0 {
		return "no baseline yet"
	}
	return "base " + perMinute(baseline)
}

// windowLine is how far a cap is used up.
func windowLine(s *show.Screen, w client.Window) string {
	ends := "until " + w.EndsAt.UTC().Format(time.RFC3339)
	if w.Cap == nil {
		return fmt.Sprintf("%s %s, no cap", show.Money(w.Spent), ends)
	}
	text := fmt.Sprintf("%s of %s %s", show.Money(w.Spent), show.Money(*w.Cap), ends)
	if w.ToCap == nil {
		return text
	}
	left := "the cap is reached"
	if *w.ToCap > 0 {
		left = "cap in " + show.Span(time.Duration(*w.ToCap*float64(time.Second)))
	}
	return text + "  " + s.Paint(show.Yellow, left)
}

func breakerLine(s *show.Screen, b client.Breaker, now time.Time) string {
	text := b.Mode
	if b.Limit != nil {
		text += " above " + perMinute(*b.Limit)
	}
	if b.Tripped && b.TrippedAt != nil {
		text += "  " + s.Paint(show.Red, "TRIPPED at "+show.Clock(*b.TrippedAt, now))
	}
	return text
}
