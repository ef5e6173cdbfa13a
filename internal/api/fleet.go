package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type freezeBody struct {
	Reason   string `json:"reason" required:"true" maxLength:"1024"`
	Incident string `json:"incident,omitempty" maxLength:"128"`
}

type thawBody struct {
	Seen   string `json:"seen" required:"true" doc:"The gate's head as you last saw it: a gate that changed since is not opened"`
	Reason string `json:"reason" required:"true" maxLength:"1024"`
	// A rate is a number in JSON; it is kept as text and as whole microseconds.
	Rate float64 `json:"rate_per_second,omitempty" minimum:"0.001" maximum:"100000" doc:"How many jobs of the whole fleet may start in a second, each partition its share; on an open gate it sets the rate, and a thaw without it lifts it"`
	For  int64   `json:"for_seconds,omitempty" minimum:"1" maximum:"2592000" doc:"How long the rate holds; without it until the next thaw"`
}

type adoptBody struct {
	Reason string `json:"reason" required:"true" maxLength:"1024"`
}

// maxSeen bounds what a thaw says it saw: 256 partitions' heads.
const maxSeen = 256 * 64

func (d *Door) mountFleet(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "fleet", Method: http.MethodGet, Path: "/v1/fleet", Summary: "See the whole fleet", Description: "For operators and admins.",
	}, d.fleet)
	route(d, h, huma.Operation{
		OperationID: "freeze", Method: http.MethodPost, Path: "/v1/fleet/freeze", Summary: "Close the gate",
		Description: "For operators and admins. While frozen nothing is admitted and nothing starts; what runs goes on. " +
			"202 when partitions that cannot be reached did not take it: send it again.",
		RequestBody: takes[freezeBody](h),
	}, d.freeze)
	route(d, h, huma.Operation{
		OperationID: "thaw", Method: http.MethodPost, Path: "/v1/fleet/thaw", Summary: "Open the gate",
		Description: "For admins. 409 gate-changed if it changed since you looked; 202 when partitions that could not be seen or reached stay as they are.",
		RequestBody: takes[thawBody](h),
	}, d.thaw)
	route(d, h, huma.Operation{
		OperationID: "adopt", Method: http.MethodPost, Path: "/v1/fleet/adopt", Summary: "Take what Redis has now for the truth",
		Description: "For admins, after a restore or another loss of data. Every process that had frozen itself goes on; the gate stays frozen if it is.",
		RequestBody: takes[adoptBody](h),
	}, d.adopt)
	d.mountLog(h)
}

func (d *Door) fleet(ctx context.Context, _ *struct{}) (*answer[fleetView], error) {
	if _, err := access.Authorize(from(ctx).actor, access.ReadFleet, access.WholeFleet()); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	f, err := d.cfg.Fleet.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return &answer[fleetView]{viewFleet(f)}, nil
}

// overFleet authorises an act on the whole fleet, and audits its denial.
func (d *Door) overFleet(ctx context.Context, act access.Act, reason, incident string) (access.Permit, error) {
	p, err := access.Authorize(from(ctx).actor, act, access.WholeFleet())
	if err != nil {
		return p, d.denied(ctx, err, job.AuditEntry{Act: string(act), Fields: map[string]string{
			"scope": string(job.ScopeFleet), "reason": reason, "incident": incident,
		}})
	}
	return p, nil
}

// gateAnswer is the gate behind an act: 202 while partitions lack it.
type gateAnswer struct {
	Status int
	Body   gateView
}

func answerGate(g job.Gate) *gateAnswer {
	if len(g.Missing) > 0 {
		return &gateAnswer{http.StatusAccepted, viewGate(g)}
	}
	return &gateAnswer{http.StatusOK, viewGate(g)}
}

func (d *Door) freeze(ctx context.Context, _ *keyAllowed) (*gateAnswer, error) {
	body, err := decode[freezeBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := checkWhy(body.Reason, body.Incident); err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overFleet(deed, access.Freeze, body.Reason, body.Incident)
	if err != nil {
		return nil, err
	}
	g, err := d.cfg.Gate.Freeze(deed, permit, body.Reason, body.Incident, from(ctx).key)
	if err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	d.tell(ctx).Warn("freeze", zap.String("actor", permit.Actor().Subject),
		zap.String("reason", body.Reason), zap.String("incident", body.Incident), zap.Strings("heads", g.Heads), zap.Ints("missing", g.Missing))
	return answerGate(g), nil
}

func (d *Door) thaw(ctx context.Context, _ *keyAllowed) (*gateAnswer, error) {
	body, err := decode[thawBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := checkWhy(body.Reason, ""); err != nil {
		return nil, err
	}
	if err := job.CheckText("seen", body.Seen, maxSeen); err != nil {
		return nil, err
	}
	how := job.Thawing{Seen: body.Seen, Reason: body.Reason, Rate: body.Rate, For: time.Duration(body.For) * time.Second}
	if err := how.Check(); err != nil {
		return nil, invalid(err.Error())
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overFleet(deed, access.Thaw, body.Reason, "")
	if err != nil {
		return nil, err
	}
	g, err := d.cfg.Gate.Thaw(deed, permit, how, from(ctx).key)
	if err != nil {
		return nil, fmt.Errorf("thaw: %w", err)
	}
	d.tell(ctx).Warn("thaw", zap.String("actor", permit.Actor().Subject),
		zap.String("reason", body.Reason), zap.Strings("heads", g.Heads), zap.Ints("missing", g.Missing), zap.Float64("rate", body.Rate), zap.Duration("for", how.For))
	return answerGate(g), nil
}

func (d *Door) adopt(ctx context.Context, _ *keyAllowed) (*answer[gateView], error) {
	body, err := decode[adoptBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := checkWhy(body.Reason, ""); err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overFleet(deed, access.Adopt, body.Reason, "")
	if err != nil {
		return nil, err
	}
	g, err := d.cfg.Gate.Adopt(deed, permit, body.Reason, from(ctx).key)
	if err != nil {
		return nil, fmt.Errorf("adopt: %w", err)
	}
	d.tell(ctx).Warn("adopt", zap.String("actor", permit.Actor().Subject),
		zap.String("reason", body.Reason), zap.Strings("heads", g.Heads))
	return &answer[gateView]{viewGate(g)}, nil
}

// trusted refuses to admit what the gate could not be asked about.
func (d *Door) trusted() error {
	if lost := d.cfg.Gate.Losses(); len(lost) > 0 {
		return &job.AuthorityLost{Losses: lost}
	}
	return nil
}
