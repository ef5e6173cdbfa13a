package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

const (
	eventsPerRead = 100
	writeTimeout  = 10 * time.Second
)

type eventsQuery struct {
	ID    string `path:"id" doc:"The job's id"`
	Last  string `header:"Last-Event-ID" doc:"Resume after this event"`
	After string `query:"after" doc:"The same, for clients that cannot set the header"`
}

type eventView struct {
	Type     string     `json:"type" example:"contribution"`
	Audience string     `json:"audience,omitempty" enum:"owner,admin"`
	At       *time.Time `json:"at,omitempty"`
	Data     object     `json:"data,omitempty"`
}

func (d *Door) mountEvents(h huma.API) {
	route(d, h, huma.Operation{
		OperationID: "events", Method: http.MethodGet, Path: "/v1/jobs/{id}/events", Summary: "Follow a job's events",
		Description: "Server-sent events: id is the event's position, event its type, data one JSON object. " +
			"The stream ends after the job's last event; a client that resumes there is answered 204. " +
			"It also ends after a while, and when the dispatcher leaves: come again with Last-Event-ID.",
		Responses: map[string]*huma.Response{
			"200": {Description: "Events", Content: map[string]*huma.MediaType{
				"text/event-stream": {Schema: h.OpenAPI().Components.Schemas.Schema(typeOf[eventView](), true, "Event")},
			}},
			"204": {Description: "The job is over and there is nothing after that event"},
		},
	}, d.events)
}

// events answers with the first events before the stream begins, so that what
// goes wrong then is still a problem and not half a stream.
func (d *Door) events(ctx context.Context, in *eventsQuery) (*huma.StreamResponse, error) {
	j, err := d.readable(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s := &eventStream{door: d, job: j.ID, after: in.Last, all: seesAll(from(ctx).actor), over: j.State.Over() && !j.Unbooked}
	if s.after == "" {
		s.after = in.After
	}
	if s.after != "" && !isPosition(s.after) {
		return nil, malformed("Last-Event-ID is not one that this stream gave.")
	}
	first, err := s.next(ctx, 0)
	if err != nil {
		return nil, err
	}
	if s.over && len(first) == 0 {
		return &huma.StreamResponse{Body: func(h huma.Context) { h.SetStatus(http.StatusNoContent) }}, nil
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		_, w := humago.Unwrap(h)
		s.run(ctx, w, first)
	}}, nil
}

// seesAll: events for admins are shown to those who may see everything.
func seesAll(a access.Actor) bool { return a.Has(access.Admin) }

// eventStream is one client's way through a job's events.
type eventStream struct {
	door  *Door
	job   job.ID
	after string
	all   bool
	over  bool // the job had ended when it was last looked at
}

// next reads the next events, for at most wait, and remembers how far it came.
func (s *eventStream) next(ctx context.Context, wait time.Duration) ([]job.StreamEvent, error) {
	events, err := s.door.cfg.Events.Read(ctx, s.job, s.after, wait, eventsPerRead)
	if err != nil {
		return nil, fmt.Errorf("read the job's events: %w", err)
	}
	if len(events) > 0 {
		s.after = events[len(events)-1].ID
	}
	return events, nil
}

// streaming bounds a stream: it ends after a while, and when the door closes.
func (d *Door) streaming(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.StreamFor)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-d.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-watched }
}

func (s *eventStream) run(ctx context.Context, w http.ResponseWriter, events []job.StreamEvent) {
	ctx, stop := s.door.streaming(ctx)
	defer stop()
	out, err := openStream(w)
	if err != nil {
		return
	}
	for ctx.Err() == nil {
		last, err := s.send(out, events)
		if err != nil || last {
			return
		}
		if events, err = s.more(ctx, out, len(events)); err != nil {
			s.trouble(ctx, err)
			return
		}
		if s.over && len(events) == 0 {
			return
		}
	}
}

// more waits for the next events; an idle stream says that it is alive, and
// looks whether the job ended without its last event being there any more.
func (s *eventStream) more(ctx context.Context, out *eventWriter, had int) ([]job.StreamEvent, error) {
	if s.over || had == eventsPerRead {
		return s.next(ctx, 0)
	}
	for end := time.Now().Add(s.door.cfg.KeepAlive); ; {
		left := time.Until(end)
		if left <= 0 || ctx.Err() != nil {
			break
		}
		if events, err := s.next(ctx, left); err != nil || len(events) > 0 {
			return events, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := out.write([]byte(": beat\n\n")); err != nil {
		return nil, err
	}
	j, err := s.door.cfg.Jobs.Job(ctx, s.job)
	if err != nil {
		return nil, fmt.Errorf("look at the job: %w", err)
	}
	s.over = j.State.Over() && !j.Unbooked // its last event is still to come
	if !s.over {
		return nil, nil
	}
	return s.next(ctx, 0)
}

func (s *eventStream) trouble(ctx context.Context, err error) {
	if ctx.Err() == nil {
		s.door.tell(ctx).Info("an event stream ended early; its client will come again",
			zap.String("job", string(s.job)), zap.Error(err))
	}
}

// send writes the events the client may see and says whether the last of the
// job was among them.
func (s *eventStream) send(out *eventWriter, events []job.StreamEvent) (last bool, err error) {
	var buf bytes.Buffer
	for _, e := range events {
		if s.all || e.Audience != "admin" {
			frame(&buf, e)
		}
		last = last || terminal(e.Type)
	}
	if buf.Len() == 0 {
		return last, nil
	}
	return last, out.write(buf.Bytes())
}

func frame(buf *bytes.Buffer, e job.StreamEvent) {
	data, err := json.Marshal(eventView{e.Type, e.Audience, at(e.At), asObject(e.Data)})
	if err != nil { // checked: it is JSON
		return
	}
	fmt.Fprintf(buf, "id: %s\n", e.ID)
	if name := strings.Map(printable, e.Type); name != "" {
		fmt.Fprintf(buf, "event: %s\n", name)
	}
	fmt.Fprintf(buf, "data: %s\n\n", data)
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// terminal: the events that end a job, after which there is none.
func terminal(kind string) bool {
	state, ok := strings.CutPrefix(kind, "job.")
	return ok && job.State(state).Over()
}

// isPosition: a stream's entry id, "ms-seq".
func isPosition(s string) bool {
	ms, seq, ok := strings.Cut(s, "-")
	return ok && isNumber(ms) && isNumber(seq)
}

func isNumber(s string) bool {
	if s == "" || s[0] == '+' {
		return false
	}
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// eventWriter writes and flushes, each time with a deadline of its own.
type eventWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// openStream begins a stream.
func openStream(w http.ResponseWriter) (*eventWriter, error) {
	out := &eventWriter{w: w, rc: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	return out, out.write([]byte("retry: 2000\n\n"))
}

func (o *eventWriter) write(p []byte) error {
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := o.w.Write(p); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	if err := o.rc.Flush(); err != nil {
		return fmt.Errorf("flush to the client: %w", err)
	}
	return nil
}
