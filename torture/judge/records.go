package judge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// record is a job as Redis held it at the end.
type record struct {
	id        string
	partition int
	f         map[string]string
	events    []event
	claims    []claim
	// began and over are when it was submitted and ended.
	began, over int64
	// under are the orders over it, once somebody asked.
	asked   bool
	under   []*order
	underAt []int64
}

// event is a line of a job's own stream.
type event struct {
	kind string
	at   int64
	data struct {
		Worker  string `json:"worker"`
		Epoch   string `json:"epoch"`
		Attempt int    `json:"attempt"`
		Step    int    `json:"step"`
		Order   string `json:"order"`
		Verdict string `json:"verdict"`
	}
}

// claim is one worker's hold on a job, in Redis's time.
type claim struct {
	worker, epoch string
	attempt       int
	span
	ended string // the event that ended it
}

func (r *record) state() string         { return r.f["state"] }
func (r *record) seq() int64            { return number(r.f["seq"]) }
func (r *record) ended() int64          { return r.over }
func (r *record) created() int64        { return r.began }
func (r *record) number(n string) int64 { return number(r.f[n]) }

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

func over(state string) bool { return state == "succeeded" || state == "failed" || state == "killed" }

// order is an order as one partition holds it.
type order struct {
	id, scope, owner, job string
	partition             int
	at, h                 int64
	quiesced              bool
	tally                 map[string]string
}

// covers says whether an owner's or the fleet's order is over a job.
func (o *order) covers(r *record) bool {
	switch o.scope {
	case "fleet":
		return o.partition == r.partition && r.seq() <= o.h
	case "owner":
		return o.partition == r.partition && r.seq() <= o.h && r.f["owner"] == o.owner
	case "job":
		return o.job == r.id
	case "selector":
		return r.f["order"] == o.id
	default:
		return false
	}
}

// over is when an order was over a job: a selector's when its walk came by.
func (o *order) overAt(r *record) int64 {
	if o.scope != "selector" {
		return o.at
	}
	for _, e := range r.events {
		if e.kind == "job.killing" && e.data.Order == o.id {
			return e.at
		}
	}
	return max(o.at, r.ended())
}

// place is what a key is: {fleet:P}:name:whom.
type place struct {
	partition  int
	name, whom string
}

// place takes a key apart.
func (c *Case) place(key string) (at place, ok bool) {
	rest, found := strings.CutPrefix(key, "{"+c.Fleet+":")
	p, rest, cut := strings.Cut(rest, "}:")
	if !found || !cut {
		return at, false
	}
	at.name, at.whom, _ = strings.Cut(rest, ":")
	var err error
	at.partition, err = strconv.Atoi(p)
	return at, err == nil
}

func (c *Case) key(partition int, name string) string {
	return fmt.Sprintf("{%s:%d}:%s", c.Fleet, partition, name)
}

func (c *Case) readRecords() {
	c.jobs, c.orders = map[string]*record{}, map[string][]*order{}
	for key, v := range c.dump {
		at, ok := c.place(key)
		switch {
		case !ok || v.Type != "hash":
		case at.name == "job":
			c.readJob(at, v.Hash)
		case at.name == "order" && v.Hash["scope"] != "block" && v.Hash["scope"] != "":
			c.readOrder(at, v.Hash)
		}
	}
	c.reassert()
	for _, parts := range c.orders {
		c.Figures.Orders[parts[0].scope]++
		slices.SortFunc(parts, func(a, b *order) int { return cmp.Compare(a.partition, b.partition) })
	}
}

func (c *Case) readJob(at place, fields map[string]string) {
	r := &record{id: at.whom, partition: at.partition, f: fields, events: c.readEvents(c.dump[c.key(at.partition, "events:"+at.whom)])}
	r.claims = readClaims(r.events)
	r.began, r.over = c.told(fields["created_at"]), c.told(fields["ended_at"])
	c.jobs[r.id] = r
	c.Figures.Outcomes[r.state()]++
	c.Figures.Claims += len(r.claims)
}

func (c *Case) readOrder(at place, h map[string]string) {
	c.orders[at.whom] = append(c.orders[at.whom], &order{
		id: at.whom, scope: h["scope"], owner: h["owner"], job: h["job"], partition: at.partition, at: c.told(h["at"]), h: number(h["h"]),
		quiesced: h["quiesced_at"] != "", tally: c.dump[c.key(at.partition, "tally:"+at.whom)].Hash,
	})
}

// told is an instant that Redis told, had its clock not jumped: it does so by
// whole hours, and a run with such jumps is far shorter than one.
func (c *Case) told(at string) int64 {
	us, hour := number(at), time.Hour.Microseconds()
	if us == 0 || !c.jumps {
		return us
	}
	return us - int64(math.Round(float64(us-c.events[0].Wall)/float64(hour)))*hour
}

func (c *Case) readEvents(v history.Value) (out []event) {
	for _, e := range v.Stream {
		x := event{kind: e.Fields["type"], at: c.told(e.Fields["at"])}
		_ = json.Unmarshal([]byte(e.Fields["data"]), &x.data) // what is not there stays empty
		out = append(out, x)
	}
	return out
}

// readClaims finds the claims in a job's events, in Redis's order.
func readClaims(events []event) (out []claim) {
	held := false
	for _, e := range events {
		switch {
		case e.kind == "job.started":
			if held {
				out[len(out)-1].to, out[len(out)-1].ended = e.at, "another claim"
			}
			out = append(out, claim{worker: e.data.Worker, epoch: e.data.Epoch, attempt: e.data.Attempt, span: span{e.at, never}})
			held = true
		case held && strings.HasPrefix(e.kind, "job.") && e.kind != "job.killing":
			out[len(out)-1].to, out[len(out)-1].ended = e.at, e.kind
			held = false
		}
	}
	return out
}

// over returns the orders over a job, each with the instant from which it was.
func (c *Case) over(r *record) (out []*order, at []int64) {
	if !r.asked {
		r.asked = true
		for _, parts := range c.orders {
			for _, o := range parts {
				if o.covers(r) {
					r.under, r.underAt = append(r.under, o), append(r.underAt, o.overAt(r))
				}
			}
		}
	}
	return r.under, r.underAt
}

// sorted are the jobs in the order of their ids, so that reports are alike.
func (c *Case) sorted() []*record {
	out := make([]*record, 0, len(c.jobs))
	for _, r := range c.jobs {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *record) int { return cmp.Compare(a.id, b.id) })
	return out
}
