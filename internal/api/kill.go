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
	"github.com/rtfm-si/gavel/internal/telemetry"
)

const (
	// deedTimeout bounds a control act; it goes on when its caller leaves.
	deedTimeout = 5 * time.Second
	maxWait     = 30 // seconds
)

type killBody struct {
	Reason   string `json:"reason" required:"true" maxLength:"1024" doc:"Why; kept in the receipt, the job and the audit"`
	Incident string `json:"incident,omitempty" maxLength:"128"`
	Wait     int64  `json:"wait_seconds,omitempty" minimum:"0" maximum:"30" doc:"Wait this long for the job to be over"`

	AllowResume bool `json:"allow_resume,omitempty" doc:"The owner may go on from a checkpoint of what this kills, though it comes from above; otherwise only an admin may"`
}

type killAllBody struct {
	Scope    string `json:"scope" required:"true" enum:"fleet,owner"`
	Owner    string `json:"owner,omitempty" doc:"For the scope owner"`
	Reason   string `json:"reason" required:"true" maxLength:"1024"`
	Incident string `json:"incident,omitempty" maxLength:"128"`
	Freeze   *bool  `json:"freeze,omitempty" doc:"Close the gate in the same step; true if left out for the fleet, false for an owner"`
	Confirm  string `json:"confirm" required:"true" doc:"The fleet's name, to show that this one is meant"`
	Wait     int64  `json:"wait_seconds,omitempty" minimum:"0" maximum:"30" doc:"Wait this long for the order to be quiesced"`

	AllowResume bool `json:"allow_resume,omitempty" doc:"The owner may go on from a checkpoint of what this kills, though it comes from above; otherwise only an admin may"`
}

type killInput struct {
	ID  string `path:"id" doc:"The job's id"`
	Key string `header:"Idempotency-Key" doc:"The same key gives the same answer"`
}

func (d *Door) mountKill(h huma.API) {
	const codes = "200 when nobody holds authority any more (quiesced), 202 while somebody does."
	route(d, h, huma.Operation{
		OperationID: "kill", Method: http.MethodPost, Path: "/v1/jobs/{id}/kill", Summary: "Kill a job",
		Description: "For its owner, operators and admins. " + codes + " Killing a job that is over is no error: the verdict says so.",
		RequestBody: takes[killBody](h),
	}, d.kill)
	route(d, h, huma.Operation{
		OperationID: "kill-all", Method: http.MethodPost, Path: "/v1/kill-all", Summary: "Kill all jobs of the fleet or of one owner",
		Description: "For admins. " + codes, RequestBody: takes[killAllBody](h),
	}, d.killAll)
}

