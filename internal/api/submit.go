package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// Bounds of a submission beyond those that job has.
const (
	maxBudget   = 1_000_000 * job.USD
	maxAttempts = 100
	maxTimeout  = 7 * 24 * time.Hour
)

type submitBody struct {
	Kind        string            `json:"kind" required:"true" doc:"Which executor runs it" example:"deliberation"`
	Input       object            `json:"input" required:"true" doc:"What the executor is given, at most 1 MiB"`
	Labels      map[string]string `json:"labels,omitempty" doc:"At most 16; keys of letters, digits and . _ - @ / +"`
	Budget      int64             `json:"budget_micro_usd,omitempty" minimum:"0" maximum:"1000000000000" doc:"The most it may spend; 0 is the fleet's default"`
	MaxAttempts int               `json:"max_attempts,omitempty" minimum:"0" maximum:"100" doc:"Failed attempts without progress that end it; 0 is 3"`
	Timeout     int64             `json:"timeout_seconds,omitempty" minimum:"0" maximum:"604800" doc:"Bound of one attempt; 0 is the worker's default"`
	Owner       string            `json:"owner,omitempty" doc:"For services: whose job it is; the credential's own owner otherwise"`
}

type acceptedView struct {
	ID      string `json:"id"`
	Created bool   `json:"created" doc:"false: the Idempotency-Key had been used for the same body"`

	Durability string `json:"durability" enum:"local,replicated" doc:"What it survives. local: Redis has it, as safe as its append-only file; replicated: every replica that may be promoted has it too"`
}

type submitted struct {
	Status   int
	Location string `header:"Location"`
	Body     acceptedView
}

func (d *Door) submit(ctx context.Context, _ *keyRequired) (*submitted, error) {
	body, err := decode[submitBody](from(ctx).body)
	if err != nil {
		return nil, err
	}
	s, err := d.submission(ctx, body)
	if err != nil {
		return nil, err
	}
	actor := from(ctx).actor
	if _, err := access.Authorize(actor, access.Submit, access.JobsOf(s.Owner)); err != nil {
		return nil, d.denied(ctx, err, job.AuditEntry{Act: string(access.Submit), Fields: map[string]string{"scope": string(job.ScopeOwner), "subject": s.Owner}})
	}
	if err := d.trusted(); err != nil {
		return nil, err
	}
	done, err := d.cfg.Jobs.Submit(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("submit: %w", err)
	}
	noted(ctx, done.ID, s)
	out := &submitted{Status: http.StatusAccepted, Location: "/v1/jobs/" + string(done.ID), Body: acceptedView{string(done.ID), done.Created, cmp.Or(done.Durability, local)}}
	if !done.Created {
		out.Status = http.StatusOK
	}
	return out, nil
}

// local is the durability of those who promise no more.
const local = "local"

// submission checks a body and completes it.
func (d *Door) submission(ctx context.Context, b submitBody) (job.Submission, error) {
	asked := from(ctx)
	owner := b.Owner
	if owner == "" {
		owner = asked.actor.Owner
	}
	if err := job.CheckName("owner", owner, job.MaxName); err != nil {
		return job.Submission{}, err
	}
	if asked.key == "" {
		return job.Submission{}, malformed("The Idempotency-Key header is missing: draw one for each new job, and send it again with each retry.")
	}
	if err := job.CheckLabels(b.Labels); err != nil {
		return job.Submission{}, err
	}
	if err := b.inBounds(); err != nil {
		return job.Submission{}, err
	}
	input, err := d.input(b)
	if err != nil {
		return job.Submission{}, err
	}
	s := job.Submission{
		Owner: owner, Submitter: asked.actor.Subject, Kind: b.Kind, Labels: b.Labels, Input: input,
		Budget: job.MicroUSD(b.Budget), MaxAttempts: b.MaxAttempts, Timeout: time.Duration(b.Timeout) * time.Second,
		IdempotencyKey: asked.key, Trace: telemetry.Traceparent(ctx),
	}
	s.Digest = digest(s)
	if named := d.cfg.Models[b.Kind]; named != nil {
		s.Models = named(input)
	}
	return s, nil
}

// noted says in the request's span which job it made.
func noted(ctx context.Context, id job.ID, s job.Submission) {
	telemetry.Note(ctx, "gavel.job", string(id))
	telemetry.Note(ctx, "gavel.owner", s.Owner)
	telemetry.Note(ctx, "gavel.kind", s.Kind)
}

func (b submitBody) inBounds() error {
	switch {
	case b.Budget < 0 || b.Budget > int64(maxBudget):
		return invalid(fmt.Sprintf("budget_micro_usd is %d; want 0 to %d.", b.Budget, int64(maxBudget)))
	case b.MaxAttempts < 0 || b.MaxAttempts > maxAttempts:
		return invalid(fmt.Sprintf("max_attempts is %d; want 0 to %d.", b.MaxAttempts, maxAttempts))
	case b.Timeout < 0 || b.Timeout > int64(maxTimeout/time.Second):
		return invalid(fmt.Sprintf("timeout_seconds is %d; want 0 to %d.", b.Timeout, int64(maxTimeout/time.Second)))
	default:
		return nil
	}
}

// input checks the kind, and lets it refuse its input before anything is
// accepted.
func (d *Door) input(b submitBody) ([]byte, error) {
	check, ok := d.cfg.Kinds[b.Kind]
	if !ok {
		return nil, problem(http.StatusUnprocessableEntity, typeUnknownKind, "There is no such kind of job",
			"This fleet runs "+strings.Join(d.kinds(), ", ")+".")
	}
	raw := bytes.TrimSpace(b.Input)
	switch {
	case len(raw) == 0:
		return nil, invalid("input is missing; give a JSON object.")
	case raw[0] != '{':
		return nil, invalid("input is no JSON object.")
	case len(raw) > job.MaxInput:
		return nil, problem(http.StatusRequestEntityTooLarge, typeTooLarge, "The input is too large",
			fmt.Sprintf("It has %d bytes; at most %d are allowed.", len(raw), job.MaxInput))
	}
	if check == nil {
		return raw, nil
	}
	if err := check(raw); err != nil {
		return nil, invalid("input: " + err.Error())
	}
	return raw, nil
}

func (d *Door) kinds() []string {
	var kinds []string
	for k := range d.cfg.Kinds {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}

// digest identifies a body by what it means: the order of labels and white
// space do not count, the submitter and the key are its scope and not in it.
func digest(s job.Submission) string {
	var input bytes.Buffer
	if err := json.Compact(&input, s.Input); err != nil { // checked before: it is JSON
		input.Write(s.Input)
	}
	labels := s.Labels
	if len(labels) == 0 {
		labels = nil
	}
	same, err := json.Marshal([]any{s.Owner, s.Kind, labels, input.Bytes(), s.Budget, s.MaxAttempts, s.Timeout})
	if err != nil { // plain values: it cannot fail
		same = s.Input
	}
	if s.From != "" {
		same = fmt.Appendf(same, " from %s %d", s.From, s.FromSeq)
	}
	sum := sha256.Sum256(same)
	return hex.EncodeToString(sum[:])
}

// takes documents a body of type T, which the route decodes itself.
func takes[T any](h huma.API) *huma.RequestBody {
	return &huma.RequestBody{
		Required: true,
		Content:  map[string]*huma.MediaType{"application/json": {Schema: h.OpenAPI().Components.Schemas.Schema(typeOf[T](), true, "")}},
	}
}
