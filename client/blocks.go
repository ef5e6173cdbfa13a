package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Block is a standing order: until it is lifted, what it is on is neither
// admitted nor started.
type Block struct {
	ID string `json:"id"`
	// On is owner, kind or label.
	On string `json:"on"`
	// Label is the label's key.
	Label string `json:"label,omitzero"`
	// Value is the owner, the kind, or the label's value.
	Value      string    `json:"value"`
	Actor      string    `json:"actor"`
	Reason     string    `json:"reason"`
	Incident   string    `json:"incident,omitzero"`
	RecordedAt time.Time `json:"recorded_at,omitzero"`
	// Missing are the partitions in which it does not stand: not yet, or no more.
	Missing []int `json:"missing_partitions,omitzero"`
	Lifted  bool  `json:"lifted,omitzero"`
}

// NewBlock says what to block, and why.
type NewBlock struct {
	On       string `json:"on"`
	Label    string `json:"label,omitempty"`
	Value    string `json:"value"`
	Reason   string `json:"reason"`
	Incident string `json:"incident,omitempty"`
	// IdempotencyKey is drawn when empty.
	IdempotencyKey string `json:"-"`
}

// Block makes a standing order. It is for operators and admins.
func (c *Client) Block(ctx context.Context, b NewBlock) (Block, error) {
	var out Block
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/blocks", key: orDrawn(b.IdempotencyKey), body: b}, &out)
	return out, err
}

// Blocks lists the standing orders, oldest first, and the gate's head that
// [Client.Lift] wants to be told. It is for operators and admins.
func (c *Client) Blocks(ctx context.Context) (blocks []Block, head string, err error) {
	var out struct {
		Blocks []Block `json:"blocks"`
		Head   string  `json:"head"`
	}
	err = c.do(ctx, request{method: http.MethodGet, path: "/v1/blocks"}, &out)
	return out.Blocks, out.Head, err
}

// Lift ends a standing order if the gate is still the one that was seen, and
// returns [ErrGateChanged] otherwise. The jobs that it had put aside come back.
// It is for admins.
func (c *Client) Lift(ctx context.Context, id, seen, reason string) (Block, error) {
	var out Block
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/blocks/" + url.PathEscape(id) + "/lift", key: orDrawn(""), body: struct {
		Seen   string `json:"seen"`
		Reason string `json:"reason"`
	}{seen, reason}}, &out)
	return out, err
}
