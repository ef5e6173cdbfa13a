package model

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"
)

// HeaderBill is a response's header with the id that its bill is asked by, where
// the server names it before its first chunk does.
const HeaderBill = "X-Generation-Id"

const (
	// billWithin bounds how long a call that was cut waits for its bill: a kill is
	// confirmed behind it.
	billWithin = time.Second
	// billEvery is how often it is asked for meanwhile: the server has to notice
	// first that nobody reads any more.
	billEvery = 25 * time.Millisecond
	maxBill   = 64 << 10
)

// bill asks the server what it bills for an answer that was not read to its end,
// and puts that into the reply as reported. It costs nothing, so it may be asked
// after the call was cancelled; what stays unknown is the caller's to estimate.
func (c *Client) bill(ctx context.Context, id string, reply *Reply) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), billWithin)
	defer cancel()
	tick := time.NewTicker(billEvery)
	defer tick.Stop()
	for {
		in, out, ok := c.askBill(within, id)
		if ok {
			reply.Reported, reply.InputTokens, reply.OutputTokens = true, in, out
			return
		}
		select {
		case <-within.Done():
			return
		case <-tick.C:
		}
	}
}

// askBill asks once. A generation that the server does not know, or has no figures
// of yet, is not ok.
func (c *Client) askBill(ctx context.Context, id string) (in, out int, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.BaseURL+"/generation?id="+url.QueryEscape(id), nil)
	if err != nil {
		return 0, 0, false
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	resp, err := c.bills.Do(req)
	if err != nil {
		return 0, 0, false
	}
	defer func() { _ = resp.Body.Close() }()
	var body struct {
		Data struct {
			Input        int  `json:"tokens_prompt"`
			Output       int  `json:"tokens_completion"`
			NativeInput  *int `json:"native_tokens_prompt"`
			NativeOutput *int `json:"native_tokens_completion"`
		} `json:"data"`
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBill))
	if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(raw, &body) != nil {
		return 0, 0, false
	}
	in, out = body.Data.Input, body.Data.Output
	if body.Data.NativeInput != nil && body.Data.NativeOutput != nil { // what is billed by, where the two differ
		in, out = *body.Data.NativeInput, *body.Data.NativeOutput
	}
	return in, out, in > 0 && out >= 0
}
