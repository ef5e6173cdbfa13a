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

type resumeBody struct {
	Budget int64 `json:"budget_micro_usd,omitempty" minimum:"0" maximum:"1000000000000" doc:"The new budget of the whole job, above what it has spent; 0 keeps it"`
}

type resumedView struct {
	ID    string `json:"id"`
	State string `json:"state" doc:"Where the job is now"`
}

func (d *Door) mountResume(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "resume", Method: http.MethodPost, Path: "/v1/jobs/{id}/resume", Summary: "Bring a parked job back, with a raised budget",
		Description: "For its owner, the service that submitted it, and admins. It goes back to the road and on from its last checkpoint. " +
			"409 job-not-parked when there is nothing to resume, 409 budget-used-up when the budget would not allow another call.",
		RequestBody: takes[resumeBody](h),
	}, d.resume)
}

func (d *Door) resume(ctx context.Context, in *killInput) (*answer[resumedView], error) {
	body, err := decode[resumeBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	if body.Budget < 0 || body.Budget > int64(maxBudget) {
		return nil, invalid(fmt.Sprintf("budget_micro_usd is %d; want 0 to %d.", body.Budget, int64(maxBudget)))
	}
	deed, cancel := deed(ctx)
	defer cancel()
	j, err := d.resumable(deed, in.ID, string(access.Resume))
	if err != nil {
		return nil, err
	}
	if j.State == job.Parked && j.ParkReason == "input" {
		return nil, problem(http.StatusConflict, typeNotParked, "The job waits for answers", "Answer its questions, and it goes on.")
	}
	if j.State == job.Parked && j.ParkReason == "budget" && body.Budget == 0 {
		return nil, &job.BudgetUsedUp{Spent: j.Spent, Budget: j.Budget}
	}
	actor := from(ctx).actor
	state, err := d.cfg.Raises.Raise(deed, j.ID, job.MicroUSD(body.Budget), actor.Who())
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	d.log.Info("resume", zap.String("request", requestID(ctx)), zap.String("job", in.ID), zap.String("actor", actor.Subject),
		zap.Int64("budget_micro_usd", body.Budget), zap.String("state", string(state)))
	return &answer[resumedView]{resumedView{string(j.ID), string(state)}}, nil
}
