package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Exchange is one call of a job that asked for a transcript.
type Exchange struct {
	Call     string `json:"call"`
	Model    string `json:"model"`
	Messages []struct {
		Role string `json:"role"`
		Text string `json:"text"`
	} `json:"messages"`
	Reply   string `json:"reply,omitzero"`
	Refusal string `json:"refusal,omitzero"`
	Finish  string `json:"finish,omitzero"`
	// Error is why there was no reply, or only part of one.
	Error        string   `json:"error,omitzero"`
	InputTokens  int      `json:"input_tokens"`
	OutputTokens int      `json:"output_tokens"`
	Cost         MicroUSD `json:"cost_micro_usd"`
	Estimated    bool     `json:"estimated,omitzero"`
	// At is when it was kept.
	At time.Time `json:"at,omitzero"`
}

// ErrTranscriptShortened ends a transcript from which calls are missing: there was
// more than is kept of one job.
var ErrTranscriptShortened = errors.New("gavel: the transcript is not whole: there was more than is kept of one job")

// Transcript reads every prompt and reply of a deliberation whose input has
// "transcript": true, in the order the calls ended, fetching pages as they are
// needed. It ends after the first error; of a job that did not ask for one it is
// empty.
func (c *Client) Transcript(ctx context.Context, id string) iter.Seq2[Exchange, error] {
	return func(yield func(Exchange, error) bool) {
		v := url.Values{}
		for {
			var page struct {
				Calls []struct {
					At   time.Time       `json:"at"`
					Call json.RawMessage `json:"call"`
				} `json:"calls"`
				Next      string `json:"next"`
				Shortened bool   `json:"shortened"`
			}
			err := c.do(ctx, request{method: http.MethodGet, path: "/v1/jobs/" + url.PathEscape(id) + "/transcript", query: v}, &page)
			for _, k := range page.Calls {
				e := Exchange{At: k.At}
				if err = json.Unmarshal(k.Call, &e); err != nil {
					break
				}
				if !yield(e, nil) {
					return
				}
			}
			switch {
			case err != nil:
				yield(Exchange{}, err)
				return
			case page.Next == "" && page.Shortened:
				yield(Exchange{}, ErrTranscriptShortened)
				return
			case page.Next == "":
				return
			}
			v.Set("after", page.Next)
		}
	}
}
