package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

type resumeBody struct {
	Budget int64 `json:"budget_micro_usd,omitempty" minimum:"0" maximum:"1000000000000" doc:"The new budget of the whole job, above what it has spent; 0 keeps it. Of a new job: its own budget"`
	From   int64 `json:"from,omitempty" minimum:"1" doc:"Of a killed or failed job: the checkpoint to go on from; left out, the newest that is sound"`
}

type resumedView struct {
	ID          string `json:"id" doc:"The job that goes on: the same one, or a new one"`
	State       string `json:"state" doc:"Where it is now"`
	ResumedFrom string `json:"resumed_from,omitempty" doc:"Of a new job: the one that was killed or failed"`
	Seq         uint64 `json:"resumed_from_seq,omitempty" doc:"Of a new job: the checkpoint it begins at"`
	Created     bool   `json:"created,omitempty" doc:"A new job was made; false also when the Idempotency-Key had made it before"`
}

type resumed struct {
	Status   int
	Location string `header:"Location"`
	Body     resumedView
}

func (d *Door) mountResume(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "resume", Method: http.MethodPost, Path: "/v1/jobs/{id}/resume", Summary: "Bring a parked job back, or go on from a killed or failed one",
		Description: "For its owner, the service that submitted it, and admins. A parked job goes back to the road and on from its last checkpoint, with a raised budget. " +
			"A job that was killed or failed stays over: a new one with the same input begins at a checkpoint of it (202, its Location; 200 when the Idempotency-Key, required here, had made it before). " +
			"What an operator, an admin or the fleet killed only an admin may go on with, unless the order had allow_resume. " +
			"409 job-not-parked when there is nothing to resume, 409 budget-used-up when the budget would not allow another call, 409 no-checkpoint, 409 checkpoint-damaged.",
		RequestBody: takes[resumeBody](h),
	}, d.resume)
}

