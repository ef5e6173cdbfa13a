package job

import (
	"context"
	"encoding/json"
	"time"
)

// Turn is one message of a conversation with a model.
type Turn struct {
	Role string `json:"role"`
	Text string `json:"text"`
}

// Exchange is one call as it was made: what was asked, what came back, and what
// it cost. The key of the model server is no part of it.
type Exchange struct {
	Call     string `json:"call"`
	Model    string `json:"model,omitempty"`
	Messages []Turn `json:"messages"`
	Reply    string `json:"reply,omitempty"`
	Refusal  string `json:"refusal,omitempty"`
	Finish   string `json:"finish,omitempty"`
	// Error is why there was no reply, or only part of one.
	Error        string   `json:"error,omitempty"`
	InputTokens  int      `json:"input_tokens,omitempty"`
	OutputTokens int      `json:"output_tokens,omitempty"`
	Cost         MicroUSD `json:"cost_micro_usd,omitempty"`
	Estimated    bool     `json:"estimated,omitempty"`
}

// Transcribes says whether a job's input asks for its calls to be kept: an object
// with transcript: true, whatever its kind.
func Transcribes(input json.RawMessage) bool {
	var in struct {
		Transcript bool `json:"transcript"`
	}
	return json.Unmarshal(input, &in) == nil && in.Transcript
}

// Recorder is what a [Runtime] is too where it can keep calls for post-mortem.
type Recorder interface {
	// Record keeps one call of a job that asked for it, also while the job is
	// being stopped. What passes the bound of a transcript is left out.
	Record(ctx context.Context, e Exchange) error
}

// Transcribed is one kept call: an [Exchange] as it was stored.
type Transcribed struct {
	// ID is its position.
	ID   string
	At   time.Time
	Data json.RawMessage
}
