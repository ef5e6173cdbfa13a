package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type budgetBody struct {
	Cap     *int64 `json:"cap_micro_usd,omitempty" minimum:"0" maximum:"1000000000000000" doc:"The most that may be spent in a window; 0 permits nothing, and the default holds if left out"`
	Running *int64 `json:"max_running,omitempty" minimum:"0" maximum:"1000000" doc:"How many of an owner's jobs may run at once; the others wait, held. The default holds if left out, and the fleet has none"`
	Reason  string `json:"reason" required:"true" maxLength:"1024"`
}

type limitsView struct {
	Cap     *job.MicroUSD `json:"cap_micro_usd" nullable:"true" doc:"null is none"`
	Running *int          `json:"max_running" nullable:"true" doc:"null is none"`
}

type budgetView struct {
	Owner   string     `json:"owner,omitempty" doc:"Not there for the fleet"`
	Own     limitsView `json:"own" doc:"As they were set"`
	InForce limitsView `json:"in_force" doc:"What holds, defaults included"`
	Window  windowView `json:"window"`
	Running int        `json:"running" doc:"Jobs that hold a lease now"`
	Held    int        `json:"held" doc:"Jobs that wait behind the limit of those that may run"`
}

type budgetsView struct {
	Fleet  budgetView   `json:"fleet"`
	Owners []budgetView `json:"owners" doc:"Those who have limits of their own, by name; the others have the default"`
}

func viewBudget(b job.Budget) budgetView {
	return budgetView{b.Owner, limitsView(b.Own), limitsView(b.InForce), viewWindow(b.Window, 0), b.Running, b.Held}
}

type ownerInput struct {
	Owner string `path:"owner" doc:"Whose budget it is"`
}

type unsetInput struct {
	Reason string `query:"reason" required:"true" doc:"Why; it is in the audit"`
}

type unsetOwnerInput struct {
	Owner  string `path:"owner" doc:"Whose budget it is"`
	Reason string `query:"reason" required:"true" doc:"Why; it is in the audit"`
}

func (d *Door) mountBudgets(h huma.API) {
	const fleet, owner = "/v1/budgets/fleet", "/v1/budgets/owners/{owner}"
	route(d, h, huma.Operation{
		OperationID: "list-budgets", Method: http.MethodGet, Path: "/v1/budgets", Summary: "List the budgets of fleet and owners", Description: "For operators and admins.",
	}, d.budgets)
	route(d, h, huma.Operation{
		OperationID: "fleet-budget", Method: http.MethodGet, Path: fleet, Summary: "See the fleet's budget", Description: "For operators and admins.",
	}, d.fleetBudget)
	route(d, h, huma.Operation{
		OperationID: "set-fleet-budget", Method: http.MethodPut, Path: fleet, Summary: "Set what all owners together may spend in a window",
		Description: "For admins. It holds at once; with several partitions each has an equal share of it, within a second.", RequestBody: takes[budgetBody](h),
	}, d.setFleetBudget)
	route(d, h, huma.Operation{
		OperationID: "unset-fleet-budget", Method: http.MethodDelete, Path: fleet, Summary: "Go back to the default of the fleet's budget", Description: "For admins.",
	}, d.unsetFleetBudget)
	route(d, h, huma.Operation{
		OperationID: "budget", Method: http.MethodGet, Path: owner, Summary: "See an owner's budget", Description: "For the owner, operators and admins.",
	}, d.budget)
	route(d, h, huma.Operation{
		OperationID: "set-budget", Method: http.MethodPut, Path: owner, Summary: "Set what an owner may spend in a window, and run at once",
		Description: "For admins. It holds at once, and replaces what was set before: no call is permitted, and no job admitted (402 cap-reached), beyond the cap; no job starts beyond the other.", RequestBody: takes[budgetBody](h),
	}, d.setBudget)
	route(d, h, huma.Operation{
		OperationID: "unset-budget", Method: http.MethodDelete, Path: owner, Summary: "Give an owner the default budget again", Description: "For admins.",
	}, d.unsetBudget)
}

func (d *Door) budgets(ctx context.Context, _ *struct{}) (*answer[budgetsView], error) {
	if _, err := access.Authorize(from(ctx).actor, access.ReadFleet, access.WholeFleet()); err != nil {
		return nil, fmt.Errorf("list budgets: %w", err)
	}
	all, err := d.cfg.Books.Budgets(ctx)
	if err != nil {
		return nil, fmt.Errorf("list budgets: %w", err)
	}
	out := budgetsView{Owners: []budgetView{}}
	for _, b := range all {
		if b.Owner == "" {
			out.Fleet = viewBudget(b)
			continue
		}
		out.Owners = append(out.Owners, viewBudget(b))
	}
	return &answer[budgetsView]{out}, nil
}

