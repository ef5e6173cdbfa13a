package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// previewGood is how long an order may be issued on the strength of a preview.
const previewGood = time.Minute

type selectorView struct {
	Owner     string            `json:"owner,omitempty"`
	Submitter string            `json:"submitter,omitempty" doc:"Who asked for the job: the owner, or a service on their behalf"`
	Kind      string            `json:"kind,omitempty"`
	Model     string            `json:"model,omitempty" doc:"One that the input names, or that a paid call of the job asked for"`
	Labels    map[string]string `json:"labels,omitempty" doc:"All of these"`
	MinAge    int64             `json:"min_age_seconds,omitempty" minimum:"0" maximum:"315360000" doc:"Accepted at least this long before the order was issued"`
	MinSpend  int64             `json:"min_spend_micro_usd,omitempty" minimum:"0" maximum:"1000000000000" doc:"Spent at least this much when the order meets it"`
}

func viewSelector(s job.Selector) *selectorView {
	return &selectorView{s.Owner, s.Submitter, s.Kind, s.Model, s.Labels, int64(s.MinAge / time.Second), int64(s.MinSpend)}
}

// selector is a selector as it was sent: it is decoded as strictly as a body,
// for a misspelt field would select more than was meant.
type selector object

// Schema is huma's question what it looks like.
func (selector) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(typeOf[selectorView](), true, "Selector")
}

// MarshalJSON writes it as it is.
func (s selector) MarshalJSON() ([]byte, error) { return object(s).MarshalJSON() }

// UnmarshalJSON keeps it as it is.
func (s *selector) UnmarshalJSON(raw []byte) error { return (*json.RawMessage)(s).UnmarshalJSON(raw) }

type previewBody struct {
	Scope    string   `json:"scope" required:"true" enum:"fleet,owner,selector"`
	Owner    string   `json:"owner,omitempty" doc:"For the scope owner"`
	Selector selector `json:"selector,omitempty" doc:"For the scope selector: what is given must all hold; an empty one is refused"`
}

type issueBody struct {
	Scope      string   `json:"scope" required:"true" enum:"fleet,owner,selector"`
	Owner      string   `json:"owner,omitempty" doc:"For the scope owner"`
	Selector   selector `json:"selector,omitempty" doc:"For the scope selector, as it was previewed"`
	Reason     string   `json:"reason" required:"true" maxLength:"1024"`
	Incident   string   `json:"incident,omitempty" maxLength:"128"`
	Freeze     *bool    `json:"freeze,omitempty" doc:"Close the gate in the same step; true if left out for the fleet, false for an owner, not for a selector"`
	Token      string   `json:"token,omitempty" doc:"Of a preview of the same scope, not older than a minute"`
	BreakGlass bool     `json:"break_glass,omitempty" doc:"Issue it without a preview; said loudly in the log and in the audit"`
	Wait       int64    `json:"wait_seconds,omitempty" minimum:"0" maximum:"30" doc:"Wait this long for the order to be quiesced"`

	AllowResume bool `json:"allow_resume,omitempty" doc:"The owner may go on from a checkpoint of what this kills, though it comes from above; otherwise only an admin may"`
}

type countView struct {
	Name      string       `json:"name"`
	Jobs      int64        `json:"jobs"`
	Spent     job.MicroUSD `json:"spent_micro_usd"`
	PerMinute job.MicroUSD `json:"micro_usd_per_minute" doc:"What the running ones of them have spent in a minute, each on the mean since it was accepted"`
}

type previewView struct {
	Scope         scopeView    `json:"scope"`
	Jobs          int64        `json:"jobs" doc:"Live jobs of the scope that are under no order yet"`
	Spent         job.MicroUSD `json:"spent_micro_usd" doc:"What they have spent so far"`
	PerMinute     job.MicroUSD `json:"micro_usd_per_minute" doc:"What the running ones spend in a minute"`
	Owners        int          `json:"owners"`
	ByOwner       []countView  `json:"by_owner" doc:"The 20 with the most jobs"`
	ByKind        []countView  `json:"by_kind"`
	ByState       []countView  `json:"by_state"`
	CoveredBefore int64        `json:"covered_before" doc:"Jobs of the scope that an order covers already"`
	Partial       bool         `json:"partial,omitempty" doc:"Too many jobs live to look at all of them: the counts are lower bounds"`
	Token         string       `json:"token" doc:"Issues an order of this scope, by this credential's subject only"`
	Expires       *time.Time   `json:"expires_at"`
}

