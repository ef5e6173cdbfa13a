package cli

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// fleetCommands are what can be done with the fleet; showing it needs no word.
type fleetCommands struct {
	Show  fleetCommand `cmd:"" default:"1" help:"Show gate, workers and jobs."`
	Adopt adoptCommand `cmd:"" help:"Take what Redis has now for the truth, after a restore or another loss of data: what had frozen itself goes on."`
}

type fleetCommand struct{}

// Run shows the fleet.
func (fleetCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	f, err := cl.Fleet(ctx)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(f)
	}
	s, now := d.screen, time.Now()
	s.Line("fleet %s  %s", s.Paint(show.Bold, show.Clean(f.Name)), gateLine(s, f.Gate, now))
	for _, l := range f.Losses {
		s.Line("%s. Nothing starts until: %s fleet adopt --reason …", lossText(s, l, now), d.self)
	}
	if len(f.Missing) > 0 {
		s.Line("%s", s.Paint(show.Red, fmt.Sprintf("%s of %d cannot be read: no number here counts what they hold", partitionsText(f.Missing), f.Partitions)))
	}
	for _, line := range storesApart(f) {
		s.Line("%s", s.Paint(show.Red, line))
	}
	s.Line("jobs  %s", liveJobs(f.Jobs))
	if notes := fleetNotes(f); notes != "" {
		s.Line("%s", s.Paint(show.Yellow, notes))
	}
	if len(f.OpenOrders) > 0 {
		s.Line("open orders: %s", strings.Join(f.OpenOrders, " "))
	}
	s.Line("")
	workerTable(f.Workers, now).Write(s)
	return nil
}

func lossText(s *show.Screen, l client.Loss, now time.Time) string {
	return fmt.Sprintf("%s in partition %d since %s: the gate is %s and does not know %s",
		s.Paint(show.Red, "DATA LOST"), l.Partition, show.Clock(l.Since, now), headText(l.Found), headText(l.Seen))
}

// storesApart says which workers keep the states of jobs elsewhere than the
// dispatcher looks for them.
func storesApart(f client.Fleet) []string {
	at := map[string][]string{}
	for _, w := range f.Workers {
		if w.Elsewhere {
			at[w.Checkpoints] = append(at[w.Checkpoints], w.ID)
		}
	}
	var out []string
	for _, place := range slices.Sorted(maps.Keys(at)) {
		where := show.Clean(place)
		if place == f.Checkpoints {
			where = "another " + where
		}
		out = append(out, fmt.Sprintf("STATES IN TWO PLACES: %s keep them in %s, this dispatcher looks in %s. Give every process the same --checkpoints.",
			few(at[place]), where, show.Clean(f.Checkpoints)))
	}
	return out
}

// few names the first of many.
func few(ids []string) string {
	const most = 5
	slices.Sort(ids)
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
}

// fleetNotes says what is worth a look.
func fleetNotes(f client.Fleet) string {
	var notes []string
	if f.NoProgress > 0 {
		var which []string
		for _, w := range f.Workers {
			which = append(which, w.NoProgressJobs...)
		}
		note := fmt.Sprintf("%d without progress for 2m", f.NoProgress)
		if len(which) > 0 {
			note += ": " + few(which)
		}
		notes = append(notes, show.Clean(note))
	}
	if waits := time.Duration(f.QueuedOldest * float64(time.Second)); waits > time.Minute {
		notes = append(notes, "the oldest queued job has waited "+show.Span(waits))
	}
	if f.Reclaimed > 0 {
		notes = append(notes, fmt.Sprintf("%d reclaimed in 5m", f.Reclaimed))
	}
	if f.Unlisted > 0 {
		notes = append(notes, fmt.Sprintf("%d more workers than are listed, and in no number", f.Unlisted))
	}
	if f.Breaker.Tripped {
		notes = append(notes, "the breaker is tripped: "+show.Clean(f.Breaker.Reason))
	}
	return strings.Join(notes, ", ")
}

func gateLine(s *show.Screen, g client.Gate, now time.Time) string {
	if !g.Frozen {
		return s.Paint(show.Green, "open") + gatePace(g, now)
	}
	text := fmt.Sprintf(" by %s at %s: %s", show.Clean(g.Actor), show.Clock(g.FrozenAt, now), show.Clean(g.Reason))
	if g.Incident != "" {
		text += " (" + show.Clean(g.Incident) + ")"
	}
	return s.Paint(show.Red, "FROZEN") + text
}

// gatePace says how slowly jobs start, in the unit that gives a whole number.
func gatePace(g client.Gate, now time.Time) string {
	if g.Rate == 0 {
		return ""
	}
	n, per := g.Rate, "second"
	if n < 1 {
		n, per = n*60, "minute"
	}
	if n < 1 {
		n, per = n*60, "hour"
	}
	text := fmt.Sprintf(", but no more than %s start per %s", strconv.FormatFloat(math.Round(100*n)/100, 'f', -1, 64), per)
	if !g.RateUntil.IsZero() {
		text += ", until " + show.Clock(g.RateUntil, now)
	}
	return text
}

func headText(head string) string {
	if head == "" {
		return "empty"
	}
	return show.Clean(head)
}

// quietFor is from when on a worker's silence is worth saying.
const quietFor = 4 * time.Second

