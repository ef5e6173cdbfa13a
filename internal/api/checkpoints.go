package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rtfm-si/gavel/internal/job"
)

type checkpointView struct {
	Seq    uint64     `json:"seq" doc:"Its number, growing by at least one"`
	Node   string     `json:"node" doc:"The step it was taken after"`
	At     *time.Time `json:"at,omitempty" doc:"When it was accepted, on Redis's clock"`
	Grant  int        `json:"grant,omitempty" doc:"Which of the job's grants wrote it"`
	Size   int        `json:"bytes" doc:"Of the state; 0 when it is damaged"`
	Stored int        `json:"stored_bytes" doc:"What it takes where it is kept, compressed"`
	Sound  bool       `json:"sound" doc:"It can be read and its checksum matches"`
}

func viewCheckpoint(k job.Kept) checkpointView {
	return checkpointView{k.Seq, k.Node, at(k.At), k.Grant, k.Size, k.Stored, k.Sound}
}

type checkpointsView struct {
	Checkpoints []checkpointView `json:"checkpoints" doc:"The last ones, by number"`
}

type stateView struct {
	checkpointView
	State value  `json:"state,omitempty" doc:"The state, when it is JSON"`
	Raw   []byte `json:"raw,omitempty" doc:"The state in base64, when it is not"`
}

type checkpointID struct {
	ID  string `path:"id" doc:"The job's id"`
	Seq uint64 `path:"seq" doc:"The checkpoint's number"`
}

func (d *Door) mountCheckpoints(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "checkpoints", Method: http.MethodGet, Path: "/v1/jobs/{id}/checkpoints", Summary: "List the checkpoints that are kept of a job",
		Description: "The last few, also when the job is over, until it is forgotten. A worker resumes from the newest that is sound.",
	}, d.checkpoints)
	route(d, h, huma.Operation{
		OperationID: "checkpoint", Method: http.MethodGet, Path: "/v1/jobs/{id}/checkpoints/{seq}", Summary: "Read a checkpoint",
		Description: "404 for a number that is not kept, 409 checkpoint-damaged for one that cannot be read, 503 store-unavailable while the store that states are kept in does not answer.",
	}, d.checkpoint)
}

func (d *Door) checkpoints(ctx context.Context, in *jobID) (*answer[checkpointsView], error) {
	j, err := d.readable(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	all, err := d.cfg.Checkpoints.Checkpoints(ctx, j.ID)
	if err != nil {
		return nil, fmt.Errorf("list the checkpoints: %w", err)
	}
	out := checkpointsView{Checkpoints: []checkpointView{}}
	for _, k := range all {
		out.Checkpoints = append(out.Checkpoints, viewCheckpoint(k))
	}
	return &answer[checkpointsView]{out}, nil
}

func (d *Door) checkpoint(ctx context.Context, in *checkpointID) (*answer[stateView], error) {
	j, err := d.readable(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	k, err := d.cfg.Checkpoints.Checkpoint(ctx, j.ID, in.Seq)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoint: %w", err)
	}
	v := stateView{checkpointView: viewCheckpoint(k)}
	if json.Valid(k.Data) {
		v.State = k.Data
	} else {
		v.Raw = k.Data
	}
	return &answer[stateView]{v}, nil
}
