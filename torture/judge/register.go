package judge

import (
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// What a job is to those who look at it from outside.
const (
	live = iota
	ordered
	succeeded
	failed
	dead
)

// seen is one operation on one job.
type seen struct {
	order   bool // a kill, or an order over it; else a read
	unknown bool // nobody knows whether it was done
}

// register: reads and kills of each job, as all clients saw them, are those of
// one register that only moves forward: once a kill was answered nobody sees the
// job live again, and an outcome, once seen, stays.
func register(c *Case) {
	ops := map[string][]porcupine.Operation{}
	add := func(job string, a act, in seen, out string) {
		if a.to == never && !in.order {
			return
		}
		ops[job] = append(ops[job], porcupine.Operation{Input: in, Output: out, Call: a.from, Return: a.to})
	}
	under := map[string]int64{} // when the first order over a job had been answered
	for _, a := range merged(c.acts) {
		switch a.asked.Op {
		case "read":
			if a.ok() && !c.maybeLost(a.asked.Wall, a.came.Wall) {
				add(a.asked.Job, a, seen{}, a.doc().State)
			}
		case "kill":
			if a.came.Type != "fail" {
				// It was recorded before it was answered, and may be seen to stand meanwhile.
				add(a.asked.Job, a, seen{order: true, unknown: true}, "waiting")
				add(a.asked.Job, a, seen{order: true, unknown: !a.ok()}, a.doc().Verdict)
			}
		case "kill-all", "issue":
			c.eachCovered(a, under, add)
		}
	}
	model := model()
	for _, r := range c.sorted() {
		if porcupine.CheckOperationsTimeout(model, ops[r.id], 10*time.Second) == porcupine.Illegal {
			c.breach("job %s: what its %d readers and killers saw fits no order of events", r.id, len(ops[r.id]))
		}
	}
}

// merged makes one act of the tries of one request, of all but paid calls.
func merged(acts []act) (out []act) {
	at := map[string]int{}
	for _, a := range acts {
		key := a.asked.Idem
		i, again := at[key]
		switch {
		case a.asked.Op == "call":
		case key == "" || a.asked.Op == "submit":
			out = append(out, a)
		case !again:
			at[key] = len(out)
			out = append(out, a)
		case a.ok() || out[i].came.Type == "fail":
			first := out[i].from
			out[i] = a
			out[i].from = first
		}
	}
	return out
}

// eachCovered tells every job under an order of it. A selector's order meets
// its jobs later than it is answered, and so does one in a partition that its
// answer named as missing. One that was asked for when another had been answered
// says nothing new of the job, and hundreds of them over thousands of jobs would
// take hours to judge.
func (c *Case) eachCovered(a act, under map[string]int64, add func(string, act, seen, string)) {
	if !a.ok() {
		return // the final state and the audit know of it
	}
	for _, o := range c.orders[a.doc().Order] {
		for _, r := range c.jobs {
			if first, was := under[r.id]; was && a.from > first || !o.covers(r) {
				continue
			}
			b, later := a, o.scope == "selector" || slices.Contains(a.doc().Missing, o.partition)
			if later {
				b.to = never
			} else if first, was := under[r.id]; !was || a.to < first {
				under[r.id] = a.to
			}
			add(r.id, b, seen{order: true, unknown: later}, "")
		}
	}
}

func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{live} },
		Step: func(state, input, output any) []any {
			st, in, out := state.(int), input.(seen), output.(string) //nolint:forcetypeassert // made above
			if !in.order {
				return afterRead(st, out)
			}
			next := afterOrder(st, out)
			if in.unknown {
				next = append(next, st)
			}
			return next
		},
		Equal: func(a, b any) bool { return a == b },
	}
	return m.ToModel()
}

// afterRead is what a job can be when it was read as this.
func afterRead(st int, state string) []any {
	is := map[string]int{"killing": ordered, "succeeded": succeeded, "failed": failed, "killed": dead}
	want, known := is[state]
	switch {
	case !known: // queued, running, parked, delayed, held
		want = live
		if st != live {
			return nil
		}
	case want == st:
	case (want == succeeded || want == failed) && st == live: // it ended by itself
	case want == dead && st == ordered: // its worker confirmed
	default:
		return nil
	}
	return []any{want}
}

// afterOrder is what a job can be when an order was answered with this verdict.
func afterOrder(st int, verdict string) []any {
	switch {
	case verdict == "already_over":
		switch st {
		case live:
			return []any{succeeded, failed}
		case succeeded, failed:
			return []any{st}
		}
		return nil
	case st == succeeded || st == failed:
		if verdict != "" {
			return nil
		}
		return []any{st}
	case st == dead:
		return []any{dead}
	case verdict == "" && st == live: // it may have ended before an order of many
		return []any{ordered, dead, succeeded, failed}
	case verdict == "" || verdict == "waiting" || verdict == "deaf":
		return []any{ordered, dead}
	default:
		return []any{dead}
	}
}
