package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

type transcriptQuery struct {
	ID    string `path:"id" doc:"The job's id"`
	After string `query:"after" doc:"The next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"50" default:"20"`
}

type transcribedView struct {
	ID   string     `json:"id" doc:"Its position"`
	At   *time.Time `json:"at,omitempty" doc:"When it was kept, on Redis's clock"`
	Call object     `json:"call" doc:"call, model, messages, reply, refusal, finish, error, input_tokens, output_tokens, cost_micro_usd, estimated"`
}

type transcriptView struct {
	Calls     []transcribedView `json:"calls" doc:"In the order they ended"`
	Next      string            `json:"next,omitempty" doc:"The after of the next page"`
	Shortened bool              `json:"shortened,omitempty" doc:"There was more than is kept: calls are missing"`
}

func (d *Door) mountTranscript(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "transcript", Method: http.MethodGet, Path: "/v1/jobs/{id}/transcript", Summary: "Read every prompt and reply of a job",
		Description: "Of jobs whose input has transcript: true, whatever their kind: a program tells its calls in the protocol. Of others it is empty. At most 8 MiB are kept of a job, until it is forgotten.",
	}, d.transcript)
}

func (d *Door) transcript(ctx context.Context, in *transcriptQuery) (*answer[transcriptView], error) {
	j, err := d.readable(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if in.After != "" && !isPosition(in.After) {
		return nil, malformed("after is not a next that this list gave.")
	}
	calls, err := d.cfg.Transcripts.Transcript(ctx, j.ID, in.After, in.Limit)
	if err != nil {
		return nil, fmt.Errorf("read the transcript: %w", err)
	}
	out := transcriptView{Calls: []transcribedView{}, Shortened: j.TranscriptFull}
	for _, c := range calls {
		out.Calls = append(out.Calls, transcribedView{c.ID, at(c.At), object(c.Data)})
	}
	if len(calls) == in.Limit {
		out.Next = calls[len(calls)-1].ID
	}
	return &answer[transcriptView]{out}, nil
}
