package judge

import (
	"slices"
	"strings"

	"github.com/rtfm-si/gavel/torture/history"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// killed: what an order covers ends killed, and does not start again.
func killed(c *Case) {
	for _, r := range c.sorted() {
		orders, at := c.over(r)
		for i, o := range orders {
			before := r.ended() != 0 && r.ended() <= at[i]
			if r.state() != "killed" && !before {
				c.breach("job %s was under the order %s (%s) and ended %q", r.id, o.id, o.scope, r.state())
			}
			for _, k := range r.claims {
				if k.from > at[i] && !before {
					c.breach("job %s was granted to %s %s after the order %s", r.id, k.worker, seconds(k.from-at[i]), o.id)
				}
			}
		}
		if c.orphaned(r) {
			continue
		}
		if r.state() == "killed" && !slices.ContainsFunc(orders, func(o *order) bool { return o.id == r.f["order"] }) {
			c.breach("job %s was killed by %q, which is no order over it", r.id, r.f["order"])
		}
	}
	c.answered()
}

// answered holds what a kill was answered to how its job ended.
func (c *Case) answered() {
	for _, a := range c.acts {
		if a.asked.Op != "kill" || !a.ok() {
			continue
		}
		r, d := c.jobs[a.asked.Job], a.doc()
		if r == nil && c.lostJob(a.asked.Job) {
			continue
		}
		if r == nil {
			c.breach("job %s was killed and is not there", a.asked.Job)
			continue
		}
		if c.orphaned(r) {
			continue // it was over when that was answered, or before it was lost
		}
		if d.Verdict == "already_over" && r.state() == "killed" && c.forgiven(a, "ends that a kill was told of") {
			continue // the end was lost, and the order said again
		}
		if said := d.Verdict != "already_over"; said != (r.state() == "killed") {
			c.breach("job %s: the kill was answered %q and it ended %q", r.id, d.Verdict, r.state())
		}
	}
}

// frozen are the spans in which a partition's gate was closed, by its audit.
func (c *Case) frozen(p int) (out []span) {
	closed := false
	for _, e := range c.dump[c.key(p, "audit")].Stream {
		f := e.Fields
		if f["decision"] != "allowed" || f["rule"] != "" {
			continue
		}
		switch {
		case f["act"] == "freeze" || f["act"] == "kill-fleet" && f["freeze"] == "1":
			if !closed {
				out = append(out, span{c.told(f["at"]), never})
			}
			closed = true
		case f["act"] == "thaw" && closed:
			out[len(out)-1].to = c.told(f["at"])
			closed = false
		}
	}
	return out
}

// freeze: while the gate is closed nothing is admitted and nothing starts.
func freeze(c *Case) {
	shut := map[int][]span{}
	for p := range c.Partitions {
		shut[p] = c.frozen(p)
	}
	in := func(p int, at int64) bool {
		return slices.ContainsFunc(shut[p], func(s span) bool { return s.from < at && at < s.to })
	}
	for _, r := range c.sorted() {
		if in(r.partition, r.created()) {
			c.breach("job %s was admitted while the fleet was frozen", r.id)
		}
		for _, k := range r.claims {
			if in(r.partition, k.from) {
				c.breach("job %s was granted to %s while the fleet was frozen", r.id, k.worker)
			}
		}
	}
}

// receipts: targeted is the sum of the verdicts in every receipt that anybody
// was shown; waiting does not grow again; the last word is what happened.
func receipts(c *Case) { //nolint:gocognit,cyclop // one pass over the orders, three rules of one idea
	type seen struct {
		to      int64
		waiting int64
		whole   bool
	}
	before := map[string]seen{}
	for _, a := range c.acts {
		d := a.doc()
		if !a.ok() || d.Tally == nil || d.Order == "" {
			continue
		}
		t := d.Tally
		if t.Targeted != t.Stopped+t.NotRunning+t.AlreadyOver+t.Fenced+t.Waiting {
			c.breach("the order %s was shown as %+v, which does not sum up", d.Order, *t)
		}
		if t.Waiting < 0 {
			c.breach("the order %s was shown waiting for %d", d.Order, t.Waiting)
		}
		if a.asked.Op == "kill" && d.Scope.Kind != "job" {
			// The order covers the job; the tally is the job's alone.
			if d.Stage == "quiesced" && t.Waiting != 0 {
				c.breach("the kill %s of a job under the order %s is quiesced and waits", a.asked.Reason, d.Order)
			}
			continue
		}
		was := before[d.Order]
		if was.whole && !c.Replicated && c.since(was.to, a.from) {
			was.whole = false
		}
		// At replicated a replica that is away takes back what was promised, not what was done.
		less := d.Stage != "quiesced" && (!c.Replicated || d.Stage != "accepted")
		if was.whole && a.from > was.to && len(d.Missing) == 0 && (less || t.Waiting > was.waiting) {
			c.breach("the order %s was quiesced and then %s, waiting for %d", d.Order, d.Stage, t.Waiting)
		}
		if d.Stage == "quiesced" && a.to < never && (!was.whole || a.to < was.to) {
			before[d.Order] = seen{a.to, t.Waiting, true}
			if t.Waiting != 0 && d.Scope.Kind != "job" {
				c.breach("the order %s is quiesced and waits for %d", d.Order, t.Waiting)
			}
		}
	}
	for id, parts := range c.orders {
		for _, o := range parts {
			c.booked(id, o)
		}
	}
}

// booked holds an order's tally to the jobs.
func (c *Case) booked(id string, o *order) {
	n := map[string]int64{}
	for _, r := range c.jobs {
		if r.f["order"] == id && r.partition == o.partition && r.state() == "killed" {
			n[r.f["verdict"]]++
		}
	}
	for _, verdict := range []string{"stopped", "not_running", "fenced"} {
		c.Figures.Verdicts[verdict] += int(n[verdict])
		if got := number(o.tally[verdict]); got != n[verdict] {
			c.breach("the order %s (%s, partition %d) tells of %d %s, and %d jobs are", id, o.scope, o.partition, got, verdict, n[verdict])
		}
	}
	c.Figures.Verdicts["already_over"] += int(number(o.tally["already_over"]))
	if w := number(o.tally["waiting"]); w != 0 {
		c.breach("the order %s (%s) waits for %d when all is over", id, o.scope, w)
	}
	if u := number(o.tally["unbooked"]); u != 0 {
		c.breach("the order %s (%s) has %d unbooked when all is over", id, o.scope, u)
	}
	if !o.quiesced && o.scope != "job" {
		c.breach("the order %s (%s, partition %d) was never quiesced", id, o.scope, o.partition)
	}
}

// answers: no answer is garbled, none is an internal error.
func answers(c *Case) {
	for _, a := range c.acts {
		if a.asked.Op == "call" {
			continue
		}
		if a.came.Status == 500 || a.came.Class == "garbled" || a.came.Status >= 400 && a.came.Class == "" && a.came.Type != history.OK {
			c.breach("%s of %s was answered %d %q: %s", a.asked.Op, a.asked.Proc, a.came.Status, a.came.Class, a.came.Result)
		}
	}
}
