package judge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// conservation: what was accepted is there, over, and in one place; and what is
// there was asked for.
func conservation(c *Case) {
	asked := map[string]bool{}
	for _, a := range c.acts {
		if a.asked.Op != "submit" {
			continue
		}
		asked[labelled(a.asked.Args)] = true
		if !a.ok() {
			continue
		}
		if r := c.jobs[a.doc().ID]; r == nil && !c.forgiven(a, "accepted jobs") {
			c.breach("job %s was accepted (%s) and is lost", a.doc().ID, a.asked.Idem)
		}
	}
	for _, r := range c.sorted() {
		if !over(r.state()) || r.f["outcome"] != r.state() {
			c.breach("job %s did not end: its state is %q, its outcome %q", r.id, r.state(), r.f["outcome"])
		}
		if key := r.label(); !asked[key] {
			c.breach("job %s was submitted as %q by nobody", r.id, key)
		}
		var places []string
		for _, name := range []string{"live", "leases", "later", "over"} {
			if _, in := c.dump[c.key(r.partition, name)].Scores[r.id]; in {
				places = append(places, name)
			}
		}
		if !slices.Equal(places, []string{"over"}) {
			c.breach("job %s is in %v, and should be in over alone", r.id, places)
		}
	}
}

// labelled is the name in a submission.
func labelled(body json.RawMessage) string {
	var b struct{ Labels struct{ Submit string } }
	_ = json.Unmarshal(body, &b) // then it is nobody's
	return b.Labels.Submit
}

// label is the name under which a job was submitted.
func (r *record) label() string {
	var l struct{ Submit string }
	_ = json.Unmarshal([]byte(r.f["labels"]), &l) // then it is nobody's
	return l.Submit
}

// idempotency: a key is one job and one body; it is created once.
func idempotency(c *Case) {
	type first struct {
		id, body string
		created  int
	}
	keys := map[string]*first{}
	for _, a := range c.acts {
		if a.asked.Op != "submit" || !a.ok() {
			continue
		}
		d, body := a.doc(), string(a.asked.Args)
		if c.jobs[d.ID] == nil && c.forgiven(a, "keys") {
			continue
		}
		f := keys[a.asked.Idem]
		if f == nil {
			f = &first{id: d.ID, body: body}
			keys[a.asked.Idem] = f
		}
		if f.id != d.ID {
			c.breach("key %s gave job %s and job %s", a.asked.Idem, f.id, d.ID)
		}
		if f.body != body {
			c.breach("key %s was accepted with two bodies", a.asked.Idem)
		}
		if d.Created {
			f.created++
		}
		if f.created > 1 {
			c.breach("key %s was answered twice with created", a.asked.Idem)
		}
	}
	seen := map[string]string{}
	for _, r := range c.sorted() {
		key := r.label()
		if other := seen[key]; other != "" {
			c.breach("key %s is two jobs: %s and %s", key, other, r.id)
		}
		seen[key] = r.id
	}
}

// follows is which event of a job may come behind which.
func follows() map[string]string {
	const waits = "job.started job.parked job.held job.killed"
	return map[string]string{
		"":              "job.queued",
		"job.queued":    waits,
		"job.started":   "job.released job.reclaimed job.parked job.delayed job.killing job.succeeded job.failed job.killed",
		"job.killing":   "job.killed",
		"job.released":  waits,
		"job.reclaimed": waits,
		"job.delayed":   waits,
		"job.parked":    "job.resumed job.answered job.killed",
		"job.resumed":   waits,
		"job.answered":  waits,
		"job.held":      "job.unheld job.killed",
		"job.unheld":    waits,
	}
}

// moves: a job's events follow each other as they may, and nothing comes behind
// the end.
func moves(c *Case) {
	may := follows()
	for _, r := range c.sorted() {
		last := ""
		for _, e := range r.events {
			if !strings.HasPrefix(e.kind, "job.") {
				if last != "job.started" && last != "job.killing" {
					c.breach("job %s: %s was written when nobody held it, behind %q", r.id, e.kind, last)
				}
				continue
			}
			if !slices.Contains(strings.Fields(may[last]), e.kind) {
				c.breach("job %s: %s came behind %q", r.id, e.kind, last)
			}
			last = e.kind
		}
		if over(r.state()) && last != "job."+r.state() {
			c.breach("job %s is %s and its last event is %q", r.id, r.state(), last)
		}
	}
}

// claims: epochs grow, no two claims at once, and a drain counts no attempt.
func claims(c *Case) {
	for _, r := range c.sorted() {
		for i, k := range r.claims {
			n := grant(k.epoch)
			if n != int64(i+1) {
				c.breach("job %s: claim %d has the epoch %s", r.id, i+1, k.epoch)
			}
			if k.ended == "another claim" {
				c.breach("job %s was claimed by %s while %s held it", r.id, r.claims[i+1].worker, k.worker)
			}
			if i > 0 && r.claims[i-1].ended == "job.released" && k.attempt > r.claims[i-1].attempt {
				c.breach("job %s: attempt %d after a release that should count none", r.id, k.attempt)
			}
		}
		if n := len(r.claims); r.number("grants") != int64(n) {
			c.breach("job %s was granted %s times by its record, %d times by its events", r.id, r.f["grants"], n)
		}
	}
}

// grant is the number in an epoch.
func grant(epoch string) int64 {
	n, _, _ := strings.Cut(epoch, ".")
	v, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return -1
	}
	return v
}

func seconds(us int64) string { return fmt.Sprintf("%.3fs", float64(us)/1e6) }
