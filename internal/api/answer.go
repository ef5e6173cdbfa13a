package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

type answerBody struct {
	Answers value `json:"answers" required:"true" doc:"One for each question, in the same order, when the job asks a list; at most 20 KiB"`
}

// value is any JSON value, passed on as it is.
type value json.RawMessage

// Schema is huma's question what a value looks like: anything.
func (value) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

// MarshalJSON writes it as it is.
func (v value) MarshalJSON() ([]byte, error) { return json.RawMessage(v).MarshalJSON() }

// UnmarshalJSON keeps it as it is.
func (v *value) UnmarshalJSON(raw []byte) error { return (*json.RawMessage)(v).UnmarshalJSON(raw) }

type answeredView struct {
	ID    string `json:"id"`
	State string `json:"state" doc:"Where the job is now"`
}

func (d *Door) mountAnswer(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "answer", Method: http.MethodPost, Path: "/v1/jobs/{id}/answer", Summary: "Answer a job that asks its owner",
		Description: "For its owner, the service that submitted it, and admins. The job, parked with reason input, goes back to the road with the answers. 409 job-not-waiting when it asks nothing.",
		RequestBody: takes[answerBody](h),
	}, d.answer)
}

func (d *Door) answer(ctx context.Context, in *killInput) (*answer[answeredView], error) {
	body, err := decode[answerBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	deed, cancel := deed(ctx)
	defer cancel()
	j, err := d.resumable(deed, in.ID, "answer")
	if err != nil {
		return nil, err
	}
	raw := json.RawMessage(body.Answers)
	if j.State == job.Parked && j.ParkReason == "input" {
		if err := job.CheckAnswers(j.Questions, raw); err != nil {
			return nil, err
		}
	}
	actor := from(ctx).actor
	state, err := d.cfg.Jobs.Answer(deed, job.Answering{
		ID: j.ID, Answers: raw, Mark: sameFor(actor.Subject, from(ctx).key, raw), Who: actor.Who(),
	})
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	d.tell(ctx).Info("answer", zap.String("job", in.ID), zap.String("actor", actor.Subject))
	return &answer[answeredView]{answeredView{string(j.ID), string(state)}}, nil
}

// resumable returns the job if the actor may bring it back. A refusal is in the
// audit, and looks like a job that does not exist.
func (d *Door) resumable(ctx context.Context, raw, act string) (job.Job, error) {
	entry := job.AuditEntry{Act: act, Fields: map[string]string{"scope": string(job.ScopeJob), "subject": safe(raw)}}
	id, err := d.parse(raw)
	if err != nil {
		return job.Job{}, d.note(ctx, access.RuleUnknown, entry, job.ErrUnknown)
	}
	j, err := d.cfg.Jobs.Job(ctx, id)
	switch {
	case errors.Is(err, job.ErrUnknown):
		return job.Job{}, d.note(ctx, access.RuleUnknown, entry, job.ErrUnknown)
	case err != nil:
		return job.Job{}, fmt.Errorf("%s: read the job: %w", act, err)
	}
	_, err = access.Authorize(from(ctx).actor, access.Resume, access.Record(j))
	var denied *access.Denied
	switch {
	case err == nil:
		return j, nil
	case errors.As(err, &denied):
		return job.Job{}, d.note(ctx, denied.Rule, entry, job.ErrUnknown)
	default:
		return job.Job{}, fmt.Errorf("%s: %w", act, err)
	}
}

// sameFor is the same for the retry of a request: one actor's with the same key,
// or without one the same words.
func sameFor(subject, key string, body []byte) string {
	if key != "" {
		body = nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%d:%s%s", len(subject), subject, len(key), key, body))
	return hex.EncodeToString(sum[:16])
}
