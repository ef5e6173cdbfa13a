package show

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// Preview writes what an order would reach.
func Preview(s *Screen, p client.Preview) {
	atLeast := ""
	if p.Partial {
		atLeast = "at least "
	}
	s.Line("  %s  %s", s.label("scope"), Clean(scope(p.Scope)))
	s.Line("  %s  %s%s of %s, which have spent %s, and spend %s a minute", s.label("would stop"), atLeast,
		Count(p.Jobs, "job", "jobs"), Count(int64(p.Owners), "owner", "owners"), Money(p.Spent), Money(p.PerMinute))
	for _, by := range []struct {
		name   string
		counts []client.Count
	}{{"by state", p.ByState}, {"by kind", p.ByKind}, {"by owner", p.ByOwner}} {
		if len(by.counts) > 0 {
			s.Line("  %s  %s", s.label(by.name), s.Fit(counted(by.counts), 2+labelWidth+2))
		}
	}
	if p.CoveredBefore > 0 {
		s.Line("  %s  %s under an order already", s.label(""), Count(p.CoveredBefore, "job is", "jobs are"))
	}
	if p.Partial {
		s.Line("  %s  %s", s.label(""), s.Paint(Yellow, "too many live to look at all: the counts are lower bounds"))
	}
}

func counted(counts []client.Count) string {
	out := make([]string, len(counts))
	for i, c := range counts {
		out[i] = fmt.Sprintf("%d %s", c.Jobs, Clean(c.Name))
		if c.Spent > 0 {
			out[i] += " (" + Money(c.Spent) + ", " + Money(c.PerMinute) + "/min)"
		}
	}
	return strings.Join(out, ", ")
}

// scope is what an order is about, in words.
func scope(sc client.Scope) string {
	switch {
	case sc.Kind == "job":
		return "job " + sc.Job
	case sc.Kind == "owner":
		return "every job of " + sc.Owner
	case sc.Kind == "selector" && sc.Selector != nil:
		return "every job with " + Selected(*sc.Selector)
	default:
		return "every job of the fleet"
	}
}

// Selected is a selector in words.
func Selected(sel client.Selector) string {
	var out []string
	add := func(given bool, text string) {
		if given {
			out = append(out, text)
		}
	}
	add(sel.Owner != "", "owner "+sel.Owner)
	add(sel.Submitter != "", "submitter "+sel.Submitter)
	add(sel.Kind != "", "kind "+sel.Kind)
	add(sel.Model != "", "model "+sel.Model)
	for _, key := range slices.Sorted(maps.Keys(sel.Labels)) {
		out = append(out, "label "+key+"="+sel.Labels[key])
	}
	add(sel.MinAge > 0, "age of "+Span(time.Duration(sel.MinAge)*time.Second)+" or more")
	add(sel.MinSpend > 0, Money(sel.MinSpend)+" or more spent")
	return strings.Join(out, ", ")
}
