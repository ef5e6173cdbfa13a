package judge

import (
	"slices"
	"strings"
	"time"
)

// woken says whether a call was let out by a process as it woke: no client can
// do better than one for each slot, and each is counted.
func (c *Case) woken(k *call, since int64) bool {
	for _, p := range c.pauses[k.worker] {
		if p.meets(since, k.at) && k.at >= p.to && k.at <= p.to+(c.Permit+c.slack(p.from, k.at)).Microseconds() {
			return true
		}
	}
	return false
}

// paused says whether a process stood still at some time between two instants.
func (c *Case) paused(worker string, from, to int64) bool {
	return slices.ContainsFunc(c.pauses[worker], func(p span) bool { return p.meets(from, to) })
}

// single: who calls holds the claim, and no call goes on when another holds it.
func single(c *Case) {
	waking := map[string]int{}
	for _, k := range c.calls {
		r := c.jobs[k.job]
		if r == nil {
			if c.unpromised(k.at, "calls of jobs") {
				continue
			}
			c.breach("a call for job %q, which is not there", k.job)
			continue
		}
		mine := -1
		for i, cl := range r.claims {
			slack := c.slack(cl.to, k.at).Microseconds()
			if (k.worker == "" || cl.worker == k.worker) && k.at >= cl.from && k.at <= cl.to+slack || cl.to == never && k.at >= cl.from {
				mine = i
			}
		}
		if mine < 0 {
			c.unclaimed(r, k, waking)
			continue
		}
		c.outlives(r, k, mine)
	}
	for worker, n := range waking {
		if limit := c.Slots * max(1, len(c.pauses[worker])); n > limit {
			c.breach("%s let out %d calls as it woke, with %d slots and %d pauses", worker, n, c.Slots, len(c.pauses[worker]))
		}
	}
}

// unclaimed says what is wrong with a call that nobody held the claim for.
func (c *Case) unclaimed(r *record, k *call, waking map[string]int) {
	switch {
	case c.woken(k, k.at-c.Take.Microseconds()*2):
		waking[k.worker]++
		c.Figures.AtWaking++
	case !c.unpromised(k.at, "claims"):
		c.breach("job %s: %s made the call %s at %s without a claim; claims: %s", r.id, k.worker, k.id, seconds(k.at-r.created()), r.spans())
	}
}

func (r *record) spans() string {
	var out []string
	for _, k := range r.claims {
		to := "now"
		if k.to != never {
			to = seconds(k.to-r.created()) + " " + k.ended
		}
		out = append(out, k.worker+" "+seconds(k.from-r.created())+" to "+to)
	}
	return strings.Join(out, "; ")
}

// outlives holds a call to the end of the claim that it was made under.
func (c *Case) outlives(r *record, k *call, mine int) {
	if mine+1 >= len(r.claims) || c.deaf(r) {
		return
	}
	next := r.claims[mine+1]
	if k.end <= next.from+c.slack(next.from, min(k.end, next.from+int64(time.Minute/time.Microsecond))).Microseconds() || c.paused(k.worker, k.at, k.end) {
		return
	}
	if c.unpromised(next.from, "claims") {
		return
	}
	c.breach("job %s: the call %s of %s went on for %s after %s had claimed the job", k.job, k.id, k.worker, seconds(k.end-next.from), next.worker)
}

// deaf says whether a job was told to ignore its end for a while.
func (c *Case) deaf(r *record) bool { return contains(r.f["input"], `"deaf_ms":`) }

// bound: after an order was recorded, no new paid call but those that hold a
// permit from before.
func bound(c *Case) {
	last := map[*order]time.Duration{}
	for _, k := range c.calls {
		r := c.jobs[k.job]
		if r == nil {
			continue
		}
		orders, at := c.over(r)
		for i, o := range orders {
			if k.at <= at[i] || r.ended() <= at[i] && r.state() != "killed" {
				continue
			}
			late := time.Duration(k.at-at[i]) * time.Microsecond
			if late > c.Permit+c.slack(at[i], k.at) {
				if c.woken(k, at[i]) {
					c.Figures.AtWaking++
					continue
				}
				if c.unpromised(k.at, "orders told late") {
					continue
				}
				c.breach("job %s: the call %s of %s came %s after the order %s was recorded", k.job, k.id, k.worker, late.Round(time.Millisecond), o.id)
			}
			last[o] = max(last[o], late)
		}
	}
	for _, parts := range c.orders {
		for _, o := range parts {
			c.Figures.Late = append(c.Figures.Late, last[o])
		}
	}
}

// cut: a call that was under way when the order was recorded does not go on for
// longer than a worker trusts itself.
func cut(c *Case) {
	for _, k := range c.calls {
		r := c.jobs[k.job]
		if r == nil || c.deaf(r) {
			continue
		}
		orders, at := c.over(r)
		for i, o := range orders {
			if at[i] < k.at || k.end <= at[i] || r.state() != "killed" {
				continue
			}
			went := time.Duration(k.end-at[i]) * time.Microsecond
			if c.paused(k.worker, at[i], k.end) {
				continue
			}
			if k.left {
				c.Figures.Cut = append(c.Figures.Cut, went)
			}
			if went > c.Trust+c.slack(at[i], k.end) && !c.unpromised(at[i], "orders told late") {
				c.breach("job %s: the call %s of %s went on for %s after the order %s", k.job, k.id, k.worker, went.Round(time.Millisecond), o.id)
			}
		}
	}
}

// confirmed: once a job is over nothing of it is left but what a process lets
// out as it wakes.
func confirmed(c *Case) {
	for _, k := range c.calls {
		r := c.jobs[k.job]
		if r == nil || !over(r.state()) {
			continue
		}
		late := k.at - r.ended()
		if late <= c.slack(r.ended(), k.at).Microseconds() || c.unpromised(k.at, "ends") || c.woken(k, r.ended()-c.Take.Microseconds()) {
			continue
		}
		c.breach("job %s was over (%s %s) and %s made the call %s %s later", k.job, r.state(), r.f["verdict"], k.worker, k.id, seconds(late))
	}
}
