package model

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// errRefused marks an error that came from the caller's before.
var errRefused = errors.New("refused before it was sent")

// errDrained ends a stream whose server does not end it after the answer.
var errDrained = errors.New("the stream was not closed after its end")

// errUngated cannot happen with connections that [newTransport] dials.
var errUngated = errors.New("the connection has no gate")

// gate stands before the first byte of a request on a connection. Wrapping the
// body would be too late: the transport flushes the headers before it reads it.
type gate struct {
	before func() error
	// refused ends the call, so that the transport does not try elsewhere.
	refused func(error)

	mu   sync.Mutex
	shut bool
	sent bool
	err  error
}

// write asks before and then writes, in one piece: nothing comes between the two,
// and whoever closes the gate knows which side of it the request is on. It is
// called from the transport's own goroutine, which may lag behind a cancelled
// call: after [gate.close] it only refuses.
func (g *gate) write(to io.Writer, p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.err != nil:
		return 0, g.err
	case g.shut:
		return 0, errRefused
	}
	if g.err = g.before(); g.err != nil {
		g.refused(g.err)
		return 0, g.err
	}
	n, err := to.Write(p)
	g.sent = g.sent || n > 0
	return n, err //nolint:wrapcheck // the transport knows errors by identity
}

// close waits for a write that has begun and lets no other begin.
func (g *gate) close() (sent bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	return g.sent, g.err
}

// gatedConn is a connection whose next write may have to pass a gate.
type gatedConn struct {
	net.Conn
	mu   sync.Mutex
	next *gate
}

func (c *gatedConn) arm(g *gate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = g
}

// Write passes the gate and writes. A connection that was refused stays shut.
func (c *gatedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	g := c.next
	c.mu.Unlock()
	if g == nil {
		return c.Conn.Write(p) //nolint:wrapcheck // the transport knows errors by identity
	}
	n, err := g.write(c.Conn, p)
	if n > 0 {
		c.arm(nil)
	}
	return n, err
}

// gated finds the gate of a connection below its encryption.
func gated(c net.Conn) (*gatedConn, bool) {
	for {
		switch conn := c.(type) {
		case *gatedConn:
			return conn, true
		case interface{ NetConn() net.Conn }:
			c = conn.NetConn()
		default:
			return nil, false
		}
	}
}

// wire is one call's way through a shared transport.
type wire struct {
	base  http.RoundTripper
	gate  *gate
	limit int64
	// hangUp ends the call and closes its connection.
	hangUp func(error)
	// complete: the answer has come to its end.
	complete atomic.Bool

	mu     sync.Mutex
	status int
	header http.Header
	long   bool
}

// RoundTrip arms the gate of the connection that the request is about to be
// written to, and caps what comes back. Should the transport find that an idle
// connection is dead before a byte was written, it takes another, whose gate is
// armed in the same way; it repeats nothing that may have been read.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if c, ok := gated(info.Conn); ok {
				c.arm(w.gate)
				return
			}
			w.gate.refused(errUngated)
		},
	})
	resp, err := w.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err //nolint:wrapcheck // the transport knows errors by identity
	}
	w.mu.Lock()
	w.status, w.header = resp.StatusCode, resp.Header
	w.mu.Unlock()
	resp.Body = &cappedBody{ReadCloser: resp.Body, wire: w, left: w.limit}
	if err := checkStream(resp); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp, nil
}

func checkStream(resp *http.Response) error {
	if resp.StatusCode >= http.StatusBadRequest {
		return nil
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err == nil && resp.StatusCode == http.StatusOK && kind == "text/event-stream" {
		return nil
	}
	return fmt.Errorf("%w: status %d with content type %q; check the base URL of the model server",
		ErrProtocol, resp.StatusCode, resp.Header.Get("Content-Type"))
}

func (w *wire) overran() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.long = true
}

func (w *wire) seen() (status int, header http.Header, long bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status, w.header, w.long
}

type cappedBody struct {
	io.ReadCloser
	wire *wire
	left int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.wire.overran()
		return 0, ErrTooLong
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err //nolint:wrapcheck // the transport knows errors by identity
}

// drainTime is how long the end of a finished stream is waited for.
const drainTime = 50 * time.Millisecond

// Close reads the few bytes that follow a finished answer, because a connection
// whose body was not read to its end cannot be used again.
func (b *cappedBody) Close() error {
	if b.wire.complete.Load() {
		timer := time.AfterFunc(drainTime, func() { b.wire.hangUp(errDrained) })
		_, _ = io.CopyN(io.Discard, b.ReadCloser, slack) // whatever it says, the answer is here
		timer.Stop()
	}
	return b.ReadCloser.Close() //nolint:wrapcheck // the transport knows errors by identity
}
