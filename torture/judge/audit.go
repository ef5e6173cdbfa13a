package judge

import (
	"strconv"
	"strings"
)

// audit: every act that was done has one entry, every act that was refused for
// who asked has one that says so, and there is no entry without an act; entries
// are numbered without gaps, and chained.
func audit(c *Case) {
	entries := c.entries()
	asked := map[string]bool{}
	for _, a := range merged(c.acts) {
		if a.asked.Reason == "" {
			continue
		}
		asked[a.asked.Reason] = true
		c.entered(a, entries[a.asked.Reason])
	}
	for reason, found := range entries {
		if strings.HasPrefix(reason, "torture ") && !asked[reason] {
			c.breach("the audit has %q %d times, and nobody did that", reason, len(found))
		}
	}
	for id, parts := range c.orders {
		for _, o := range parts {
			if n := c.issued[issuedIn{id, o.partition}]; n != 1 {
				c.breach("the order %s (%s, partition %d) has %d entries, and should have one", id, o.scope, o.partition, n)
			}
		}
	}
	c.chain()
}

// issuedIn is an order in a partition.
type issuedIn struct {
	order     string
	partition int
}

// entry is one of the audit's.
type entry struct {
	f         map[string]string
	partition int
}

// entries reads the audit by the acts' reasons, and holds it to its numbers.
func (c *Case) entries() map[string][]entry {
	out := map[string][]entry{}
	c.issued = map[issuedIn]int{}
	for p := range c.Partitions {
		for i, e := range c.dump[c.key(p, "audit")].Stream {
			f := e.Fields
			if f["n"] != strconv.Itoa(i+1) {
				c.breach("partition %d: entry %d has the number %s", p, i+1, f["n"])
			}
			if !strings.Contains(f["who"], `"subject"`) {
				c.breach("partition %d: entry %d does not say who: %q", p, i+1, f["who"])
			}
			out[f["reason"]] = append(out[f["reason"]], entry{f, p})
			if f["decision"] == "allowed" && f["order"] != "" && f["verdict"] != "covered" && strings.HasPrefix(f["act"], "kill") {
				if in := (issuedIn{f["order"], p}); f["rule"] != "again" || c.issued[in] == 0 {
					c.issued[in]++
				}
			}
		}
	}
	return out
}

// entered holds an act to its entries. An act that reaches several partitions
// has one in each.
func (c *Case) entered(a act, found []entry) {
	once := map[int]int{}
	denied, covered := 0, 0
	for _, e := range found {
		switch {
		case e.f["decision"] == "denied":
			denied++
		case e.f["verdict"] == "covered" || e.f["rule"] == "already" || // it was so, be it by this act's first try
			(c.regated || len(c.losses) > 0) && (e.f["rule"] != "" || contains(e.f["who"], "system:memory")): // or said again by who had seen it
			covered++
		default:
			once[e.partition]++
		}
	}
	for p, n := range once {
		if n > 1 {
			c.breach("%s %q has %d entries in partition %d", a.asked.Op, a.asked.Reason, n, p)
		}
	}
	unwritten := a.ok() && len(once) == 0 && covered == 0
	undenied := a.came.Class == "not-found" && a.asked.Op == "kill" && denied == 0
	switch {
	case unwritten && !c.forgiven(a, "entries of the audit"):
		c.breach("%s %q was done (%s) and has no entry", a.asked.Op, a.asked.Reason, a.asked.Proc)
	case undenied && !c.maybeLost(a.asked.Wall, a.came.Wall):
		c.breach("the kill %q was refused and has no entry", a.asked.Reason)
	}
}
