package model

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
)

// errRefused marks an error that came from the caller's before.
var errRefused = errors.New("refused before it was sent")

// gate stands in front of the request's first byte. The transport's writer
// reads the body after the connection is up and before anything is flushed, so
// refusing that read refuses the request.
type gate struct {
	mu     sync.Mutex
	before func() error
	shut   bool
	passed bool
	err    error
}

// pass asks before, once. It is called from the transport's own goroutine, which
// may lag behind a cancelled call: after [gate.close] it only refuses.
func (g *gate) pass() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.passed:
		return nil
	case g.err != nil:
		return g.err
	case g.shut:
		return errRefused
	}
	if err := g.before(); err != nil {
		g.err = err
		return err
	}
	g.passed = true
	return nil
}

// close waits for a running before and lets no other begin.
func (g *gate) close() (passed bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	return g.passed, g.err
}

// wire is one call's way through a shared transport.
type wire struct {
	base  http.RoundTripper
	gate  *gate
	limit int64

	mu     sync.Mutex
	status int
	header http.Header
	long   bool
}

// RoundTrip sends the request through the gate and caps what comes back.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	gated := req.Clone(req.Context())
	gated.Body = &gatedBody{ReadCloser: req.Body, gate: w.gate}
	// Without GetBody the transport cannot quietly send the request a second time.
	gated.GetBody = nil
	resp, err := w.base.RoundTrip(gated)
	if err != nil {
		return nil, err
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

type gatedBody struct {
	io.ReadCloser
	gate *gate
}

func (b *gatedBody) Read(p []byte) (int, error) {
	if err := b.gate.pass(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
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
	return n, err
}
