package canary

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

const (
	dialFor = 5 * time.Second
	// freshFor is how long a connection may have been idle and still be used: a
	// server that closes it in the same moment would have the call made twice.
	freshFor = time.Second
	maxReply = 1 << 20
)

// statusError is an answer that was no success.
type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("the witness answered %d", e.code) }

// Unwrap says whether another attempt may fare better.
func (e *statusError) Unwrap() error {
	if e.code == http.StatusRequestTimeout || e.code == http.StatusTooManyRequests || e.code >= 500 {
		return job.ErrRetryable
	}
	return nil
}

// errElsewhere refuses an address that is not this machine.
var errElsewhere = errors.New("call_url leads to another machine, and the worker's operator has not named it as a witness")

// witness is the outsider that calls are sent to. It writes to the connection
// itself: an http.Client dials and queues between the permit's check and the
// first byte. The nil witness, for a job without call_url, is sent nothing.
type witness struct {
	url     string
	host    string // host:port to dial
	trusted bool   // named by the operator
	conn    net.Conn
	replies *bufio.Reader
	used    time.Time
}

func newWitness(callURL string, named []string) *witness {
	u, err := url.Parse(callURL)
	if err != nil || callURL == "" {
		return nil // the input was checked: there is none
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "80")
	}
	return &witness{url: callURL, host: host, trusted: slices.Contains(named, host)}
}

// connect makes sure of a connection, before any permit begins to age.
func (w *witness) connect(ctx context.Context) error {
	if w == nil || w.conn != nil && time.Since(w.used) < freshFor {
		return nil
	}
	w.hangUp()
	d := net.Dialer{Timeout: dialFor, Control: w.allowed}
	conn, err := d.DialContext(ctx, "tcp", w.host)
	switch {
	case errors.Is(err, errElsewhere):
		return fmt.Errorf("reach the witness: %w", err)
	case err != nil:
		return fmt.Errorf("%w: reach the witness: %w", job.ErrRetryable, err)
	}
	w.conn, w.replies = conn, bufio.NewReader(conn)
	return nil
}

// allowed looks at the address that is dialled, not at the name that was given.
func (w *witness) allowed(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (w.trusted || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return errElsewhere
}

// post sends one request when check allows it, and waits for the answer. It
// closes the connection when ctx ends.
func (w *witness) post(ctx context.Context, id job.ID, call string, check func() error) (sent bool, err error) {
	if w == nil {
		return passed(check())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(`{"job":"`+string(id)+`","call":"`+call+`"}`))
	if err != nil {
		return false, fmt.Errorf("make the request: %w", err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Gavel-Job": {string(id)}, "X-Gavel-Call": {call}}
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		return false, fmt.Errorf("make the request: %w", err)
	}
	conn := w.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := check(); err != nil {
		return false, err
	}
	if n, err := conn.Write(wire.Bytes()); err != nil {
		w.hangUp()
		return n > 0, fmt.Errorf("%w: send to the witness: %w", job.ErrRetryable, err)
	}
	return true, w.reply(req)
}

func passed(err error) (bool, error) { return err == nil, err }

func (w *witness) reply(req *http.Request) error {
	res, err := http.ReadResponse(w.replies, req)
	if err != nil {
		w.hangUp()
		return fmt.Errorf("%w: hear from the witness: %w", job.ErrRetryable, err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxReply))
	_ = res.Body.Close()
	w.used = time.Now()
	if err != nil || res.Close || n == maxReply {
		w.hangUp()
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: hear the witness out: %w", job.ErrRetryable, err)
	case res.StatusCode >= 300:
		return &statusError{res.StatusCode}
	}
	return nil
}

func (w *witness) hangUp() {
	if w == nil || w.conn == nil {
		return
	}
	_ = w.conn.Close()
	w.conn = nil
}
