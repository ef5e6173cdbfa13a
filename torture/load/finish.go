package load

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

// Finish brings a healed fleet to its end: every submit that was not answered
// is asked again, the gate is opened, blocks are lifted, and what has not ended
// by itself is killed. It says what would not end.
func (l *Load) Finish(ctx context.Context) error {
	l.wg.Wait()
	for _, step := range []struct {
		name string
		done func(context.Context) bool
	}{
		{"nobody has seen more than Redis has", l.agreed},
		{"submits are answered", l.redeem},
		{"the gate is open", l.opened},
		{"blocks are lifted", func(ctx context.Context) bool { return l.lift(ctx, l.admin) }},
		{"jobs end by themselves", l.ended},
		{"parked jobs are killed", l.killRest},
		{"every order is quiesced", l.quiesced},
	} {
		if !l.until(ctx, step.done) {
			return fmt.Errorf("it did not come to pass that %s", step.name)
		}
	}
	return nil
}

// until repeats a step until it is done; false when it never is.
func (l *Load) until(ctx context.Context, done func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, l.Patience)
	defer cancel()
	for !done(ctx) {
		if !pause(ctx, 200*time.Millisecond) {
			return false
		}
	}
	return true
}

// agreed adopts until every dispatcher says that nothing is lost.
func (l *Load) agreed(ctx context.Context) bool {
	for i := range l.rig.Dispatchers {
		l.adopt(ctx, l.admin)
		fleet := l.admin.Do(ctx, rig.Ask{Op: "fleet", Method: http.MethodGet, Path: "/v1/fleet", At: i + 1})
		if fleet.Type != history.OK || len(fleet.Doc.Losses) > 0 || slices.ContainsFunc(fleet.Doc.Workers, rig.Worker.Waits) {
			return false
		}
	}
	return true
}

func (l *Load) redeem(ctx context.Context) bool {
	l.mu.Lock()
	open := l.pledge
	l.pledge = nil
	l.mu.Unlock()
	for _, o := range open {
		l.settle(o.p, o.ask, o.p.Do(ctx, o.ask))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pledge) == 0
}

func (l *Load) opened(ctx context.Context) bool {
	l.Thaw(ctx)
	fleet := l.admin.Do(ctx, rig.Ask{Op: "fleet", Method: http.MethodGet, Path: "/v1/fleet"})
	return fleet.Type == history.OK && !fleet.Doc.Gate.Frozen
}

// live are the jobs that are not over, and how many of them wait for a person.
func (l *Load) live(ctx context.Context) (ids []known, parked int, ok bool) {
	for p := range l.rig.Partitions {
		slot := fmt.Sprintf("{%s:%d}:", rig.Name, p)
		all, err := l.rig.Redis.Admin.ZRange(ctx, slot+"live", 0, -1).Result()
		if err != nil {
			return nil, 0, false
		}
		for _, id := range all {
			v := l.rig.Redis.Admin.HMGet(ctx, slot+"job:"+id, "state", "owner").Val()
			if len(v) == 2 && v[0] == "parked" {
				parked++
			}
			ids = append(ids, known{id: id, owner: fmt.Sprint(append(v, "")[min(1, len(v))])})
		}
	}
	return ids, parked, true
}

func (l *Load) ended(ctx context.Context) bool {
	ids, parked, ok := l.live(ctx)
	return ok && len(ids) == parked
}

func (l *Load) killRest(ctx context.Context) bool {
	ids, _, ok := l.live(ctx)
	for _, j := range ids {
		l.kill(ctx, l.admin, j)
	}
	return ok && len(ids) == 0
}

func (l *Load) quiesced(ctx context.Context) bool {
	l.look(ctx, l.admin)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open) == 0
}