func workerTable(workers []client.Worker, now time.Time) *show.Table {
	t := show.NewTable("worker!", "running!", "slots!", "is", "up", "host", "version")
	slices.SortFunc(workers, func(a, b client.Worker) int { return strings.Compare(a.ID, b.ID) })
	for _, w := range workers {
		is, style := "working", show.Plain
		silent := time.Duration(w.Silent * float64(time.Second))
		switch {
		case w.Deaf > 0:
			is, style = fmt.Sprintf("deaf (%d)", w.Deaf), show.Red
		case silent > quietFor:
			is, style = "silent "+show.Span(silent), show.Red
			if w.LeaseLeft > 0 {
				is += " (leases end in " + show.Span(time.Duration(w.LeaseLeft*float64(time.Second))) + ")"
			}
		case w.Lost:
			is, style = "taking nothing: data lost", show.Red
		case w.Draining:
			is, style = "draining", show.Yellow
		case w.Running == 0:
			is = "idle"
		}
		t.Row(w.ID, strconv.Itoa(w.Running), strconv.Itoa(w.Slots), is, show.Age(w.Started, now), w.Host, w.Version)
		t.Style(3, style)
	}
	return t
}

type freezeCommand struct {
	why `embed:""`
}

// Run closes the gate.
func (c *freezeCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	g, err := cl.Freeze(ctx, c.Reason, c.Incident)
	if err != nil {
		return d.unheard(err)
	}
	return d.everywhere(g, "frozen")
}

type adoptCommand struct {
	Reason string `name:"reason" short:"r" required:"" help:"What was lost and why that is all right; kept in the audit."`
	Yes    string `name:"yes" placeholder:"FLEET" help:"The fleet's name, instead of typing it when asked."`
}

// Run adopts the gate.
func (c *adoptCommand) Run(ctx context.Context, d *desk) error {
	if c.Yes == "" && !d.person() {
		return usage("fleet adopt without a terminal needs --yes and the fleet's name")
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	if err := c.confirm(ctx, d, cl); err != nil {
		return err
	}
	g, err := cl.Adopt(ctx, c.Reason)
	if err != nil {
		return d.unheard(err)
	}
	return d.gate(g)
}

// confirm has the fleet's name said, under what is given up.
func (c *adoptCommand) confirm(ctx context.Context, d *desk, cl *client.Client) error {
	f, err := cl.Fleet(ctx)
	if err != nil {
		return err
	}
	if c.Yes != "" && c.Yes != f.Name {
		return &Failure{Code: codeRefused, Text: fmt.Sprintf("the fleet is not named %q; nothing was adopted", c.Yes), Hint: "See its name with: " + d.self + " fleet"}
	}
	if c.Yes != "" {
		return nil
	}
	for _, l := range f.Losses {
		d.screen.Line("%s", lossText(d.screen, l, time.Now()))
	}
	d.screen.Line("This will take what Redis has now for the truth: what was killed, blocked or frozen since, and is remembered by nobody, %s.", d.screen.Paint(show.Red, "lives again"))
	if d.question(ctx, "Type the fleet's name to go on:") != f.Name {
		return usage("that is not the fleet's name; nothing was adopted")
	}
	return nil
}

type thawCommand struct {
	Reason string        `name:"reason" short:"r" required:"" help:"Why; kept in the audit."`
	Seen   string        `name:"seen" placeholder:"HEAD" help:"Thaw only the gate that you saw (head in gavel fleet --json); default is the one of now."`
	Rate   rate          `name:"rate" placeholder:"N/s" help:"Let no more jobs start than so many per second, minute or hour: 10/s, 30/m; a thaw without it lifts that."`
	For    time.Duration `name:"for" placeholder:"10m" help:"How long the rate holds; default is until the next thaw."`
}

// rate is so many per second.
type rate float64

// UnmarshalText reads 10/s, 30/m, 5/h.
func (r *rate) UnmarshalText(text []byte) error {
	number, per, _ := strings.Cut(string(text), "/")
	seconds, ok := map[string]float64{"s": 1, "m": 60, "h": 3600}[per]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || !(n > 0) {
		return fmt.Errorf("%q is no rate; want so many per second, minute or hour, such as 10/s, 30/m or 5/h", text)
	}
	*r = rate(n / seconds)
	return nil
}

// Run opens the gate.
func (c *thawCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	if c.Seen == "" {
		f, err := cl.Fleet(ctx)
		if err != nil {
			return err
		}
		if !f.Gate.Frozen && f.Gate.Rate == 0 && c.Rate == 0 {
			return d.gate(f.Gate)
		}
		c.Seen = f.Gate.Head
	}
	g, err := cl.ThawAtRate(ctx, c.Seen, c.Reason, float64(c.Rate), c.For)
	if err != nil {
		return d.unheard(err)
	}
	return d.everywhere(g, "thawed")
}

// everywhere shows the gate behind an act, and fails while partitions lack it.
func (d *desk) everywhere(g client.Gate, done string) error {
	if err := d.gate(g); err != nil {
		return err
	}
	if len(g.Missing) > 0 {
		return notOver("Give the same command again when they can be reached. What they hold goes by their own gates until then.",
			"%s could not be reached and are not %s", partitionsText(g.Missing), done)
	}
	return nil
}

// partitionsText names partitions.
func partitionsText(ps []int) string {
	return "partitions " + strings.Trim(strings.ReplaceAll(fmt.Sprint(ps), " ", ", "), "[]")
}

func (d *desk) gate(g client.Gate) error {
	if d.JSON {
		return d.document(g)
	}
	d.screen.Line("the fleet is %s", gateLine(d.screen, g, time.Now()))
	return nil
}
