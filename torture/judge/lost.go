package judge

import (
	"slices"
	"time"
)

// Where Redis is killed and its file cut, or a replica takes over that was
// behind, what it was told in a moment before is gone. The moment is known; what
// is forgiven in it is counted, and nothing else is forgiven:
//
//   - at local, what was answered in it may be missing;
//   - at replicated nothing may that was answered with success;
//   - at both, what nobody was promised: a claim, a call's booking, a state that
//     was only read. The work is done again.
//
// A kill that was answered is never forgiven: whoever saw it says it again.

// maybeLost says whether Redis may have lost what it was told between two
// instants of the wall clock.
func (c *Case) maybeLost(from, to int64) bool {
	return slices.ContainsFunc(c.losses, func(s span) bool { return s.meets(from, to) })
}

// forgiven says whether what an act was answered need not be there, and counts it.
func (c *Case) forgiven(a act, what string) bool {
	if c.Replicated || !c.maybeLost(a.asked.Wall, a.came.Wall) {
		return false
	}
	c.Figures.Lost[what]++
	return true
}

// unpromised says whether something of that time may be missing that nobody was
// promised, and counts it. A worker goes on for as long as it trusts itself.
func (c *Case) unpromised(at int64, what string) bool {
	if !c.maybeLost(at-(c.Trust+c.Take).Microseconds(), at+time.Second.Microseconds()) {
		return false
	}
	c.Figures.Lost[what]++
	return true
}

// lostJob says whether a job was lost that was accepted in such a moment.
func (c *Case) lostJob(id string) bool {
	return !c.Replicated && slices.ContainsFunc(c.acts, func(a act) bool {
		return a.asked.Op == "submit" && a.ok() && a.doc().ID == id && c.maybeLost(a.asked.Wall, a.came.Wall)
	})
}

// orphaned says whether a job was ended by its worker for a kill that Redis lost
// before it could be told again, and counts it: what somebody has heard of is not
// un-killed.
func (c *Case) orphaned(r *record) bool {
	return r.state() == "killed" && r.f["order"] == "" && c.unpromised(r.ended(), "orders of jobs that a worker killed")
}

// since says whether something may have been lost between two instants of the
// monotonic clock.
func (c *Case) since(from, to int64) bool {
	return slices.ContainsFunc(c.lostAt, func(at int64) bool { return from <= at && at <= to })
}

// reassert moves the instants of orders that were lost and told to Redis again:
// where nobody had been answered before, an order is over its jobs from then on.
func (c *Case) reassert() {
	answered := map[string]int64{}
	for _, a := range c.acts {
		if o := a.doc().Order; a.ok() && o != "" && c.Replicated && (answered[o] == 0 || a.came.Wall < answered[o]) {
			answered[o] = a.came.Wall
		}
	}
	for p := range c.Partitions {
		for _, e := range c.dump[c.key(p, "audit")].Stream {
			if e.Fields["rule"] != "again" {
				continue
			}
			at := c.told(e.Fields["at"])
			if first := answered[e.Fields["order"]]; first != 0 {
				at = min(at, first)
			}
			for _, o := range c.orders[e.Fields["order"]] {
				if o.partition == p {
					o.at = max(o.at, at)
				}
			}
		}
	}
}
