package redistest

import (
	"bytes"
	"sync"
	"time"
)

// mode is what a link does to all that passes.
type mode struct {
	end     ending
	freezes [2]bool // by way
	delay   time.Duration
	rate    int // bytes per second, 0 for no limit
}

// piece says how much of the left bytes of a frame may be written, and after
// what wait.
func (m mode) piece(w way, left int, fresh bool) (n int, wait time.Duration) {
	n = left
	if m.rate > 0 { // twenty pieces a second, or one byte at a time
		n = min(left, max(1, m.rate/20))
		wait = time.Second * time.Duration(n) / time.Duration(m.rate)
	}
	if w == replies && fresh {
		wait += m.delay
	}
	return n, wait
}

// ending is how a link is closed.
type ending int

const (
	stay ending = iota
	fin
	rst
)

// way is a direction on a link.
type way int

const (
	requests way = iota
	replies
)

// Pass lets everything through; what was frozen goes on, nothing is lost.
func (p *Proxy) Pass() { p.set(mode{}) }

// Cut closes every connection in an orderly way (FIN), and each new one at
// once, until the mode changes. Cut then Pass breaks the connections once.
func (p *Proxy) Cut() { p.set(mode{end: fin}) }

// Reset is [Proxy.Cut] by RST.
func (p *Proxy) Reset() { p.set(mode{end: rst}) }

// Freeze lets nothing pass either way. Connections stay open and new ones are
// accepted, as by a machine that hangs.
func (p *Proxy) Freeze() { p.set(mode{freezes: [2]bool{true, true}}) }

// FreezeReplies lets requests reach the server and holds what it answers.
func (p *Proxy) FreezeReplies() { p.set(mode{freezes: [2]bool{replies: true}}) }

// FreezeRequests holds requests before the server; answers still come.
func (p *Proxy) FreezeRequests() { p.set(mode{freezes: [2]bool{requests: true}}) }

// Latency delays each reply by d. The replies of one connection wait in line,
// so a pipeline of n takes n times d.
func (p *Proxy) Latency(d time.Duration) { p.set(mode{delay: d}) }

// Trickle lets at most rate bytes per second through, each way.
func (p *Proxy) Trickle(rate int) { p.set(mode{rate: rate}) }

// Then is what happens to a connection whose reply was dropped.
type Then int

const (
	// Close ends the connection, after the server has answered.
	Close Then = iota
	// Silent keeps it open and delivers nothing on it any more.
	Silent

	hold
)

// Rule is a fault that waits for certain requests.
type Rule struct {
	match    func(request []byte) bool
	then     Then
	toMatch  int           // requests it still waits for; guarded by the proxy
	toBite   int           // replies it still waits for; guarded by the proxy
	bitten   chan struct{} // closed when every reply was hit
	released chan struct{}
	release  sync.Once
}

// Bitten is closed when the rule has done all that it was set to do.
func (r *Rule) Bitten() <-chan struct{} { return r.bitten }

// Release delivers the replies that [Proxy.HoldReplies] holds, and ends the rule.
func (r *Rule) Release() { r.release.Do(func() { close(r.released) }) }

// DropReplies drops the replies to the next n requests that match. The server
// has done what they asked for; the client never learns it.
func (p *Proxy) DropReplies(n int, match func(request []byte) bool, then Then) *Rule {
	return p.add(n, match, then)
}

// HoldReplies holds the replies to the next n requests that match until
// [Rule.Release]. Other connections go on, so it puts things out of order.
func (p *Proxy) HoldReplies(n int, match func(request []byte) bool) *Rule {
	return p.add(n, match, hold)
}

// Containing matches requests in which every part occurs, in any letter case.
func Containing(parts ...string) func(request []byte) bool {
	return func(request []byte) bool {
		low := bytes.ToLower(request)
		for _, part := range parts {
			if !bytes.Contains(low, bytes.ToLower([]byte(part))) {
				return false
			}
		}
		return true
	}
}

func (p *Proxy) add(n int, match func([]byte) bool, then Then) *Rule {
	r := &Rule{
		match: match, then: then, toMatch: n, toBite: n,
		bitten: make(chan struct{}), released: make(chan struct{}),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, r)
	return r
}

// ruleFor finds the rule that takes a request, the oldest first.
func (p *Proxy) ruleFor(request []byte) *Rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Requests++
	for _, r := range p.rules {
		if r.toMatch > 0 && r.match(request) {
			r.toMatch--
			return r
		}
	}
	return nil
}

// bite books a reply that a rule has hit.
func (p *Proxy) bite(r *Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.then == hold {
		p.counts.Held++
	} else {
		p.counts.Dropped++
	}
	if r.toBite--; r.toBite == 0 {
		close(r.bitten)
	}
}
