package judge

import (
	"encoding/json"
	"strings"
)

// booking is a call as it was booked.
type booking struct {
	cost int64
	how  string // settled, aborted, estimated
}

// bookings reads a job's, by the id of the call without the claim it was made in.
func (c *Case) bookings(r *record) (by map[string][]booking, sum int64) {
	by = map[string][]booking{}
	for id, text := range c.dump[c.key(r.partition, "calls:"+r.id)].Hash {
		f := strings.Fields(text)
		if len(f) < 2 {
			c.breach("job %s: the booking %s is %q", r.id, id, text)
			continue
		}
		name, _, _ := strings.Cut(id, "@")
		by[name] = append(by[name], booking{number(f[0]), f[1]})
		sum += number(f[0])
	}
	return by, sum
}

// money: what a job spent is the sum of its bookings and within its budget; a
// call that the witness answered is booked, and one that is booked as settled
// was answered.
func money(c *Case) {
	answered, doubtful := map[[2]string]int{}, map[[2]string]bool{}
	for _, k := range c.calls {
		if k.status == 200 && !k.left {
			if c.jobs[k.job] == nil && len(c.losses) > 0 || c.maybeLost(k.at, k.end+c.Trust.Microseconds()) {
				c.Figures.Lost["bookings at risk"]++
				doubtful[[2]string{k.job, k.id}] = true
			}
			answered[[2]string{k.job, k.id}]++
		}
	}
	for _, r := range c.sorted() {
		by, sum := c.bookings(r)
		if spent := r.number("spent"); spent != sum {
			c.breach("job %s spent %d, and its bookings sum up to %d", r.id, spent, sum)
		}
		if r.number("reserved") != 0 {
			c.breach("job %s is over and has %s reserved", r.id, r.f["reserved"])
		}
		if r.number("spent") > r.number("budget") {
			c.breach("job %s spent %s of %s", r.id, r.f["spent"], r.f["budget"])
		}
		for name, all := range by {
			k := [2]string{r.id, name}
			c.seen(r, name, all, answered[k], doubtful[k])
			delete(answered, [2]string{r.id, name})
		}
	}
	for k, n := range answered {
		if doubtful[k] {
			continue
		}
		c.breach("job %s: the call %s was answered %d times and never booked", k[0], k[1], n)
	}
}

// seen holds the bookings of one call to how often the witness answered it.
func (c *Case) seen(r *record, name string, all []booking, answered int, doubtful bool) {
	settled, paid := 0, 0
	for _, b := range all {
		if b.cost > 0 {
			paid++
		}
		if b.cost > 0 && b.how == "settled" {
			settled++
		}
	}
	if settled > answered {
		c.breach("job %s: the call %s was answered %d times and settled %d times", r.id, name, answered, settled)
	}
	if paid < answered && !doubtful {
		c.breach("job %s: the call %s was answered %d times and booked %d times", r.id, name, answered, paid)
	}
}

// checkpoints: each that is kept was written under a claim, and work goes on
// behind the last one.
func checkpoints(c *Case) {
	for _, r := range c.sorted() {
		for seq, text := range c.dump[c.key(r.partition, "checkpoints:"+r.id)].Hash {
			head, _, _ := strings.Cut(text, "\n")
			f := strings.Fields(head) // sum, node, when, under which claim
			if len(f) < 4 {
				c.breach("job %s: checkpoint %s is %q", r.id, seq, head)
				continue
			}
			at := c.told(f[2])
			if !r.claimedAt(at) {
				c.breach("job %s: checkpoint %s was written at %s, under no claim: %s", r.id, seq, seconds(at-r.created()), r.spans())
			}
			if step, cut := strings.CutPrefix(f[1], "step_"); cut && contains(r.f["input"], `"events":true`) && r.early(number(step), at, number(f[3])) && !c.unpromised(at, "events") {
				c.breach("job %s: checkpoint %s, of step %s, was written at %s under claim %s, which had not done that step then",
					r.id, seq, step, seconds(at-r.created()), f[3])
			}
		}
		c.steps(r)
	}
}

// early says whether a state holds a step that the claim it was written under did
// only later, or never: somebody else's work came under its name. A claim that
// did nothing may have saved what it began with.
func (r *record) early(step, at, grant int64) bool {
	n, first := int64(0), int64(0)
	for _, e := range r.events {
		switch {
		case e.kind == "job.started":
			n++
		case e.kind != "step.done" || n != grant:
		case int64(e.data.Step) == step:
			return e.at > at
		case first == 0:
			first = int64(e.data.Step)
		}
	}
	return first != 0 && first <= step
}

func (r *record) claimedAt(at int64) bool {
	for _, k := range r.claims {
		if k.from <= at && at <= k.to {
			return true
		}
	}
	return false
}

// steps: within a claim they follow each other; a new claim begins at the last
// step that was done, or behind it, if the job takes checkpoints.
func (c *Case) steps(r *record) {
	var in struct {
		Checkpoint bool `json:"checkpoint"`
	}
	if json.Unmarshal([]byte(r.f["input"]), &in) != nil {
		return
	}
	last, fresh, before := 0, true, int64(0)
	for _, e := range r.events {
		switch {
		case e.kind == "job.started":
			fresh, before = true, e.at
		case e.kind != "step.done":
		case fresh && !in.Checkpoint:
			if e.data.Step != 1 && !c.maybeLost(before, e.at) {
				c.breach("job %s takes no checkpoints and went on at step %d", r.id, e.data.Step)
			}
			last, fresh = e.data.Step, false
		case e.data.Step == last+1 || fresh && e.data.Step == last:
			last, fresh = e.data.Step, false
		default:
			if !c.maybeLost(before, e.at) {
				c.breach("job %s did step %d behind step %d", r.id, e.data.Step, last)
			}
			last, fresh = e.data.Step, false
		}
		before = max(before, e.at)
	}
}
