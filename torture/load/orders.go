package load

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

// post is an ask with a key and a reason of its own, by which the audit's entry
// is found again.
func post(p *person, op, path string, e history.Event, body object) rig.Ask {
	key := p.next()
	e.Reason = "torture " + key
	body["reason"] = e.Reason
	return rig.Ask{Op: op, Method: http.MethodPost, Path: path, Event: e, Key: key, Body: body}
}

// killOne kills a job, most often one's own.
func (l *Load) killOne(ctx context.Context, p *person) {
	whose := p.owner
	if p.draw(8) == 0 {
		whose = ""
	}
	j, ok := l.some(p, whose)
	if !ok {
		return
	}
	l.kill(ctx, p, j)
}

func (l *Load) kill(ctx context.Context, p *person, j known) rig.Answer {
	got := l.insist(ctx, p, post(p, "kill", "/v1/jobs/"+j.id+"/kill", history.Event{Job: j.id, Owner: j.owner}, object{}))
	l.watch(got)
	return got
}

// watch has the receipt of an order looked at until it is quiesced.
func (l *Load) watch(got rig.Answer) {
	if got.Type != history.OK || got.Doc.Order == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[got.Doc.Order] = true
}

// look reads the receipts of what is open.
func (l *Load) look(ctx context.Context, p *person) {
	l.mu.Lock()
	orders := make([]string, 0, len(l.open))
	for o := range l.open {
		orders = append(orders, o)
	}
	l.mu.Unlock()
	for _, o := range orders {
		got := p.Do(ctx, rig.Ask{Op: "receipt", Method: http.MethodGet, Path: "/v1/orders/" + o, Event: history.Event{Order: o}})
		// At local an order may be lost with the job it was over; what it was answered
		// is the judge's to say.
		lost := got.Class == "not-found" && l.rig.Forgets()
		if lost || got.Type == history.OK && got.Doc.Stage == "quiesced" {
			l.mu.Lock()
			delete(l.open, o)
			l.mu.Unlock()
		}
	}
}

// order does one of the larger things an admin can do, and undoes it.
func (l *Load) order(ctx context.Context, p *person) {
	switch p.draw(10) {
	case 0, 1:
		l.KillAll(ctx, true)
	case 2, 3, 4:
		l.KillAll(ctx, false)
	case 5, 6:
		l.KillOwner(ctx)
	case 7:
		l.selectBatch(ctx, p)
	case 8:
		l.Freeze(ctx)
		l.Thaw(ctx)
	case 9:
		l.block(ctx, p)
	}
}

// KillAll kills the fleet, and thaws it after a while if it was frozen.
func (l *Load) KillAll(ctx context.Context, freeze bool) rig.Answer {
	got := l.insist(ctx, l.admin, l.killAll(freeze))
	l.watch(got)
	if freeze {
		l.Thaw(ctx)
	}
	return got
}

func (l *Load) killAll(freeze bool) rig.Ask {
	return post(l.admin, "kill-all", "/v1/kill-all", history.Event{}, object{"scope": "fleet", "confirm": rig.Name, "freeze": freeze})
}

// KillOwner kills all of one owner's.
func (l *Load) KillOwner(ctx context.Context) rig.Answer {
	o := l.all[l.admin.draw(len(l.all))].owner
	got := l.insist(ctx, l.admin, post(l.admin, "kill-all", "/v1/kill-all", history.Event{Owner: o},
		object{"scope": "owner", "owner": o, "confirm": rig.Name}))
	l.watch(got)
	return got
}

// adopt says that what Redis has is the truth, when somebody has seen more.
func (l *Load) adopt(ctx context.Context, p *person) {
	fleet := p.Do(ctx, rig.Ask{Op: "fleet", Method: http.MethodGet, Path: "/v1/fleet"})
	lost := len(fleet.Doc.Losses) > 0 || slices.ContainsFunc(fleet.Doc.Workers, rig.Worker.Waits)
	if fleet.Type == history.OK && lost {
		l.insist(ctx, p, post(p, "adopt", "/v1/fleet/adopt", history.Event{}, object{}))
	}
}

// Freeze closes the gate and kills nothing.
func (l *Load) Freeze(ctx context.Context) rig.Answer {
	return l.insist(ctx, l.admin, post(l.admin, "freeze", "/v1/fleet/freeze", history.Event{}, object{}))
}

