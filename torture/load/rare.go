package load

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

// Provoke has somebody do what makes a process call a script, and returns at once;
// whoever does it insists. What is called anyway needs nobody.
func (l *Load) Provoke(ctx context.Context, script string) {
	if act := l.provocations()[script]; act != nil {
		l.wg.Go(func() { act(ctx) })
	}
}

func (l *Load) provocations() map[string]func(context.Context) {
	owner := func() *person { return l.all[l.admin.draw(len(l.all))] }
	by := func(act func(context.Context, *person)) func(context.Context) {
		return func(ctx context.Context) { act(ctx, owner()) }
	}
	admin := func(act func(context.Context, *person)) func(context.Context) {
		return func(ctx context.Context) { act(ctx, l.admin) }
	}
	kill := func(ctx context.Context) { l.KillOwner(ctx) }
	gate := func(ctx context.Context) { l.Freeze(ctx); l.Thaw(ctx) }
	return map[string]func(context.Context){
		"submit": by(l.submit), "order": by(l.killOne), "deny": by(l.killAnothers),
		"horizon": kill, "sweep": kill, "gate": gate,
		"select": admin(l.selectBatch), "preview": admin(l.selectBatch), "scan": admin(l.selectBatch),
		"block": admin(l.block), "lift": admin(l.block), "unbench": admin(l.block),
		"create_key": admin(l.key), "revoke_key": admin(l.key),
		"set_budget": by(l.few), "unhold": by(l.few),
		"drill": admin(l.drill), "adopt": admin(l.adoptAnyway),
		"answer": by(l.bringBack), "resume": by(l.bringBack),
		"park": by(func(ctx context.Context, p *person) { l.submitThat(ctx, p, object{"park_at": 1}) }),
		"retry": by(func(ctx context.Context, p *person) {
			l.submitThat(ctx, p, object{"fail": "retryable", "fail_times": 1})
		}),
	}
}

// submitThat submits a short job with something in its input.
func (l *Load) submitThat(ctx context.Context, p *person, more object) {
	ask := l.submission(p)
	in := object{"steps": 2, "step_ms": 10}
	for k, v := range more {
		in[k] = v
	}
	ask.Body.(object)["input"] = in //nolint:forcetypeassert // made by submission
	l.settle(p, ask, l.insist(ctx, p, ask))
}

// killAnothers tries to kill a job that is somebody else's.
func (l *Load) killAnothers(ctx context.Context, p *person) {
	for range 20 {
		if j, ok := l.some(p, ""); ok && j.owner != p.owner {
			l.kill(ctx, p, j)
			return
		}
	}
}

// bringBack answers one of an owner's jobs that has parked, or raises its budget.
func (l *Load) bringBack(ctx context.Context, p *person) {
	id, asks := l.rig.Redis.Parked(ctx, rig.Name, l.rig.Partitions, p.owner)
	if id == "" {
		return
	}
	ask := rig.Ask{
		Op: "resume", Method: http.MethodPost, Path: "/v1/jobs/" + id + "/resume", Key: p.next(),
		Event: history.Event{Job: id, Owner: p.owner}, Body: object{"budget_micro_usd": 1_000_000},
	}
	if asks && p.draw(4) > 0 {
		ask.Op, ask.Path, ask.Body = "answer", "/v1/jobs/"+id+"/answer", object{"answers": []string{"yes"}}
	}
	l.insist(ctx, p, ask)
}

// few lets few of an owner's jobs run at once, for a moment.
func (l *Load) few(ctx context.Context, p *person) {
	for _, most := range []int{1 + p.draw(2), math.MaxInt16} {
		l.limit(context.WithoutCancel(ctx), p.owner, most)
		pause(ctx, time.Duration(300+p.draw(500))*time.Millisecond)
	}
}

// limit sets an owner's limit until that is answered. It is no act that is known
// again by a key: each try sets it anew, and is an act of its own.
func (l *Load) limit(ctx context.Context, owner string, most int) {
	for range 50 {
		ask := post(l.admin, "budget", "/v1/budgets/owners/"+owner, history.Event{Owner: owner}, object{"max_running": most})
		ask.Method = http.MethodPut
		if l.admin.Do(ctx, ask).Type == history.OK || !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// key makes a key for somebody and revokes it.
func (l *Load) key(ctx context.Context, p *person) {
	got := l.insist(ctx, p, rig.Ask{
		Op: "key", Method: http.MethodPost, Path: "/v1/keys", Key: p.next(), Body: object{"subject": "somebody", "roles": []string{"operator"}},
	})
	var made struct{ Key struct{ ID string } }
	if got.Type == history.OK && json.Unmarshal(got.Result, &made) == nil {
		l.insist(ctx, p, post(p, "revoke", "/v1/keys/"+made.Key.ID+"/revoke", history.Event{}, object{}))
	}
}

// drill writes down what a drill came to that nobody held.
func (l *Load) drill(ctx context.Context, p *person) {
	l.insist(ctx, p, post(p, "drill", "/v1/drills", history.Event{}, object{
		"workers": 1, "canaries": []object{{"scope": "job", "worker": "w1-1", "stopped": true, "took_us": 1000}},
	}))
}

// adoptAnyway adopts gates of which nothing was lost.
func (l *Load) adoptAnyway(ctx context.Context, p *person) {
	l.insist(ctx, p, post(p, "adopt", "/v1/fleet/adopt", history.Event{}, object{}))
}