func (d *Door) resume(ctx context.Context, in *killInput) (*resumed, error) {
	body, err := decode[resumeBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	switch {
	case body.Budget < 0 || body.Budget > int64(maxBudget):
		return nil, invalid(fmt.Sprintf("budget_micro_usd is %d; want 0 to %d.", body.Budget, int64(maxBudget)))
	case body.From < 0:
		return nil, invalid(fmt.Sprintf("from is %d; want the number of a checkpoint.", body.From))
	}
	deed, cancel := deed(ctx)
	defer cancel()
	j, err := d.resumable(deed, in.ID, string(access.Resume))
	if err != nil {
		return nil, err
	}
	if j.State == job.Killed || j.State == job.Failed {
		return d.goOn(deed, j, body)
	}
	return d.bringBack(deed, j, body)
}

// bringBack brings a parked job back to the road.
func (d *Door) bringBack(deed context.Context, j job.Job, body resumeBody) (*resumed, error) {
	if body.From != 0 {
		return nil, invalid("from is for a job that was killed or failed; one that lives goes on from its last checkpoint.")
	}
	if j.State == job.Parked && j.ParkReason == "input" {
		return nil, problem(http.StatusConflict, typeNotParked, "The job waits for answers", "Answer its questions, and it goes on.")
	}
	if of := shortOf(j); of != "" && of != "job" && body.Budget == 0 {
		return nil, problem(http.StatusConflict, typeBudgetUsedUp, "It is not its own budget that is used up",
			map[string]string{
				"owner": "Its owner's window is used up", "fleet": "The fleet's window is used up", "breaker": "The breaker stopped the fleet",
			}[of]+". It comes back by itself: when the next window begins, a cap is raised, or the fleet is thawed.")
	}
	if j.State == job.Parked && j.ParkReason == "budget" && body.Budget == 0 {
		return nil, &job.BudgetUsedUp{Spent: j.Spent, Budget: j.Budget}
	}
	actor := from(deed).actor
	state, err := d.cfg.Raises.Raise(deed, j.ID, job.MicroUSD(body.Budget), actor.Who())
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	telemetry.Note(deed, "gavel.job", string(j.ID))
	telemetry.Link(deed, j.Trace, "the job")
	d.tell(deed).Info("resume", zap.String("job", string(j.ID)), zap.String("actor", actor.Subject),
		zap.Int64("budget_micro_usd", body.Budget), zap.String("state", string(state)))
	return &resumed{Status: http.StatusOK, Body: resumedView{ID: string(j.ID), State: string(state)}}, nil
}

// goOn makes a new job that begins at a checkpoint of one that is over.
func (d *Door) goOn(deed context.Context, j job.Job, body resumeBody) (*resumed, error) {
	if err := d.mayGoOn(deed, j); err != nil {
		return nil, err
	}
	if err := d.trusted(); err != nil {
		return nil, err
	}
	seq, err := d.chosen(deed, j.ID, uint64(body.From)) //nolint:gosec // it is not negative
	if err != nil {
		return nil, err
	}
	budget := body.Budget
	if budget == 0 {
		budget = int64(j.Budget)
	}
	s, err := d.submission(deed, submitBody{
		Kind: j.Kind, Input: j.Input, Labels: j.Labels, Budget: budget, MaxAttempts: j.MaxAttempts, Timeout: int64(j.Timeout / time.Second), Owner: j.Owner,
	})
	if err != nil {
		return nil, err
	}
	actor := from(deed).actor
	s.From, s.FromSeq, s.Who = j.ID, seq, actor.Who()
	s.Digest = digest(s)
	done, err := d.cfg.Jobs.Submit(deed, s)
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	noted(deed, done.ID, s)
	telemetry.Link(deed, j.Trace, "the job it goes on from")
	out := &resumed{Status: http.StatusAccepted, Location: "/v1/jobs/" + string(done.ID), Body: resumedView{
		ID: string(done.ID), State: string(job.Queued), ResumedFrom: string(j.ID), Seq: seq, Created: done.Created,
	}}
	if done.Created {
		d.tell(deed).Info("resume", zap.String("job", string(done.ID)), zap.String("from", string(j.ID)),
			zap.Uint64("checkpoint", seq), zap.String("actor", actor.Subject))
		return out, nil
	}
	out.Status = http.StatusOK
	again, err := d.cfg.Jobs.Job(deed, done.ID)
	if err != nil {
		return nil, fmt.Errorf("resume: read the job made before: %w", err)
	}
	out.Body.State = string(again.Visible())
	return out, nil
}

// mayGoOn: what was killed from above, an owner may not begin again, unless the
// order allowed it. An order that is forgotten may have been one.
func (d *Door) mayGoOn(ctx context.Context, j job.Job) error {
	actor := from(ctx).actor
	if j.State != job.Killed || j.AllowResume || actor.Has(access.Admin) {
		return nil
	}
	r, err := d.cfg.Orders.Receipt(ctx, j.Order)
	switch {
	case err == nil && (!r.Order.ByAdmin || r.Order.AllowResume):
		return nil
	case err != nil && !errors.Is(err, job.ErrUnknown):
		return fmt.Errorf("resume: read the order: %w", err)
	default:
		entry := job.AuditEntry{Act: string(access.Resume), Fields: map[string]string{"scope": string(job.ScopeJob), "subject": string(j.ID)}}
		return d.note(ctx, ruleKilledFromAbove, entry, problem(http.StatusForbidden, typeForbidden, "Not allowed",
			"This job was killed by an operator, an admin or the fleet itself: only an admin may go on with it. Its owner may submit it anew."))
	}
}

// ruleKilledFromAbove is why an owner may not go on with their own job.
const ruleKilledFromAbove = "killed-from-above"

// chosen is the checkpoint to go on from: the one that was asked for, or the
// newest that is sound.
func (d *Door) chosen(ctx context.Context, id job.ID, asked uint64) (uint64, error) {
	if asked > 0 {
		k, err := d.cfg.Checkpoints.Checkpoint(ctx, id, asked)
		if errors.Is(err, job.ErrUnknown) {
			return 0, &job.NoCheckpoint{Seq: asked}
		}
		if err != nil {
			return 0, fmt.Errorf("resume: read the checkpoint: %w", err)
		}
		return k.Seq, nil
	}
	all, err := d.cfg.Checkpoints.Checkpoints(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("resume: list the checkpoints: %w", err)
	}
	for _, k := range slices.Backward(all) {
		if k.Sound {
			return k.Seq, nil
		}
	}
	return 0, &job.NoCheckpoint{}
}
