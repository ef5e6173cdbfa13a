package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// answerIn is how long a client waits for an answer.
const answerIn = 4 * time.Second

// Client asks the dispatchers as one person, once each time, and writes down
// what it asked and what came back.
type Client struct {
	log    *history.Log
	bases  []string
	secret string
	http   *http.Client
	turn   atomic.Uint64
}

// Ask is one request.
type Ask struct {
	Op, Method, Path string
	// Event says what it is about.
	Event history.Event
	// Key is the idempotency key; Body is written as JSON.
	Key  string
	Body any
	// At is the dispatcher to ask, counted from 1; 0 is any.
	At int
}

// Answer is what came back: an event of type ok, fail or info.
type Answer struct {
	history.Event

	// Doc is the body of an ok.
	Doc Doc
}

// Doc is a part of what the API answers, read without its help.
type Doc struct {
	ID      string `json:"id"`
	Created bool   `json:"created"`
	Order   string `json:"order"`
	Stage   string `json:"stage"`
	Verdict string `json:"verdict"`
	State   string `json:"state"`
	Head    string `json:"head"`
	Token   string `json:"token"`
	// Losses and Workers are of the fleet.
	Losses  []json.RawMessage `json:"losses"`
	Workers Workers           `json:"workers"`
	Gate    struct {
		Frozen bool   `json:"frozen"`
		Head   string `json:"head"`
	} `json:"gate"`
}

// Workers are the fleet's; of a drill it is said only how many it was for.
type Workers []Worker

// UnmarshalJSON passes over a number.
func (w *Workers) UnmarshalJSON(raw []byte) error {
	if !bytes.HasPrefix(raw, []byte("[")) {
		return nil
	}
	return json.Unmarshal(raw, (*[]Worker)(w))
}

// Worker is one of the fleet's.
type Worker struct {
	Lost   bool    `json:"lost"`
	Silent float64 `json:"silent_seconds"`
}

// Waits says whether it has seen more than Redis has, and is still there to say
// so.
func (w Worker) Waits() bool { return w.Lost && w.Silent < 3 }

func newClient(log *history.Log, secret string, bases []string) *Client {
	return &Client{log: log, bases: bases, secret: secret, http: &http.Client{
		Timeout: answerIn, Transport: &http.Transport{MaxIdleConnsPerHost: 4, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
	}}
}

// Do asks.
func (c *Client) Do(ctx context.Context, a Ask) Answer {
	raw, _ := json.Marshal(a.Body) // ours; it can be written
	base := c.bases[int(c.turn.Add(1))%len(c.bases)]
	if a.At > 0 {
		base = c.bases[(a.At-1)%len(c.bases)]
	}
	e := a.Event
	e.Op, e.Type, e.Idem = a.Op, history.Invoke, a.Key
	if a.Method != http.MethodGet {
		e.Args = raw
	}
	e = c.log.Add(e)
	status, body, err := c.send(ctx, base, a, raw)
	e.Args, e.Status = nil, status
	out := Answer{Event: e}
	switch {
	case err != nil:
		out.Type, out.Class = unanswered(err)
	case status >= 200 && status < 300:
		out.Type, out.Result = history.OK, body
		if json.Unmarshal(body, &out.Doc) != nil {
			out.Class = "garbled"
		}
	default:
		var p struct{ Type, Order string }
		_ = json.Unmarshal(body, &p) // one that is none has no type
		out.Type, out.Class = history.Fail, strings.TrimPrefix(p.Type, "urn:gavel:problem:")
		if out.Class == "outcome-unknown" || out.Class == "" || status == http.StatusInternalServerError {
			out.Type = history.Info
		}
		out.Result = body
	}
	out.Event = c.log.Add(out.Event)
	return out
}

func (c *Client) send(ctx context.Context, base string, a Ask, body []byte) (int, []byte, error) {
	if a.Method == http.MethodGet {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, a.Method, base+a.Path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.secret)
	if a.Method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
		// Go's transport would send a request with this key again by itself.
		req.Header["Idempotency-Key"] = nil
		if a.Key != "" {
			req.Header.Set("Idempotency-Key", a.Key)
		}
		req.GetBody = nil
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return res.StatusCode, raw, err
}

// unanswered says what an error means: a connection that was refused carried
// nothing, with anything else nobody knows.
func unanswered(err error) (kind, class string) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" || errors.Is(err, syscall.ECONNREFUSED) {
		return history.Fail, "not-sent"
	}
	return history.Info, "no-answer"
}