// Thaw waits a little and opens the gate, if it is still the one that was seen.
// Now and then it lets a packet come late: one that saw an older gate.
func (l *Load) Thaw(ctx context.Context) {
	p := l.admin
	pause(ctx, time.Duration(200+p.draw(800))*time.Millisecond)
	for range 50 {
		fleet := p.Do(ctx, rig.Ask{Op: "fleet", Method: http.MethodGet, Path: "/v1/fleet"})
		if fleet.Type == history.OK {
			if !fleet.Doc.Gate.Frozen {
				return
			}
			ask := post(p, "thaw", "/v1/fleet/thaw", history.Event{}, object{})
			ask.Body.(object)["seen"] = fleet.Doc.Gate.Head //nolint:forcetypeassert // made by post
			if got := l.insist(ctx, p, ask); got.Type == history.OK {
				return
			}
		}
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

func (l *Load) selectBatch(ctx context.Context, p *person) {
	sel := object{"labels": object{"batch": string(rune('a' + p.draw(5)))}}
	pre := l.insist(ctx, p, rig.Ask{Op: "preview", Method: http.MethodPost, Path: "/v1/orders/preview", Body: object{"scope": "selector", "selector": sel}})
	if pre.Type != history.OK {
		return
	}
	l.watch(l.insist(ctx, p, post(p, "issue", "/v1/orders", history.Event{}, object{"scope": "selector", "selector": sel, "token": pre.Doc.Token})))
}

func (l *Load) block(ctx context.Context, p *person) {
	o := l.all[p.draw(len(l.all))].owner
	got := l.insist(ctx, p, post(p, "block", "/v1/blocks", history.Event{Owner: o}, object{"on": "owner", "value": o}))
	if got.Type == history.OK {
		l.mu.Lock()
		l.blocks[got.Doc.ID] = true
		l.mu.Unlock()
	}
	pause(ctx, time.Duration(200+p.draw(800))*time.Millisecond)
	l.lift(ctx, p)
}

// lift ends every standing order.
func (l *Load) lift(ctx context.Context, p *person) bool {
	l.mu.Lock()
	blocks := make([]string, 0, len(l.blocks))
	for id := range l.blocks {
		blocks = append(blocks, id)
	}
	l.mu.Unlock()
	for _, id := range blocks {
		list := p.Do(ctx, rig.Ask{Op: "blocks", Method: http.MethodGet, Path: "/v1/blocks"})
		if list.Type != history.OK {
			return false
		}
		ask := post(p, "lift", "/v1/blocks/"+id+"/lift", history.Event{Order: id}, object{})
		ask.Body.(object)["seen"] = list.Doc.Head //nolint:forcetypeassert // made by post
		if got := l.insist(ctx, p, ask); got.Type != history.OK {
			return false
		}
		l.mu.Lock()
		delete(l.blocks, id)
		l.mu.Unlock()
	}
	return true
}

// Storm kills many jobs at once, an owner and the fleet among them, and says how
// many orders were accepted.
func (l *Load) Storm(ctx context.Context, n int) int {
	var wg sync.WaitGroup
	got := make([]rig.Answer, n)
	for i := range n {
		wg.Go(func() {
			switch p := l.all[i%len(l.all)]; i {
			case 5:
				got[i] = l.KillOwner(ctx)
			case 10:
				got[i] = l.KillAll(ctx, true)
			default:
				if j, ok := l.some(p, p.owner); ok {
					got[i] = l.kill(ctx, p, j)
				}
			}
		})
	}
	wg.Wait()
	took := 0
	for _, a := range got {
		if a.Type == history.OK {
			took++
		}
	}
	return took
}

// Mid asks for something on one dispatcher and returns before it is answered;
// the result comes later. It is for faults that strike in the middle of an act.
func (l *Load) Mid(ctx context.Context, kill bool, dispatcher int) <-chan rig.Answer {
	p := l.all[l.admin.draw(len(l.all))]
	var ask rig.Ask
	who := p
	if kill {
		ask, who = l.killAll(false), l.admin
	} else {
		ask = l.submission(p)
	}
	out := make(chan rig.Answer, 1)
	l.wg.Go(func() {
		first := ask
		first.At = dispatcher
		got := who.Do(ctx, first)
		out <- got
		if got.Type != history.OK {
			got = l.insist(ctx, who, ask)
		}
		if kill {
			l.watch(got)
			return
		}
		l.settle(p, ask, got)
	})
	return out
}

// KillHeldBy kills the jobs that a worker holds, and says how many orders were
// accepted.
func (l *Load) KillHeldBy(ctx context.Context, worker string) int {
	ids := l.rig.Redis.HeldBy(ctx, rig.Name, l.rig.Partitions, worker)
	return l.Kill(ctx, slices.Collect(maps.Keys(ids)))
}

// Kill kills some jobs, one by one, and says how many orders were accepted.
func (l *Load) Kill(ctx context.Context, ids []string) int {
	took := 0
	for _, id := range ids {
		slot := fmt.Sprintf("{%s:%d}:", rig.Name, partition(id))
		owner := l.rig.Redis.Admin.HGet(ctx, slot+"job:"+id, "owner").Val()
		if got := l.kill(ctx, l.admin, known{id: id, owner: owner}); got.Type == history.OK {
			took++
		}
	}
	return took
}

// partition is in the last byte of an id.
func partition(id string) int {
	n, _ := strconv.ParseUint(id[max(0, len(id)-2):], 16, 8)
	return int(n)
}
