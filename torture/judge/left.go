package judge

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// ends are the keys that go with the job, the worker or the order they are of.
func ends() []string {
	return []string{"leases", "live", "later", "reserved", "held", "capped", "short", "open_orders", "alive_of"}
}

// residue: nothing is left of jobs that are over and processes that have gone.
// Who was killed, or was cut off as they left, could not clear up behind
// themselves: their row in the table of workers is buried after minutes, and
// their nonce in the table of reapers is allowed, one for each.
func residue(c *Case) {
	cutOff := c.cutOff()
	for key, v := range c.dump {
		at, ok := c.place(key)
		switch {
		case !ok:
			c.breach("the key %s is nobody's", key)
		case at.name == "reapers":
			if len(v.Hash) > len(cutOff) && len(c.losses) == 0 {
				c.breach("%s has %d nonces, and %d processes were cut off", key, len(v.Hash), len(cutOff))
			}
		case at.name == "worker" || at.name == "attempt":
			if !cutOff[at.whom] && len(c.losses) == 0 {
				c.breach("%s is left: %v%s", key, v.Hash, v.Text)
			}
		case at.name == "workers":
			for worker := range v.Scores {
				if !cutOff[worker] && len(c.losses) == 0 {
					c.breach("%s has left and is in %s", worker, key)
				}
			}
		case slices.Contains(ends(), at.name):
			c.breach("%s is left: %v%v%v", key, v.Hash, v.Scores, v.List)
		case at.name == "road" && (len(v.Stream) > 0 || v.Pending > 0):
			c.breach("the road of partition %d has %d entries, %d pending", at.partition, len(v.Stream), v.Pending)
		case at.name == "alive":
			c.counted(key, v.Hash)
		}
	}
}

// cutOff are the processes that could not say that they left.
func (c *Case) cutOff() map[string]bool {
	out := map[string]bool{}
	for _, e := range c.events {
		if e.Type == history.Note && (e.Op == "sigkill" || e.Op == "ended" || e.Op == "left" && !strings.Contains(string(e.Args), `"calm":true`)) {
			out[e.Worker] = true
		}
	}
	return out
}

// counted holds the counters of live jobs to there being none.
func (c *Case) counted(key string, counts map[string]string) {
	for state, n := range counts {
		if n != "0" {
			c.breach("%s counts %s jobs as %s", key, n, state)
		}
	}
}

// exits: who was asked to leave left in time, with code 0 when nothing kept it;
// and nobody ended by a panic.
func exits(c *Case) {
	for _, e := range c.events {
		if e.Type != history.Note {
			continue
		}
		var a struct {
			Code        int
			Ended, Calm bool
			NS          int64
		}
		_ = json.Unmarshal(e.Args, &a)
		switch {
		case e.Op == "left" && (!a.Ended || time.Duration(a.NS) > c.Leave+c.slack(e.Wall-a.NS/1000, e.Wall)):
			c.breach("%s was asked to leave and took %s", e.Worker, time.Duration(a.NS).Round(time.Millisecond))
		case e.Op == "left" && a.Calm && a.Code != 0:
			c.breach("%s was asked to leave and ended with code %d", e.Worker, a.Code)
		case (e.Op == "left" || e.Op == "ended") && a.Code == 2:
			c.breach("%s ended by a panic, see its log", e.Worker)
		case e.Op == "trouble":
			c.breach("a process did not start: %s", e.Class)
		}
	}
}
