package client

import (
	"context"
	"net/http"
)

// Drill is a kill drill: canaries that ran in the fleet and were killed.
type Drill struct {
	Reason   string `json:"reason"`
	Incident string `json:"incident,omitempty"`
	// Workers is how many workers there were to be drilled.
	Workers  int       `json:"workers"`
	Canaries []Drilled `json:"canaries"`
	// IdempotencyKey is drawn when empty.
	IdempotencyKey string `json:"-"`
}

// Drilled is what became of one canary.
type Drilled struct {
	// Scope is by what order it was killed: job, its own, or selector.
	Scope  string `json:"scope"`
	Worker string `json:"worker"`
	// Stopped: its worker confirmed.
	Stopped bool `json:"stopped"`
	// Took, in microseconds, is from the request of the kill until the end of the
	// job was seen.
	Took int64 `json:"took_us"`
}

// DrillResult is what a drill came to. Times are in microseconds.
type DrillResult struct {
	// Passed: every canary stopped.
	Passed   bool `json:"passed"`
	Canaries int  `json:"canaries"`
	Stopped  int  `json:"stopped"`
	Workers  int  `json:"workers"`
	// Reached is how many workers had a canary.
	Reached int          `json:"reached"`
	Slowest string       `json:"slowest_worker,omitzero"`
	Scopes  []DrillScope `json:"scopes"`
}

// DrillScope is how fast those stopped that were killed by one kind of order.
type DrillScope struct {
	Scope   string `json:"scope"`
	Stopped int    `json:"stopped"`
	P50     int64  `json:"p50_us"`
	P99     int64  `json:"p99_us"`
	Max     int64  `json:"max_us"`
}

// Drill writes down what a drill came to, in the audit and in the metrics. It is
// for admins, and kills nothing: see gavel drill.
func (c *Client) Drill(ctx context.Context, d Drill) (DrillResult, error) {
	var out DrillResult
	err := c.do(ctx, request{method: http.MethodPost, path: "/v1/drills", key: orDrawn(d.IdempotencyKey), body: d}, &out)
	return out, err
}
