package judge

import (
	"encoding/json"
	"math"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// act is what was asked, and what came back.
type act struct {
	asked history.Event
	came  history.Event // zero when nothing came
	// from and to are the instants between which it took effect, in ns; to is
	// never for what nobody knows.
	from, to int64
}

const never = math.MaxInt64

func (a act) ok() bool { return a.came.Type == history.OK }

// doc is a part of an answer.
type doc struct {
	ID      string `json:"id"`
	Order   string `json:"order"`
	Created bool   `json:"created"`
	State   string `json:"state"`
	Stage   string `json:"stage"`
	Verdict string `json:"verdict"`
	Tally   *tally `json:"tally"`
	// Missing names partitions that were not reached: the receipt is of the others.
	Missing []int `json:"missing_partitions"`
	Scope   struct {
		Kind string `json:"kind"`
	} `json:"scope"`
}

type tally struct {
	Targeted    int64 `json:"targeted"`
	Stopped     int64 `json:"stopped"`
	NotRunning  int64 `json:"not_running"`
	AlreadyOver int64 `json:"already_over"`
	Fenced      int64 `json:"fenced"`
	Waiting     int64 `json:"waiting"`
}

func (a act) doc() (d doc) {
	_ = json.Unmarshal(a.came.Result, &d) // a garbled one is the business of answers
	return d
}

// pair ties answers to what was asked, in the order of asking.
func pair(events []history.Event) []act {
	type key struct {
		proc string
		act  uint64
	}
	var acts []act
	at := map[key]int{}
	for _, e := range events {
		k := key{e.Proc, e.Act}
		switch e.Type {
		case history.Invoke:
			at[k] = len(acts)
			acts = append(acts, act{asked: e, from: e.Mono, to: never})
		case history.OK, history.Fail, history.Info:
			i, ok := at[k]
			if !ok {
				continue
			}
			acts[i].came = e
			if e.Type != history.Info {
				acts[i].to = e.Mono
			}
		}
	}
	return acts
}

// span is between two instants of the wall clock, in µs.
type span struct{ from, to int64 }

func (s span) meets(from, to int64) bool { return s.from <= to && s.to >= from }

// readNotes finds when processes were paused and when the machine stalled.
func (c *Case) readNotes() {
	c.pauses = map[string][]span{}
	for _, e := range c.events {
		if e.Op == "nemesis" && e.Class == "redis-clock-jumps" {
			c.jumps = true
		}
		if e.Type != history.Note {
			continue
		}
		switch e.Op {
		case "stopped":
			c.pauses[e.Worker] = append(c.pauses[e.Worker], span{e.Wall, never})
		case "continued":
			if p := c.pauses[e.Worker]; len(p) > 0 && p[len(p)-1].to == never {
				p[len(p)-1].to = e.Wall
			}
		case "loss":
			var a struct{ From, To int64 }
			_ = json.Unmarshal(e.Args, &a)
			c.losses, c.lostAt = append(c.losses, span{a.From, a.To}), append(c.lostAt, e.Mono)
			c.Figures.Losses++
		case "gate-deleted":
			c.regated = true
		case "stall":
			var a struct{ NS int64 }
			_ = json.Unmarshal(e.Args, &a)
			c.stalls = append(c.stalls, span{e.Wall - a.NS/1000, e.Wall})
			c.Figures.Stall = max(c.Figures.Stall, time.Duration(a.NS))
		}
	}
}

// call is a paid call as the witness saw it. Times are of the wall clock, in µs.
type call struct {
	job, worker, id string
	at, end         int64
	status          int
	left            bool
}

func (c *Case) readCalls() {
	for _, a := range c.acts {
		if a.asked.Op != "call" {
			continue
		}
		var args struct{ Call string }
		_ = json.Unmarshal(a.asked.Args, &args)
		k := &call{job: a.asked.Job, worker: a.asked.Worker, id: args.Call, at: a.asked.Wall, end: never, left: true}
		if a.came.Type != "" {
			k.end, k.status, k.left = a.came.Wall, a.came.Status, a.came.Type != history.OK
			if k.worker == "" { // it had hung up before the witness could look whose socket it was
				k.end = k.at
			}
		}
		c.calls = append(c.calls, k)
	}
}