func (d *Door) fleetBudget(ctx context.Context, _ *struct{}) (*answer[budgetView], error) {
	if _, err := access.Authorize(from(ctx).actor, access.ReadFleet, access.WholeFleet()); err != nil {
		return nil, fmt.Errorf("budget: %w", err)
	}
	return d.toldBudget(ctx, "")
}

func (d *Door) budget(ctx context.Context, in *ownerInput) (*answer[budgetView], error) {
	if err := job.CheckName("owner", in.Owner, job.MaxName); err != nil {
		return nil, err
	}
	whose, err := d.whoseMoney(ctx)
	if err != nil {
		return nil, fmt.Errorf("budget: %w", err)
	}
	if whose != "" && whose != in.Owner {
		return nil, notFound()
	}
	return d.toldBudget(ctx, in.Owner)
}

func (d *Door) toldBudget(ctx context.Context, owner string) (*answer[budgetView], error) {
	b, err := d.cfg.Books.Budget(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("budget: %w", err)
	}
	return &answer[budgetView]{viewBudget(b)}, nil
}

func (d *Door) setFleetBudget(ctx context.Context, _ *struct{}) (*answer[budgetView], error) {
	return d.setWanted(ctx, "")
}

func (d *Door) setBudget(ctx context.Context, in *ownerInput) (*answer[budgetView], error) {
	if err := job.CheckName("owner", in.Owner, job.MaxName); err != nil {
		return nil, err
	}
	return d.setWanted(ctx, in.Owner)
}

func (d *Door) unsetFleetBudget(ctx context.Context, in *unsetInput) (*answer[budgetView], error) {
	return d.limit(ctx, "", job.Limits{}, in.Reason)
}

func (d *Door) unsetBudget(ctx context.Context, in *unsetOwnerInput) (*answer[budgetView], error) {
	if err := job.CheckName("owner", in.Owner, job.MaxName); err != nil {
		return nil, err
	}
	return d.limit(ctx, in.Owner, job.Limits{}, in.Reason)
}

// setWanted sets the limits that the body asks for.
func (d *Door) setWanted(ctx context.Context, owner string) (*answer[budgetView], error) {
	body, err := decode[budgetBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	l, err := body.limits()
	if err != nil {
		return nil, err
	}
	if owner == "" && l.Running != nil {
		return nil, invalid("max_running is an owner's limit; the fleet's is how many slots its workers have.")
	}
	return d.limit(ctx, owner, l, body.Reason)
}

func (b budgetBody) limits() (job.Limits, error) {
	var l job.Limits
	switch {
	case b.Cap == nil && b.Running == nil:
		return l, invalid("cap_micro_usd and max_running are missing; give one of them, or take both away with DELETE.")
	case b.Cap != nil && (*b.Cap < 0 || *b.Cap > int64(job.MaxCap)):
		return l, invalid(fmt.Sprintf("cap_micro_usd is %d; want 0 to %d.", *b.Cap, int64(job.MaxCap)))
	case b.Running != nil && (*b.Running < 0 || *b.Running > job.MaxRunning):
		return l, invalid(fmt.Sprintf("max_running is %d; want 0 to %d.", *b.Running, job.MaxRunning))
	}
	if b.Cap != nil {
		l.Cap = new(job.MicroUSD(*b.Cap))
	}
	if b.Running != nil {
		l.Running = new(int(*b.Running))
	}
	return l, nil
}

// limit sets the limits of an owner, or of the fleet for an empty one.
func (d *Door) limit(ctx context.Context, owner string, l job.Limits, reason string) (*answer[budgetView], error) {
	if err := checkWhy(reason, ""); err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	permit, err := access.Authorize(from(ctx).actor, access.SetBudget, access.WholeFleet())
	if err != nil {
		scope := job.ScopeFleet
		if owner != "" {
			scope = job.ScopeOwner
		}
		return nil, d.denied(deed, err, job.AuditEntry{Act: string(access.SetBudget), Fields: map[string]string{
			"scope": string(scope), "subject": owner, "reason": reason,
		}})
	}
	b, err := d.cfg.Books.SetBudget(deed, permit, owner, l, reason)
	if err != nil {
		return nil, fmt.Errorf("set a budget: %w", err)
	}
	d.tell(ctx).Warn("budget-set", zap.String("actor", permit.Actor().Subject), zap.String("owner", owner),
		zap.Any("cap_micro_usd", l.Cap), zap.Any("max_running", l.Running), zap.String("reason", reason))
	return &answer[budgetView]{viewBudget(b)}, nil
}
