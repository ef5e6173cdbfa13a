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
