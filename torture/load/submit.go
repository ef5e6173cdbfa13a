package load

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

// pledge is a submit that was not answered for good.
type pledge struct {
	p   *person
	ask rig.Ask
}

type object = map[string]any

// submit submits one job, and insists.
func (l *Load) submit(ctx context.Context, p *person) {
	ask := l.submission(p)
	got := l.insist(ctx, p, ask)
	l.settle(p, ask, got)
}

func (l *Load) settle(p *person, ask rig.Ask, got rig.Answer) {
	switch {
	case got.Type == history.OK:
		l.accepted(got.Doc.ID, p.owner)
	case got.Type == history.Info || passing(got.Class):
		l.mu.Lock()
		l.pledge = append(l.pledge, pledge{p, ask})
		l.mu.Unlock()
	}
}

func (l *Load) submission(p *person) rig.Ask {
	key := p.next()
	cost, input := l.input(p)
	budget := 1_000_000
	if p.draw(20) == 0 {
		budget = 2*cost + 1 // reached early
	}
	return rig.Ask{
		Op: "submit", Method: http.MethodPost, Path: "/v1/jobs", Key: key, Event: history.Event{Owner: p.owner},
		Body: object{
			"kind": "canary", "input": input, "budget_micro_usd": budget, "max_attempts": 4,
			"labels": object{"submit": key, "batch": string(rune('a' + p.draw(5)))},
		},
	}
}

// input is what a job does: short and long ones, with calls that are answered at
// once or kept, and now and then one that fails, parks, or turns a deaf ear.
func (l *Load) input(p *person) (cost int, in object) {
	keep := 0
	if p.draw(4) == 0 {
		keep = 300 + p.draw(2500)
	}
	cost = 1 + p.draw(500)
	in = object{
		"steps": 1 + p.draw(8), "step_ms": 10 + p.draw(250), "calls_per_step": 1 + p.draw(2), "call_micro_usd": cost,
		"call_url": l.rig.Witness.URL(time.Duration(keep) * time.Millisecond), "checkpoint": p.draw(4) > 0, "events": true,
	}
	if keep > 0 { // it takes its time without more steps
		in["steps"] = 1 + p.draw(3)
	}
	if p.draw(3) == 0 { // long and chatty: what is caught in the middle of something
		in["steps"], in["step_ms"], in["call_url"] = 40+p.draw(80), 1+p.draw(20), l.rig.Witness.URL(0)
	}
	switch p.draw(24) {
	case 0:
		in["fail"], in["fail_times"] = "retryable", 1+p.draw(2)
	case 1:
		in["fail"] = "permanent"
	case 2:
		in["fail"], in["fail_times"] = "panic", 1
	case 3:
		in["park_at"] = 1
	case 4:
		in["deaf_ms"] = 200 + p.draw(1200)
	}
	return cost, in
}

// Crowd has one owner submit the same thing many times at once, and another
// thing under the same key. It says how many answers named one job.
func (l *Load) Crowd(ctx context.Context, n int) int {
	p := l.all[l.admin.draw(len(l.all))]
	ask, other := l.submission(p), l.submission(p)
	other.Key, other.Event.Class = ask.Key, "other-body"
	var wg sync.WaitGroup
	answers := make([]rig.Answer, n)
	for i := range n {
		wg.Go(func() {
			a := ask
			if i%5 == 4 {
				a = other
			}
			answers[i] = p.Do(ctx, a)
		})
	}
	wg.Wait()
	same, id := 0, ""
	for _, a := range answers {
		if a.Type == history.OK {
			same, id = same+1, a.Doc.ID
		}
	}
	if id == "" {
		l.settle(p, ask, l.insist(ctx, p, ask))
		return 0
	}
	l.accepted(id, p.owner)
	return same
}
