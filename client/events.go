package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Event is one thing that happened in a job.
type Event struct {
	// ID is its position: give it to [Client.Events] to resume after it.
	ID string `json:"-"`
	// Type is a dotted word: "job.queued", "round.started", "contribution".
	Type string `json:"type"`
	// Audience is "admin" for events that only admins are shown.
	Audience string          `json:"audience,omitzero"`
	At       time.Time       `json:"at,omitzero"`
	Data     json.RawMessage `json:"data,omitzero"`
}

// Last reports whether no event of the job follows this one.
func (e Event) Last() bool {
	state, ok := strings.CutPrefix(e.Type, "job.")
	return ok && State(state).Over()
}

// Events follows a job's events from the start, or from behind the event with
// the id after, to its last one. A stream that breaks off is resumed where it
// was, so that each event comes once and in order; only when that keeps failing
// does the sequence end with an error. It is bounded by the context alone.
func (c *Client) Events(ctx context.Context, id, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := &follower{client: c, path: "/v1/jobs/" + url.PathEscape(id) + "/events", after: after}
		f.give = func(at, data string) (bool, error) {
			e := Event{ID: at}
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return false, &garbledError{err}
			}
			return !yield(e, nil) || e.Last(), nil
		}
		if err := f.follow(ctx); err != nil {
			yield(Event{}, err)
		}
	}
}

// follower is the way through one stream of events, over as many connections as
// it takes.
type follower struct {
	client *Client
	path   string
	after  string
	// give hands an event to the caller, and says whether it was the last.
	give func(id, data string) (last bool, err error)
	kind string // of the event that is given, as the stream names it
	came int    // events so far
	done bool   // the last one came, or the caller wants no more
}

// follow returns nil when the last event came or the caller wants no more.
func (f *follower) follow(ctx context.Context) error {
	c := f.client
	for try := 1; ; try++ {
		came := f.came
		err := f.stream(ctx)
		if f.done {
			return nil
		}
		if f.came > came || err == nil {
			try = 1
		}
		if err == nil {
			err = io.ErrUnexpectedEOF // the dispatcher ended the stream, not what it is about
		} else if ctx.Err() != nil || try >= c.tries || !again(err) {
			return errors.Join(context.Cause(ctx), err)
		}
		if stop := c.rest(ctx, try, err); stop != nil {
			return stop
		}
	}
}

// stream follows one connection until it ends; nil when it ended well.
func (f *follower) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(f.client.idle, func() { cancel(errSilent) })
	defer silent.Stop()
	resp, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusNoContent:
		f.done = true
		return nil
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("gavel: GET %s: %w", f.path, problemOf(resp))
	case !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream"):
		return &garbledError{errors.New("it is no event stream")}
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), 4<<20)
	var fr frame
	for lines.Scan() {
		silent.Reset(f.client.idle)
		if !fr.take(lines.Text()) {
			continue
		}
		if err := f.take(&fr); err != nil || f.done {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("gavel: the event stream broke off: %w", errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

var errSilent = errors.New("the event stream went silent")

func (f *follower) open(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.client.base+f.path, nil)
	if err != nil {
		return nil, &garbledError{err}
	}
	req.Header.Set("User-Agent", f.client.agent)
	req.Header.Set("Accept", "text/event-stream")
	if f.client.key != "" {
		req.Header.Set("Authorization", "Bearer "+f.client.key)
	}
	if f.after != "" {
		req.Header.Set("Last-Event-ID", f.after)
	}
	resp, err := f.client.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("gavel: %w", err)
	}
	return resp, nil
}

// take hands a whole event on, and remembers it as the place to resume at.
func (f *follower) take(fr *frame) error {
	f.kind = fr.kind
	last, err := f.give(fr.id, fr.data)
	if err != nil {
		return err
	}
	fr.data, fr.kind = "", ""
	f.after = fr.id
	f.came++
	f.done = last
	return nil
}

// frame collects the lines of one server-sent event.
type frame struct{ id, kind, data string }

// take adds a line and reports whether the event is whole.
func (fr *frame) take(line string) bool {
	if line == "" {
		return fr.data != ""
	}
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch name {
	case "id":
		fr.id = value
	case "event":
		fr.kind = value
	case "data":
		if fr.data != "" {
			fr.data += "\n"
		}
		fr.data += value
	}
	return false
}