func (d *Door) kill(ctx context.Context, in *killInput) (*receipted, error) {
	requested := d.cfg.Now()
	body, err := decode[killBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := checkWhy(body.Reason, body.Incident); err != nil {
		return nil, err
	}
	if err := checkWait(body.Wait); err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.mayKill(deed, in.ID, body)
	if err != nil {
		return nil, err
	}
	o := job.Order{Scope: permit.Scope(), Actor: permit.Actor().Subject, Reason: body.Reason, Incident: body.Incident, AllowResume: body.AllowResume, RequestedAt: requested}
	r, err := ordered(deed, permit, o, d.cfg.Orders.Kill)
	if err != nil {
		return nil, fmt.Errorf("kill: %w", err)
	}
	d.tell(ctx).Info("kill", zap.String("job", in.ID), zap.String("order", string(r.Order.ID)),
		zap.Time("at", requested), zap.String("actor", o.Actor), zap.String("reason", o.Reason), zap.String("verdict", string(r.Verdict)))
	return d.ofJob(ctx, permit, r, body.Wait), nil
}

// ordered has an order recorded, under the caller's key. What it stops can find the
// span of that, and with it who asked.
func ordered(
	deed context.Context, p access.Permit, o job.Order, record func(context.Context, access.Permit, job.Order, string) (job.Receipt, error),
) (job.Receipt, error) {
	deed, over := telemetry.Begin(deed, "order")
	o.Trace = telemetry.Traceparent(deed)
	telemetry.Note(deed, "gavel.scope", string(o.Scope.Kind))
	r, err := record(deed, p, o, from(deed).key)
	telemetry.Note(deed, "gavel.order", string(r.Order.ID))
	over(err)
	return r, err
}

// mayKill returns the permit to kill one job. An owner's job is not read first:
// the script looks at its owner again, and audits what it refuses. What no
// script will see is audited here.
func (d *Door) mayKill(ctx context.Context, raw string, body killBody) (access.Permit, error) {
	actor := from(ctx).actor
	entry := job.AuditEntry{Act: string(access.Kill), Fields: map[string]string{
		"scope": string(job.ScopeJob), "subject": safe(raw), "reason": body.Reason, "incident": body.Incident,
	}}
	id, err := d.parse(raw)
	if err != nil {
		return access.Permit{}, d.note(ctx, access.RuleUnknown, entry, job.ErrUnknown)
	}
	target := access.OneJob(id)
	if actor.Has(access.Service) && !actor.Has(access.Operator) && !actor.Has(access.Admin) {
		j, err := d.cfg.Jobs.Job(ctx, id)
		switch {
		case errors.Is(err, job.ErrUnknown):
			return access.Permit{}, d.note(ctx, access.RuleUnknown, entry, job.ErrUnknown)
		case err != nil:
			return access.Permit{}, fmt.Errorf("kill: read the job: %w", err)
		}
		target = access.Record(j)
	}
	permit, err := access.Authorize(actor, access.Kill, target)
	if err == nil {
		return permit, nil
	}
	var denied *access.Denied
	if !errors.As(err, &denied) {
		return access.Permit{}, fmt.Errorf("kill: %w", err)
	}
	return access.Permit{}, d.note(ctx, denied.Rule, entry, job.ErrUnknown)
}

func (d *Door) killAll(ctx context.Context, _ *keyAllowed) (*receipted, error) {
	requested := d.cfg.Now()
	body, err := decode[killAllBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	target, err := body.target()
	if err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := access.Authorize(from(ctx).actor, body.act(), target)
	if err != nil {
		return nil, d.denied(deed, err, job.AuditEntry{Act: string(body.act()), Fields: map[string]string{
			"scope": string(target.Scope.Kind), "subject": body.Owner, "reason": body.Reason, "incident": body.Incident,
		}})
	}
	if body.Confirm != d.cfg.Name {
		return nil, problem(http.StatusUnprocessableEntity, typeConfirm, "The confirmation does not match",
			"confirm must be the name of the fleet, to show that this one is meant; nothing was killed.")
	}
	o := job.Order{
		Scope: permit.Scope(), Actor: permit.Actor().Subject, Reason: body.Reason, Incident: body.Incident,
		Freeze: body.freeze(), AllowResume: body.AllowResume, RequestedAt: requested, Check: "confirm",
	}
	r, err := ordered(deed, permit, o, d.cfg.Orders.KillAll)
	if err != nil {
		return nil, fmt.Errorf("kill all: %w", err)
	}
	d.tell(ctx).Warn("kill-all", zap.String("order", string(r.Order.ID)),
		zap.Time("at", requested), zap.String("actor", o.Actor), zap.String("reason", o.Reason), zap.String("incident", o.Incident),
		zap.String("scope", body.Scope), zap.String("owner", body.Owner), zap.Bool("freeze", o.Freeze),
		zap.Int64("targeted", r.Tally.Targeted), zap.Int64("waiting", r.Tally.Waiting))
	return receiptOf(await(ctx, r, body.Wait, d.cfg.Orders.Receipt)), nil
}

func (b killAllBody) target() (access.Target, error) {
	if err := checkWhy(b.Reason, b.Incident); err != nil {
		return access.Target{}, err
	}
	if err := checkWait(b.Wait); err != nil {
		return access.Target{}, err
	}
	switch {
	case b.Scope == string(job.ScopeFleet) && b.Owner != "":
		return access.Target{}, invalid("The scope fleet takes no owner; say scope owner for one owner's jobs.")
	case b.Scope == string(job.ScopeFleet):
		return access.WholeFleet(), nil
	case b.Scope == string(job.ScopeOwner):
		if err := job.CheckName("owner", b.Owner, job.MaxName); err != nil {
			return access.Target{}, err
		}
		return access.JobsOf(b.Owner), nil
	default:
		return access.Target{}, invalid("scope must be fleet or owner.")
	}
}

func (b killAllBody) act() access.Act {
	if b.Scope == string(job.ScopeOwner) {
		return access.KillOwner
	}
	return access.KillFleet
}

func (b killAllBody) freeze() bool {
	if b.Freeze != nil {
		return *b.Freeze
	}
	return b.Scope == string(job.ScopeFleet)
}

// deed is the context of a control act.
func deed(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), deedTimeout)
}

func checkWhy(reason, incident string) error {
	if err := job.CheckText("reason", reason, job.MaxReason); err != nil {
		return err
	}
	if incident == "" {
		return nil
	}
	return job.CheckText("incident", incident, job.MaxIncident)
}

func checkWait(seconds int64) error {
	if seconds < 0 || seconds > maxWait {
		return invalid(fmt.Sprintf("wait_seconds is %d; want 0 to %d.", seconds, maxWait))
	}
	return nil
}

// denied writes down a refusal of the rule, and gives it back as the answer.
func (d *Door) denied(ctx context.Context, err error, e job.AuditEntry) error {
	var denied *access.Denied
	if !errors.As(err, &denied) {
		return fmt.Errorf("authorise: %w", err)
	}
	return d.note(ctx, denied.Rule, e, err)
}

// note writes a refused act into the audit and returns the answer to give. An
// act that leaves no trace is not answered.
func (d *Door) note(ctx context.Context, rule string, e job.AuditEntry, answer error) error {
	actor := from(ctx).actor
	e.Decision, e.Rule, e.Who = "denied", rule, actor.Who()
	ctx, cancel := deed(ctx)
	defer cancel()
	if err := d.cfg.Audit.Deny(ctx, e); err != nil {
		return fmt.Errorf("write a denied act into the audit: %w", err)
	}
	d.tell(ctx).Warn("denied", zap.String("act", e.Act), zap.String("rule", rule),
		zap.String("actor", actor.Subject), zap.String("subject", e.Fields["subject"]))
	return answer
}

// safe is a caller's word as far as it is fit to be stored.
func safe(s string) string {
	if job.CheckName("subject", s, job.MaxName) != nil {
		return "malformed"
	}
	return s
}
