package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Checkpoint is a state that a job can be resumed from.
type Checkpoint struct {
	Seq uint64 `json:"seq"`
	// Node is the step it was taken after.
	Node string    `json:"node"`
	At   time.Time `json:"at,omitzero"`
	// Grant is which of the job's grants wrote it.
	Grant int `json:"grant,omitzero"`
	// Size is of the state, Stored of what it takes in Redis, in bytes.
	Size   int `json:"bytes"`
	Stored int `json:"stored_bytes"`
	// Sound: it can be read and its checksum matches.
	Sound bool `json:"sound"`

	// State is the state where it is JSON, Raw where it is not. Both are left out
	// of lists.
	State json.RawMessage `json:"state,omitzero"`
	Raw   []byte          `json:"raw,omitzero"`
}

// Checkpoints lists the checkpoints that are kept of a job, the last few, also
// when it is over.
func (c *Client) Checkpoints(ctx context.Context, id string) ([]Checkpoint, error) {
	var out struct {
		Checkpoints []Checkpoint `json:"checkpoints"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: "/v1/jobs/" + url.PathEscape(id) + "/checkpoints"}, &out)
	return out.Checkpoints, err
}

// Checkpoint reads one with its state. [ErrNotFound] for a number that is not
// kept, [ErrCheckpointDamaged] for one that cannot be read.
func (c *Client) Checkpoint(ctx context.Context, id string, seq uint64) (Checkpoint, error) {
	var out Checkpoint
	err := c.do(ctx, request{
		method: http.MethodGet, path: "/v1/jobs/" + url.PathEscape(id) + "/checkpoints/" + strconv.FormatUint(seq, 10),
	}, &out)
	return out, err
}

// Resumption says how to go on from a job that was killed or failed.
type Resumption struct {
	// From is the number of the checkpoint; 0 is the newest that is sound.
	From uint64
	// Budget is the new job's own; 0 is what the old one had.
	Budget MicroUSD
	// IdempotencyKey names this resumption; one is drawn when it is empty.
	IdempotencyKey string
}

// Resumed is the new job that goes on.
type Resumed struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	// From and Seq are the job and the checkpoint it begins at.
	From string `json:"resumed_from,omitzero"`
	Seq  uint64 `json:"resumed_from_seq,omitzero"`
	// Created is false when the idempotency key had made it before.
	Created bool `json:"created,omitzero"`
}

// GoOn makes a new job that begins at a checkpoint of one that was killed or
// failed, which stays what it is. [ErrNoCheckpoint] and [ErrCheckpointDamaged] say
// why not; [ErrForbidden] that it was killed by somebody whom only an admin may
// overrule.
func (c *Client) GoOn(ctx context.Context, id string, r Resumption) (Resumed, error) {
	var out Resumed
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/jobs/" + url.PathEscape(id) + "/resume", key: orDrawn(r.IdempotencyKey), body: struct {
		From   uint64   `json:"from,omitempty"`
		Budget MicroUSD `json:"budget_micro_usd,omitempty"`
	}{r.From, r.Budget}}, &out)
	return out, err
}
