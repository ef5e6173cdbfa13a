package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type drillBody struct {
	Reason   string        `json:"reason" required:"true" maxLength:"1024"`
	Incident string        `json:"incident,omitempty" maxLength:"128"`
	Workers  int           `json:"workers" required:"true" minimum:"1" doc:"How many workers there were to be drilled"`
	Canaries []drilledBody `json:"canaries" required:"true" doc:"1 to 1000"`
}

type drilledBody struct {
	Scope   string `json:"scope" required:"true" enum:"job,selector" doc:"By what order it was killed"`
	Worker  string `json:"worker" required:"true"`
	Stopped bool   `json:"stopped" required:"true" doc:"Its worker confirmed"`
	Took    int64  `json:"took_us" doc:"Microseconds from the request of the kill until the one who drilled was told"`
}

type drillView struct {
	Passed   bool           `json:"passed" doc:"Every canary stopped"`
	Canaries int            `json:"canaries"`
	Stopped  int            `json:"stopped"`
	Workers  int            `json:"workers"`
	Reached  int            `json:"reached" doc:"Workers that had a canary"`
	Slowest  string         `json:"slowest_worker,omitempty"`
	Scopes   []measuredView `json:"scopes"`
}

type measuredView struct {
	Scope   string `json:"scope"`
	Stopped int    `json:"stopped"`
	P50     int64  `json:"p50_us"`
	P99     int64  `json:"p99_us"`
	Max     int64  `json:"max_us"`
}

func (d *Door) mountDrills(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "drill", Method: http.MethodPost, Path: "/v1/drills", Summary: "Write down what a kill drill came to",
		Description: "For admins. It kills nothing: whoever drills has submitted canaries and killed them by orders. It goes to the audit and the metrics.",
		RequestBody: takes[drillBody](h),
	}, d.drill)
}

func (d *Door) drill(ctx context.Context, _ *keyAllowed) (*answer[drillView], error) {
	body, err := decode[drillBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := checkWhy(body.Reason, body.Incident); err != nil {
		return nil, err
	}
	dr := body.drill()
	if err := dr.Check(); errors.Is(err, job.ErrBadDrill) {
		return nil, invalid(err.Error() + ".")
	} else if err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overFleet(deed, access.Drill, body.Reason, body.Incident)
	if err != nil {
		return nil, err
	}
	if err := d.cfg.Drills.Drill(deed, permit, dr, from(ctx).key); err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	if d.cfg.Drilled != nil {
		d.cfg.Drilled(dr)
	}
	slowest := dr.Slowest()
	d.tell(ctx).Info("drill", zap.String("actor", permit.Actor().Subject), zap.String("reason", body.Reason),
		zap.Bool("passed", dr.Passed()), zap.Int("canaries", len(dr.Canaries)), zap.Int("stopped", dr.Stopped()),
		zap.String("slowest", slowest.Worker), zap.Duration("took", slowest.Took))
	return &answer[drillView]{viewDrill(dr)}, nil
}

func (b drillBody) drill() job.Drill {
	dr := job.Drill{Reason: b.Reason, Incident: b.Incident, Workers: b.Workers}
	for _, c := range b.Canaries {
		dr.Canaries = append(dr.Canaries, job.Drilled{
			Scope: job.ScopeKind(c.Scope), Worker: c.Worker, Stopped: c.Stopped, Took: time.Duration(min(max(c.Took, -1), 1e12)) * time.Microsecond,
		})
	}
	return dr
}

func viewDrill(dr job.Drill) drillView {
	v := drillView{
		Passed: dr.Passed(), Canaries: len(dr.Canaries), Stopped: dr.Stopped(), Workers: dr.Workers, Reached: dr.Reached(),
		Slowest: dr.Slowest().Worker, Scopes: []measuredView{},
	}
	for _, scope := range []job.ScopeKind{job.ScopeJob, job.ScopeSelector} {
		if took := dr.Took(scope); len(took) > 0 {
			us := func(p int) int64 { return job.Percentile(took, p).Microseconds() }
			v.Scopes = append(v.Scopes, measuredView{string(scope), len(took), us(50), us(99), us(100)})
		}
	}
	return v
}
