package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// Row is one figure.
type Row struct {
	Work       string  `json:"work"`
	System     string  `json:"system"`
	Metric     string  `json:"metric"`
	Value      float64 `json:"value"`
	Unit       string  `json:"unit"`
	Ratio      float64 `json:"ratio,omitempty"` // to the row named in Of
	Of         string  `json:"of,omitempty"`
	Conditions string  `json:"conditions"`
}

// Rows gathers figures.
type Rows struct{ all []Row }

func (r *Rows) add(row Row) { r.all = append(r.all, row) }

// latencies adds p50 and p99 of a system, once for each of the bases that it is
// compared with, and returns both for others to compare with.
func (r *Rows) latencies(work, system, conditions string, took []time.Duration, bases ...quantiles) quantiles {
	q := quantilesOf(took)
	q.name = system
	if len(bases) == 0 {
		bases = []quantiles{{}}
	}
	for _, base := range bases {
		for _, m := range []struct {
			name string
			v, b time.Duration
		}{{"p50", q.p50, base.p50}, {"p99", q.p99, base.p99}} {
			row := Row{Work: work, System: system, Metric: m.name, Value: ms(m.v), Unit: "ms", Conditions: conditions}
			if m.b > 0 {
				row.Ratio, row.Of = ms(m.v)/ms(m.b), base.name
			}
			r.add(row)
		}
	}
	return q
}

// flow adds a throughput and its price, with their ratios to others'.
func (r *Rows) flow(work, system, conditions string, f flow, others ...namedFlow) {
	rate := Row{Work: work, System: system, Metric: "rate", Value: f.rate, Unit: "1/s", Conditions: conditions}
	cost := Row{Work: work, System: system, Metric: "CPU of Redis", Value: float64(f.cpu.Nanoseconds()) / 1000, Unit: "µs a job", Conditions: conditions}
	if len(others) == 0 {
		r.add(rate)
		r.add(cost)
	}
	for _, o := range others {
		rate.Ratio, rate.Of = f.rate/o.rate, o.name
		cost.Ratio, cost.Of = float64(f.cpu)/float64(o.cpu), o.name
		r.add(rate)
		r.add(cost)
	}
}

type namedFlow struct {
	name string
	flow
}

type quantiles struct {
	name     string
	p50, p99 time.Duration
}

func quantilesOf(took []time.Duration) quantiles {
	s := slices.Clone(took)
	slices.SortFunc(s, func(a, b time.Duration) int { return cmp.Compare(a, b) })
	at := func(p int) time.Duration { return s[min(len(s)-1, len(s)*p/100)] }
	return quantiles{p50: at(50), p99: at(99)}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// print writes the table for people.
func (r *Rows) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "WORK\tSYSTEM\tMETRIC\tVALUE\tRATIO\tCONDITIONS")
	for _, x := range r.all {
		ratio := ""
		if x.Of != "" {
			ratio = fmt.Sprintf("%.2f × %s", x.Ratio, x.Of)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%.3f %s\t%s\t%s\n", x.Work, x.System, x.Metric, x.Value, x.Unit, ratio, x.Conditions)
	}
	return t.Flush()
}

// save writes the rows as JSON.
func (r *Rows) save(path string) error {
	b, err := json.MarshalIndent(r.all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
