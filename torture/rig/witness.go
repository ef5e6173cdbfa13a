package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// Trouble is how the witness, who stands for a model server, misbehaves.
type Trouble string

// The troubles.
const (
	None  Trouble = ""
	Hang  Trouble = "hang"  // takes the call and says nothing
	Busy  Trouble = "429"   // too many requests
	Error Trouble = "500"   // an error of its own
	Drip  Trouble = "drip"  // answers a byte at a time
	Abort Trouble = "abort" // takes the call and resets the connection
)

// Troubles are all of them.
func Troubles() []Trouble { return []Trouble{Hang, Busy, Error, Drip, Abort} }

// hangFor is the longest that the witness keeps a call.
const hangFor = 6 * time.Second

// Witness is sent every paid call, and writes down when it came, from which
// process, whether it was answered, and when the caller hung up.
type Witness struct {
	log     *history.Log
	server  *http.Server
	addr    string
	trouble atomic.Value
	whom    atomic.Value // the one process that it misbehaves to; "" for all
	// Troubled counts the calls that were misbehaved to, Open those under way.
	Troubled atomic.Int64
	Open     atomic.Int64
}

type callerKey struct{}

// caller is who is at the other end of a connection. The kernel is asked once,
// at the first call: while a call is under way its caller has the socket.
type caller struct {
	conn  net.Conn
	whose func(inode string) string
	once  sync.Once
	name  string
}

func (c *caller) worker() string {
	c.once.Do(func() { c.name = c.whose(inodeOf(c.conn)) })
	return c.name
}

// newWitness begins to listen. whose names the process that has a socket.
func newWitness(log *history.Log, whose func(inode string) string) (*Witness, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the witness: %w", err)
	}
	w := &Witness{log: log, addr: ln.Addr().String()}
	w.Misbehave(None)
	w.server = &http.Server{
		Handler: http.HandlerFunc(w.answer), ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, &caller{conn: c, whose: whose})
		},
	}
	go func() {
		if err := w.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Add(history.Event{Type: history.Note, Op: "witness-down", Class: err.Error()})
		}
	}()
	return w, nil
}

// URL is where calls go; each is kept for that long before it is answered.
func (w *Witness) URL(keep time.Duration) string {
	return "http://" + w.addr + "/call?keep=" + strconv.FormatInt(keep.Milliseconds(), 10)
}

// Misbehave changes how calls are answered from now on.
func (w *Witness) Misbehave(t Trouble) { w.MisbehaveTo("", t) }

// MisbehaveTo changes how the calls of one worker are answered from now on.
func (w *Witness) MisbehaveTo(worker string, t Trouble) {
	w.whom.Store(worker)
	w.trouble.Store(t)
}

func (w *Witness) answer(rw http.ResponseWriter, r *http.Request) {
	w.Open.Add(1)
	defer w.Open.Add(-1)
	came := time.Now()
	worker := ""
	if c, ok := r.Context().Value(callerKey{}).(*caller); ok {
		worker = c.worker()
	}
	e := history.Event{
		Type: history.Invoke, Op: "call", Job: r.Header.Get("X-Gavel-Job"), Worker: worker,
		Args: Args("call", r.Header.Get("X-Gavel-Call")),
	}
	e = w.log.AddAt(came, e)
	_, _ = io.Copy(io.Discard, r.Body)
	status, left := w.treat(rw, r, worker)
	e.Type, e.Status, e.Class = history.OK, status, ""
	if left {
		e.Type, e.Class = history.Info, "left"
	}
	w.log.Add(e)
}

// treat answers a call, or not; it says with what, and whether the caller left.
func (w *Witness) treat(rw http.ResponseWriter, r *http.Request, worker string) (status int, left bool) {
	t, _ := w.trouble.Load().(Trouble)
	if whom, _ := w.whom.Load().(string); whom != "" && whom != worker {
		t = None
	}
	if t != None {
		w.Troubled.Add(1)
	}
	keep, _ := strconv.Atoi(r.URL.Query().Get("keep"))
	wait := time.Duration(keep) * time.Millisecond
	if t == Hang {
		wait = hangFor
	}
	select {
	case <-r.Context().Done():
		return 0, true
	case <-time.After(wait):
	}
	switch t {
	case Busy:
		status = http.StatusTooManyRequests
	case Error, Hang:
		status = http.StatusInternalServerError
	case Abort:
		abort(rw)
		return 0, true
	case Drip:
		return drip(rw, r)
	case None:
		status = http.StatusOK
	}
	rw.WriteHeader(status)
	_, err := rw.Write([]byte(`{}`))
	return status, err != nil || r.Context().Err() != nil
}

func abort(rw http.ResponseWriter) {
	c, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func drip(rw http.ResponseWriter, r *http.Request) (int, bool) {
	rw.Header().Set("Content-Length", "20")
	rw.WriteHeader(http.StatusOK)
	for n := range 20 {
		if _, err := rw.Write([]byte(" ")); err != nil {
			return 0, true
		}
		_ = http.NewResponseController(rw).Flush()
		if n == 19 {
			break // it is whole: who leaves now may have heard it out
		}
		select {
		case <-r.Context().Done():
			return 0, true
		case <-time.After(50 * time.Millisecond):
		}
	}
	return http.StatusOK, false
}

// Args makes the arguments of an event from names and values.
func Args(pairs ...any) json.RawMessage {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return json.RawMessage(`{"error":"unwritable"}`)
	}
	return raw
}
