package rig

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Mode is how a link is. The zero mode passes everything.
type Mode struct {
	// Down ends every connection and takes no new one; by RST if Reset, else by FIN.
	Down, Reset bool
	// HoldRequests and HoldReplies keep what comes until the mode changes. What
	// was held is delivered then, even if nobody waits for it any more. With
	// Only, just those connections are held on which a request had one of the
	// words; what is held stays so while the mode lasts.
	HoldRequests, HoldReplies bool
	Only                      []string
	// Matching keeps each request that has one of the words, whatever the connection
	// carried before: a write waits on its way, and what comes first is done.
	Matching []string
	// Latency delays every reply, but on the connections that Only names; Rate,
	// bytes per second, slows both ways.
	Latency time.Duration
	Rate    int
}

// Bites are what a link has done.
type Bites struct{ Ended, Refused, Held, Late, Slowed, Dropped int64 }

// Words by which the connections of a process are told apart at any time: the
// control stream, and the renewals.
const (
	ControlStream = ":control"
	Renewals      = ":workers"
)

func classes() []string { return []string{ControlStream, Renewals} }

// Link is between one process and Redis.
type Link struct {
	listener net.Listener
	upstream string
	of       *Member // whose it is
	wg       sync.WaitGroup

	mu      sync.Mutex
	mode    Mode
	changed chan struct{}
	drop    []string // a request with all of these loses its reply, once
	ambush  *Ambush
	conns   map[*conn]struct{}
	bites   Bites
}

// conn is one connection through the link.
type conn struct {
	l              *Link
	by             *process // whose it is
	client, server *net.TCPConn

	mu    sync.Mutex
	words map[string]bool // which of a mode's words a request had
	lose  bool            // the next reply is lost
	// called is the script behind whose reply a process is to be killed.
	called string
}

func newLink(upstream string, of *Member) (*Link, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a link: %w", err)
	}
	l := &Link{listener: ln, upstream: upstream, of: of, changed: make(chan struct{}), conns: map[*conn]struct{}{}}
	l.wg.Go(l.accept)
	return l, nil
}

// URL is the end for the process.
func (l *Link) URL() string {
	return "redis://" + User + "@" + l.listener.Addr().String() + "/0"
}

// Bites says what the link has done so far.
func (l *Link) Bites() Bites {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bites
}

// Set changes the mode for open connections and for those to come.
func (l *Link) Set(m Mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mode = m
	close(l.changed)
	l.changed = make(chan struct{})
	if !m.Down {
		return
	}
	for c := range l.conns {
		c.end(m.Reset)
		l.bites.Ended++
	}
}

// Lose has the next request in which all words occur lose its reply: Redis does
// what it was asked, and nobody hears of it.
func (l *Link) Lose(words ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop = words
}

func (l *Link) now() (Mode, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode, l.changed
}

func (l *Link) bite(add func(*Bites)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add(&l.bites)
}

func (l *Link) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return // closed by shut
		}
		l.open(in.(*net.TCPConn)) //nolint:forcetypeassert // a TCP listener gives TCP connections
	}
}

func (l *Link) open(in *net.TCPConn) {
	m, _ := l.now()
	out, err := net.DialTimeout("tcp", l.upstream, time.Second)
	if err != nil || m.Down {
		l.bite(func(b *Bites) { b.Refused++ })
		_ = in.SetLinger(0)
		_ = in.Close()
		if err == nil {
			_ = out.Close()
		}
		return
	}
	by, _ := l.of.process()
	c := &conn{l: l, by: by, client: in, server: out.(*net.TCPConn), words: map[string]bool{}} //nolint:forcetypeassert // dialled as TCP
	l.mu.Lock()
	l.conns[c] = struct{}{}
	l.mu.Unlock()
	l.wg.Go(func() {
		var both sync.WaitGroup
		both.Go(c.requests)
		both.Go(c.replies)
		both.Wait()
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
	})
}

func (c *conn) end(reset bool) {
	if reset {
		_ = c.client.SetLinger(0)
	}
	_ = c.client.Close()
	_ = c.server.Close()
}

// saw looks at a request for words that a mode or a rule has asked for.
func (c *conn) saw(request []byte) {
	low := bytes.ToLower(request)
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range append(classes(), c.l.mode.Only...) {
		if bytes.Contains(low, []byte(w)) {
			c.words[w] = true
		}
	}
	if len(c.l.drop) == 0 {
		return
	}
	for _, w := range c.l.drop {
		if !bytes.Contains(low, []byte(w)) {
			return
		}
	}
	c.l.drop, c.lose = nil, true
}

// concerns says whether a mode that holds is about this connection.
func (c *conn) concerns(m Mode) bool {
	if len(m.Only) == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range m.Only {
		if c.words[w] {
			return true
		}
	}
	return false
}

// keeps says whether a mode is after this very request.
func (m Mode) keeps(request []byte) bool {
	if len(m.Matching) == 0 {
		return false
	}
	low := bytes.ToLower(request)
	return slices.ContainsFunc(m.Matching, func(w string) bool { return bytes.Contains(low, []byte(w)) })
}

// shut ends the link and waits for all of it.
func (l *Link) shut() {
	_ = l.listener.Close()
	l.Set(Mode{Down: true, Reset: true})
	l.wg.Wait()
}
