package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/problem"
)

type psCommand struct {
	States []client.State    `name:"state" short:"s" help:"Only these states, separated by commas: queued, running, parked, delayed, held, killing, succeeded, failed, killed."`
	Labels map[string]string `name:"label" short:"l" help:"Only jobs with this label, key=value; may be repeated." mapsep:"none"`
	Owner  string            `name:"owner" help:"Whose jobs; your own if left out, everybody's for operators and admins."`
	Kind   string            `name:"kind" help:"Only this kind."`
	Limit  int               `name:"limit" short:"n" default:"50" help:"At most so many."`
}

// Run lists jobs.
func (c *psCommand) Run(ctx context.Context, d *desk) error {
	if c.Limit < 1 {
		return usage("--limit: %d; want 1 or more", c.Limit)
	}
	cl, err := d.client()
	if err != nil {
		return err
	}
	q := client.JobQuery{Owner: c.Owner, States: c.States, Labels: c.Labels, Kind: c.Kind, PerPage: min(c.Limit+1, 200)}
	jobs, more := []client.Job{}, false
	for j, err := range cl.Jobs(ctx, q) {
		if err != nil {
			return err
		}
		if more = len(jobs) == c.Limit; more {
			break
		}
		jobs = append(jobs, j)
	}
	if d.JSON {
		return d.document(jobs)
	}
	if len(jobs) == 0 {
		d.screen.Line("no jobs")
		return nil
	}
	jobTable(jobs, time.Now()).Write(d.screen)
	if more {
		d.screen.Line("%s", d.screen.Paint(show.Dim, fmt.Sprintf("the %d newest; see more with --limit", c.Limit)))
	}
	return nil
}

func jobTable(jobs []client.Job, now time.Time) *show.Table {
	t := show.NewTable("job!", "state!", "owner", "kind", "worker", "spent!", "age!", "labels")
	for _, j := range jobs {
		state := string(j.State)
		if j.ParkReason != "" {
			state += ":" + j.ParkReason
		}
		t.Row(j.ID, state, j.Owner, j.Kind, j.Worker, show.Money(j.Spent), show.Age(j.CreatedAt, now), show.Labels(j.Labels))
		t.Style(1, show.StateStyle(j.State))
	}
	return t
}

type getCommand struct {
	Job string `arg:"" help:"Id of the job."`
}

// Run shows one job.
func (c *getCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	j, err := cl.Job(ctx, c.Job)
	if err != nil {
		return err
	}
	if d.JSON {
		return d.document(j)
	}
	d.one(j, time.Now())
	return nil
}

func (d *desk) one(j client.Job, now time.Time) {
	s := d.screen
	field := func(name, format string, args ...any) {
		if text := show.Clean(fmt.Sprintf(format, args...)); text != "" {
			s.Line("%s  %s", s.Paint(show.Dim, fmt.Sprintf("%-10s", name)), text)
		}
	}
	s.Line("%s  %s", s.Paint(show.Dim, fmt.Sprintf("%-10s", "job")), s.Paint(show.Bold, j.ID))
	s.Line("%s  %s", s.Paint(show.Dim, fmt.Sprintf("%-10s", "state")), s.Paint(show.StateStyle(j.State), string(j.State)))
	field("asks", "%s", asked(j))
	field("owner", "%s", whose(j))
	field("kind", "%s", j.Kind)
	field("labels", "%s", show.Labels(j.Labels))
	asks := questions(j)
	if len(asks) == 0 && len(j.Questions) > 0 {
		asks = []string{string(j.Questions)}
	}
	field("parked", "%s", j.ParkReason)
	for i, q := range asks {
		field(fmt.Sprintf("question %d", i+1), "%s", q)
	}
	if len(asks) > 0 {
		field("answer", "%s answer %s …", d.self, j.ID)
	}
	field("blocked by", "%s", j.BlockedBy)
	field("worker", "%s", j.Worker)
	field("runs", "begun %s, %s, checkpoint %d", show.Count(int64(j.Grants), "time", "times"),
		show.Count(int64(j.Attempts), "failed attempt", "failed attempts")+fmt.Sprintf(" of %d", j.MaxAttempts), j.Checkpoint)
	if j.ResumedFrom != "" {
		field("goes on", "from checkpoint %d of %s", j.ResumedSeq, j.ResumedFrom)
	}
	field("money", "%s spent, %s reserved, of %s", show.Money(j.Spent), show.Money(j.Reserved), show.Money(j.Budget))
	field("created", "%s (%s ago)", show.Clock(j.CreatedAt, now), show.Age(j.CreatedAt, now))
	if !j.EndedAt.IsZero() {
		field("ended", "%s, after %s", show.Clock(j.EndedAt, now), show.Age(j.CreatedAt, j.EndedAt))
	}
	field("cause", "%s", j.Cause)
	field("error", "%s", j.Error)
	if j.Order != "" {
		field("order", "%s", j.Order)
		field("killed by", "%s at %s, because: %s", j.KilledBy, show.Clock(j.KilledAt, now), j.KillReason)
		field("verdict", "%s", strings.ReplaceAll(string(j.Verdict), "_", " "))
	}
}

func whose(j client.Job) string {
	if j.Submitter == "" || j.Submitter == j.Owner {
		return j.Owner
	}
	return j.Owner + ", submitted by " + j.Submitter
}

// asked is the problem of a deliberation, in short.
func asked(j client.Job) string {
	var in struct {
		Problem string `json:"problem"`
	}
	if json.Unmarshal(j.Input, &in) != nil {
		return ""
	}
	const most = 200
	if r := []rune(in.Problem); len(r) > most {
		return string(r[:most]) + "…"
	}
	return in.Problem
}

type reportCommand struct {
	Job string `arg:"" help:"Id of the job."`
}

// Run writes the report of a deliberation that succeeded.
func (c *reportCommand) Run(ctx context.Context, d *desk) error {
	cl, err := d.client()
	if err != nil {
		return err
	}
	r, err := cl.Result(ctx, c.Job)
	if err != nil {
		return err
	}
	if d.JSON {
		if err := d.document(r); err != nil {
			return err
		}
		return unsuccessful(d, r)
	}
	if err := unsuccessful(d, r); err != nil {
		return err
	}
	return d.report(r, true)
}

// report writes a result: a deliberation's as a document, any other as it is.
func (d *desk) report(r client.Result, full bool) error {
	answer, err := problem.ReadAnswer(r.Result)
	if err != nil || answer.Problem == "" {
		return d.document(r.Result)
	}
	text := problem.Summary(answer)
	if full {
		text = problem.Report(answer)
	}
	d.screen.Markdown(text)
	return nil
}
