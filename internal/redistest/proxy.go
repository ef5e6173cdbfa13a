package redistest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a network link to a Redis that fails on command. Its modes are
// switched while connections are open and act on them.
type Proxy struct {
	listener net.Listener
	upstream string
	running  sync.WaitGroup

	mu      sync.Mutex
	mode    mode
	changed chan struct{} // closed and replaced when the mode changes
	links   map[*link]struct{}
	rules   []*Rule
	counts  Counts
}

// Counts are what a proxy has done so far.
type Counts struct {
	Conns    int // connections accepted
	Requests int // requests read from clients
	Replies  int // replies delivered
	Ended    int // connections closed by Cut or Reset
	Refused  int // connections that came while Cut or Reset
	Held     int // requests and replies that had to wait for Pass or Release
	Slowed   int // requests and replies that Latency or Trickle delayed
	Dropped  int // replies dropped by a rule
}

// NewProxy puts a link in front of a server. It ends with the test.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("redistest: listen for a proxy: %v", err)
	}
	p := &Proxy{listener: l, upstream: upstream, changed: make(chan struct{}), links: map[*link]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(p.shut)
	return p
}

// Addr is the link's end for clients, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is Addr as redis://host:port/0.
func (p *Proxy) URL() string { return "redis://" + p.Addr() + "/0" }

// Counts says what the proxy has done so far, so that a test can assert that
// its fault has bitten.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed by shut
		}
		p.open(c.(*net.TCPConn)) //nolint:forcetypeassert // a TCP listener gives TCP connections
	}
}

// open connects a client to the server, unless the mode refuses it.
func (p *Proxy) open(client *net.TCPConn) {
	server, err := net.DialTimeout("tcp", p.upstream, time.Second)
	if err != nil {
		abort(client)
		return
	}
	l := &link{p: p, client: client, server: server, ended: make(chan struct{})}
	p.mu.Lock()
	p.counts.Conns++
	p.links[l] = struct{}{}
	end := p.mode.end
	if end != stay {
		p.counts.Refused++
	}
	p.mu.Unlock()
	l.end(end)
	p.running.Go(func() {
		defer p.forget(l)
		l.run()
	})
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// set changes the mode, and returns when it holds for every open connection.
func (p *Proxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	close(p.changed)
	p.changed = make(chan struct{})
	if m.end == stay {
		return
	}
	for l := range p.links {
		if l.end(m.end) {
			p.counts.Ended++
		}
	}
}

// now is the mode, and a channel that is closed when it no longer holds.
func (p *Proxy) now() (mode, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.changed
}

func (p *Proxy) count(add func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add(&p.counts)
}

// shut ends the proxy and waits for all of it.
func (p *Proxy) shut() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.mode = mode{end: rst} // for one that was accepted just before
	for l := range p.links {
		l.end(rst)
		_ = l.client.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
