package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// Receipt writes what an order did.
func Receipt(s *Screen, r client.Receipt) {
	s.Line("  %s  %s", s.label("order"), r.Order)
	s.Line("  %s  %s", s.label("stops"), Clean(scope(r.Scope)))
	why := Clean(r.Reason)
	if r.Incident != "" {
		why += "  (" + Clean(r.Incident) + ")"
	}
	s.Line("  %s  %s, because: %s", s.label("ordered by"), Clean(r.Actor), why)
	if r.Scope.Kind == "job" {
		s.single(r)
	} else {
		s.many(r)
	}
	if r.AllowResume {
		s.Line("  %s  the owner may go on from a checkpoint", s.label("resume"))
	}
	if r.Tally.SpentAfter > 0 {
		s.Line("  %s  %s, for calls that were in flight", s.label("spent after"), Money(r.Tally.SpentAfter))
	}
	s.open(r)
}

const labelWidth = 11

func (s *Screen) label(name string) string { return s.Paint(Dim, pad(name, labelWidth)) }

func (s *Screen) single(r client.Receipt) {
	style := Green
	if !r.Stopped() {
		style = Yellow
	}
	s.Line("  %s  %s: %s", s.label("verdict"), s.Paint(style, words(string(r.Verdict))), Meaning(r.Verdict))
	if r.State != "" {
		s.Line("  %s  %s", s.label("the job is"), r.State)
	}
	t := r.Timeline
	if !t.Recorded.IsZero() {
		s.Line("  %s  %s", s.label("timeline"), Course(t))
	}
}

// Meaning says a verdict in a sentence.
func Meaning(v client.Verdict) string {
	switch v {
	case client.Stopped:
		return "its worker confirmed that the work has returned"
	case client.NotRunning:
		return "it was not running, and can never start"
	case client.AlreadyOver:
		return "it had ended before"
	case client.Fenced:
		return "its worker was unreachable, its lease has run out"
	case client.Waiting:
		return "the order is in force; its worker has not confirmed yet"
	case client.Deaf:
		return "its work ignores the cancellation; its worker will exit"
	default:
		return "not known yet"
	}
}

// Course is the timeline of a kill on one line, each step after the order was
// recorded.
func Course(t client.Timeline) string {
	out := []string{"recorded at " + t.Recorded.Local().Format("15:04:05.000")}
	for _, step := range []struct {
		name string
		at   time.Time
	}{{"delivered", t.Delivered}, {"cancelled", t.Cancelled}, {"returned", t.Returned}} {
		if !step.at.IsZero() {
			out = append(out, fmt.Sprintf("%s +%s", step.name, Span(step.at.Sub(t.Recorded))))
		}
	}
	return strings.Join(out, ", ")
}

func (s *Screen) many(r client.Receipt) {
	t := r.Tally
	s.Line("  %s  %d targeted = %d stopped + %d not running + %d already over + %d fenced + %d waiting", s.label("jobs"),
		t.Targeted, t.Stopped, t.NotRunning, t.AlreadyOver, t.Fenced, t.Waiting)
	if len(r.Missing) > 0 {
		s.Line("  %s  that is not all of them: the partitions %v are not in it", s.label(""), r.Missing)
	}
	if t.CoveredBefore > 0 {
		s.Line("  %s  %s under an earlier order already", s.label(""), Count(t.CoveredBefore, "job was", "jobs were"))
	}
	style, meaning := Yellow, "the order is in force; nothing it covers can start"
	switch r.Stage {
	case client.Quiesced:
		style, meaning = Green, "nobody holds authority over any of them any more"
	case client.Replicated:
		meaning = "the order is in force, on every replica too; nothing it covers can start"
	case client.Recording:
		meaning = fmt.Sprintf("not taken yet by the partitions %v; any dispatcher completes it", r.Missing)
		if len(r.Unread) > 0 {
			meaning += fmt.Sprintf("; of these %v cannot be read", r.Unread)
		}
	default:
	}
	s.Line("  %s  %s: %s", s.label("stage"), s.Paint(style, string(r.Stage)), meaning)
	if r.Freeze {
		s.Line("  %s  closed in the same step: nothing is admitted until it is thawed", s.label("gate"))
	}
}

// open names those that somebody still holds.
func (s *Screen) open(r client.Receipt) {
	if len(r.Open) == 0 {
		return
	}
	s.Line("")
	t := NewTable("still held!", "owner", "worker", "verdict", "fenced at the latest")
	for _, o := range r.Open {
		t.Row(o.Job, o.Owner, o.Worker, words(string(o.Verdict)), Clock(o.LeaseEnds, time.Now()))
	}
	t.Write(s)
}