func (d *Door) mountIssue(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "preview", Method: http.MethodPost, Path: "/v1/orders/preview", Summary: "See what an order would reach",
		Description: "For admins. It changes nothing, and gives the token that POST /v1/orders takes.", RequestBody: takes[previewBody](h),
	}, d.preview)
	route(d, h, huma.Operation{
		OperationID: "issue-order", Method: http.MethodPost, Path: "/v1/orders", Summary: "Kill the jobs of a scope that was previewed",
		Description: "For admins. 200 when nobody holds authority any more (quiesced), 202 while somebody does. 428 preview-required without a good token.",
		RequestBody: takes[issueBody](h),
	}, d.issue)
}

func (d *Door) preview(ctx context.Context, _ *struct{}) (*answer[previewView], error) {
	body, err := decode[previewBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	permit, err := d.overScope(ctx, body, "", "")
	if err != nil {
		return nil, err
	}
	p, err := d.cfg.Orders.Preview(ctx, permit)
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	expires := d.cfg.Now().Add(previewGood)
	word := strconv.FormatInt(expires.UnixMilli(), 10) + " " + strconv.FormatInt(p.Jobs, 10)
	return &answer[previewView]{previewView{
		Scope: viewScope(permit.Scope()), Jobs: p.Jobs, Spent: p.Spent, PerMinute: p.PerMinute, Owners: p.Owners, CoveredBefore: p.CoveredBefore, Partial: p.Partial,
		ByOwner: viewCounts(p.ByOwner), ByKind: viewCounts(p.ByKind), ByState: viewCounts(p.ByState),
		Token: d.seal(word, boundTo(permit)...), Expires: at(expires),
	}}, nil
}

func viewCounts(cs []job.Count) []countView {
	out := make([]countView, len(cs))
	for i, c := range cs {
		out[i] = countView(c)
	}
	return out
}

// boundTo is what a preview's token is good for: this scope, by this person.
func boundTo(p access.Permit) []string {
	s := p.Scope()
	bound := []string{"preview", p.Actor().Subject, string(s.Kind), s.Owner}
	if s.Selector != nil {
		bound = append(bound, s.Selector.String())
	}
	return bound
}

// overScope authorises an order over a scope, or its preview, and audits its
// denial.
func (d *Door) overScope(ctx context.Context, b previewBody, reason, incident string) (access.Permit, error) {
	target, act, err := b.target()
	if err != nil {
		return access.Permit{}, err
	}
	permit, err := access.Authorize(from(ctx).actor, act, target)
	if err == nil {
		return permit, nil
	}
	if errors.Is(err, job.ErrBadScope) {
		return permit, fmt.Errorf("authorise: %w", err)
	}
	subject := b.Owner
	if s := target.Scope.Selector; s != nil {
		subject = s.String()
	}
	return permit, d.denied(ctx, err, job.AuditEntry{Act: string(act), Fields: map[string]string{
		"scope": string(target.Scope.Kind), "subject": subject, "reason": reason, "incident": incident,
	}})
}

// target is what an order of this body would reach, and the act that it is.
func (b previewBody) target() (access.Target, access.Act, error) {
	bad := func(detail string) (access.Target, access.Act, error) { return access.Target{}, "", invalid(detail) }
	kind := job.ScopeKind(b.Scope)
	switch {
	case b.Owner != "" && kind != job.ScopeOwner:
		return bad("Only the scope owner takes an owner; a selector has its own.")
	case len(b.Selector) > 0 && kind != job.ScopeSelector:
		return bad("Only the scope selector takes a selector.")
	}
	switch kind {
	case job.ScopeFleet:
		return access.WholeFleet(), access.KillFleet, nil
	case job.ScopeOwner:
		return access.JobsOf(b.Owner), access.KillOwner, job.CheckName("owner", b.Owner, job.MaxName)
	case job.ScopeSelector:
		s, err := b.Selector.read()
		return access.Selected(s), access.KillSelector, err
	default:
		return bad("scope must be fleet, owner or selector; one job is killed at its own route.")
	}
}

func (s selector) read() (job.Selector, error) {
	if len(s) == 0 {
		return job.Selector{}, invalid("selector is missing; say what it selects by.")
	}
	v, err := decode[selectorView](s)
	if err != nil {
		var p *Problem
		if errors.As(err, &p) {
			return job.Selector{}, invalid("selector: " + p.Detail)
		}
		return job.Selector{}, err
	}
	if v.MinAge < 0 || v.MinAge > int64(job.MaxAge/time.Second) {
		return job.Selector{}, invalid(fmt.Sprintf("min_age_seconds is %d; want 0 to %d.", v.MinAge, int64(job.MaxAge/time.Second)))
	}
	out := job.Selector{Owner: v.Owner, Submitter: v.Submitter, Kind: v.Kind, Model: v.Model, Labels: v.Labels, MinAge: time.Duration(v.MinAge) * time.Second, MinSpend: job.MicroUSD(v.MinSpend)}
	if err := out.Check(); err != nil {
		return job.Selector{}, fmt.Errorf("selector: %w", err)
	}
	return out, nil
}

func (d *Door) issue(ctx context.Context, _ *keyAllowed) (*receipted, error) {
	requested := d.cfg.Now()
	body, err := decode[issueBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if err := body.check(); err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := d.overScope(deed, previewBody{body.Scope, body.Owner, body.Selector}, body.Reason, body.Incident)
	if err != nil {
		return nil, err
	}
	o := job.Order{
		Scope: permit.Scope(), Actor: permit.Actor().Subject, Reason: body.Reason, Incident: body.Incident,
		Freeze: body.freeze(), AllowResume: body.AllowResume, RequestedAt: requested, Check: "break-glass",
	}
	if !body.BreakGlass {
		if o.Expected, err = d.previewed(permit, body.Token); err != nil {
			return nil, err
		}
		o.Check = "preview"
	}
	r, err := ordered(deed, permit, o, d.cfg.Orders.KillAll)
	if err != nil {
		return nil, fmt.Errorf("issue the order: %w", err)
	}
	d.logOrder(ctx, o, r)
	return receiptOf(await(ctx, r, body.Wait, d.cfg.Orders.Receipt)), nil
}

func (d *Door) logOrder(ctx context.Context, o job.Order, r job.Receipt) {
	about := []zap.Field{
		zap.String("order", string(r.Order.ID)), zap.Time("at", o.RequestedAt),
		zap.String("actor", o.Actor), zap.String("reason", o.Reason), zap.String("incident", o.Incident),
		zap.String("scope", string(o.Scope.Kind)), zap.Bool("freeze", o.Freeze), zap.String("check", o.Check),
		zap.Int64("expected", o.Expected), zap.Int64("targeted", r.Tally.Targeted), zap.Int64("waiting", r.Tally.Waiting),
	}
	if o.Check == "break-glass" {
		d.tell(ctx).Warn("BREAK GLASS: an order was issued without a preview", about...)
	}
	d.tell(ctx).Warn("order", about...)
}

func (b issueBody) check() error {
	if err := checkWhy(b.Reason, b.Incident); err != nil {
		return err
	}
	if err := checkWait(b.Wait); err != nil {
		return err
	}
	switch {
	case b.Freeze != nil && *b.Freeze && b.Scope == string(job.ScopeSelector):
		return invalid("A selector order does not close the gate: block what keeps coming, or freeze the fleet.")
	case b.BreakGlass && b.Token != "":
		return invalid("Give the token of a preview, or break_glass, not both.")
	}
	return nil
}

func (b issueBody) freeze() bool {
	if b.Freeze != nil {
		return *b.Freeze
	}
	return b.Scope == string(job.ScopeFleet)
}

// previewed says how many jobs the preview counted that a token stands for.
func (d *Door) previewed(p access.Permit, token string) (int64, error) {
	required := func(detail string) error {
		return problem(http.StatusPreconditionRequired, typePreview, "A preview is required", detail+" Nothing was killed.")
	}
	if token == "" {
		return 0, required("Ask POST /v1/orders/preview with the same scope and send its token, or say break_glass.")
	}
	word, err := d.unseal(token, boundTo(p)...)
	if err != nil {
		return 0, required("The token was not given to you for this scope. Preview again.")
	}
	until, jobs, _ := strings.Cut(word, " ")
	ms, err := strconv.ParseInt(until, 10, 64)
	if err != nil || d.cfg.Now().UnixMilli() >= ms {
		return 0, required("The token has expired. Preview again: the fleet may look otherwise by now.")
	}
	n, err := strconv.ParseInt(jobs, 10, 64)
	if err != nil {
		return 0, required("The token is not whole. Preview again.")
	}
	return n, nil
}
