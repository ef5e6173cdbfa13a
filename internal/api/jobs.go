package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// keyRequired and keyAllowed document the Idempotency-Key; the guard reads it.
type keyRequired struct {
	Key string `header:"Idempotency-Key" doc:"Required. Drawn by the client for each new job and sent again with each retry; scoped to owner and submitter" example:"0b5c1f0e-8d0f-4a7e-9d55-6a5e5f5c7f10"`
}

type keyAllowed struct {
	Key string `header:"Idempotency-Key" doc:"The same key gives the same answer"`
}

type jobID struct {
	ID string `path:"id" doc:"The job's id"`
}

type answer[T any] struct{ Body T }

func (d *Door) mountJobs(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "submit", Method: http.MethodPost, Path: "/v1/jobs", DefaultStatus: http.StatusAccepted,
		Summary: "Submit a job", Description: "202 with a new job, 200 when the key was used for the same body before, 402 cap-reached when the window of the owner, or of the fleet, is used up.",
		RequestBody: takes[submitBody](h),
	}, d.submit)
	route(d, h, huma.Operation{
		OperationID: "list-jobs", Method: http.MethodGet, Path: "/v1/jobs", Summary: "List jobs, newest first",
	}, d.list)
	route(d, h, huma.Operation{
		OperationID: "job", Method: http.MethodGet, Path: "/v1/jobs/{id}", Summary: "Read a job",
	}, d.one)
	route(d, h, huma.Operation{
		OperationID: "result", Method: http.MethodGet, Path: "/v1/jobs/{id}/result", Summary: "Read how a job ended",
		Description: "409 job-not-over while it lives.",
	}, d.result)
	d.mountEvents(h)
	d.mountAnswer(h)
	d.mountKill(h)
}

// readable returns the job if the actor may see it, and job.ErrUnknown if not.
func (d *Door) readable(ctx context.Context, raw string) (job.Job, error) {
	id, err := d.parse(raw)
	if err != nil {
		return job.Job{}, err
	}
	j, err := d.cfg.Jobs.Job(ctx, id)
	if err != nil {
		return job.Job{}, fmt.Errorf("read the job: %w", err)
	}
	if _, err := access.Authorize(from(ctx).actor, access.Read, access.Record(j)); err != nil {
		return job.Job{}, job.ErrUnknown
	}
	return j, nil
}

// parse refuses what cannot be an id of this fleet, as unknown.
func (d *Door) parse(raw string) (job.ID, error) {
	id, err := job.ParseID(raw)
	if err != nil || id.Partition() >= d.cfg.Partitions {
		return "", job.ErrUnknown
	}
	return id, nil
}

func (d *Door) one(ctx context.Context, in *jobID) (*answer[jobView], error) {
	j, err := d.readable(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &answer[jobView]{viewJob(j)}, nil
}

func (d *Door) result(ctx context.Context, in *jobID) (*answer[resultView], error) {
	j, err := d.readable(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !j.State.Over() {
		return nil, problem(http.StatusConflict, typeNotOver, "The job is not over",
			"It is "+string(j.Visible())+". Follow its events, or ask again later.").after(job.RetryAfter)
	}
	return &answer[resultView]{viewResult(j)}, nil
}

type listQuery struct {
	Owner  string   `query:"owner" doc:"Whose jobs; your own if left out, everybody's for operators and admins"`
	State  []string `query:"state,explode" doc:"Any of these states" enum:"queued,running,parked,delayed,held,killing,succeeded,failed,killed"`
	Label  []string `query:"label,explode" doc:"All of these labels" example:"batch=nightly"`
	Kind   string   `query:"kind"`
	Cursor string   `query:"cursor" doc:"The next of the page before"`
	Limit  int      `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type jobsView struct {
	Jobs []jobView `json:"jobs" doc:"May be fewer than the limit, even none, while there is a next page"`
	Next string    `json:"next,omitempty" doc:"The cursor of the next page"`
}

func (d *Door) list(ctx context.Context, in *listQuery) (*answer[jobsView], error) {
	actor := from(ctx).actor
	target, err := listed(actor, in.Owner)
	if err != nil {
		return nil, err
	}
	permit, err := access.Authorize(actor, access.Read, target)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	q, err := in.query(target.Owner)
	if err != nil {
		return nil, err
	}
	q.Submitter = permit.MustHaveSubmitted()
	bound := in.bound(actor.Subject, target.Owner)
	if q.Cursor, err = d.unseal(in.Cursor, bound...); err != nil {
		return nil, err
	}
	page, err := d.cfg.Jobs.List(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	out := jobsView{Jobs: []jobView{}, Next: d.seal(page.Next, bound...)}
	for _, j := range page.Jobs {
		j.Input = nil
		out.Jobs = append(out.Jobs, viewJob(j))
	}
	return &answer[jobsView]{out}, nil
}

// listed is whose jobs a list is about.
func listed(a access.Actor, owner string) (access.Target, error) {
	switch {
	case owner != "":
		if err := job.CheckName("owner", owner, job.MaxName); err != nil {
			return access.Target{}, err
		}
		return access.JobsOf(owner), nil
	case a.Has(access.Operator) || a.Has(access.Admin):
		return access.WholeFleet(), nil
	case a.Owner != "":
		return access.JobsOf(a.Owner), nil
	default:
		return access.Target{}, invalid("Your credential has no owner of its own; say whose jobs with ?owner=.")
	}
}

func (in *listQuery) query(owner string) (job.Query, error) {
	q := job.Query{Owner: owner, Kind: in.Kind, Limit: in.Limit, Labels: map[string]string{}}
	for _, s := range in.State {
		q.States = append(q.States, job.State(s))
	}
	for _, l := range in.Label {
		k, v, ok := strings.Cut(l, "=")
		if _, twice := q.Labels[k]; !ok || twice {
			return q, invalid("A label filter is key=value, each key once.")
		}
		q.Labels[k] = v
	}
	if err := job.CheckLabels(q.Labels); err != nil {
		return q, err
	}
	if in.Kind != "" {
		if err := job.CheckName("kind", in.Kind, job.MaxName); err != nil {
			return q, err
		}
	}
	return q, nil
}

// bound is what a cursor of this list is good for.
func (in *listQuery) bound(subject, owner string) []string {
	states, labels := slices.Sorted(slices.Values(in.State)), slices.Sorted(slices.Values(in.Label))
	return slices.Concat([]string{"jobs", subject, owner, in.Kind, strconv.Itoa(len(states))}, states, labels)
}
