package redistest

import (
	"bufio"
	"io"
	"net"
	"sync"
	"time"
)

// link is one connection through a proxy.
type link struct {
	p      *Proxy
	client *net.TCPConn
	server net.Conn
	once   sync.Once
	ended  chan struct{} // closed when the link is cut, from whichever side

	mu      sync.Mutex
	pending []*Rule // one per request under way, nil where no rule took it
}

// abort closes with RST.
func abort(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// end closes the link, once, and says whether this call did.
func (l *link) end(how ending) (did bool) {
	if how == stay {
		return false
	}
	l.once.Do(func() {
		did = true
		close(l.ended)
		_ = l.server.Close()
		if how == rst {
			abort(l.client)
			return
		}
		_ = l.client.CloseWrite() // a Close with unread bytes would send RST
	})
	return did
}

// run moves requests and replies until one side is closed.
func (l *link) run() {
	var both sync.WaitGroup
	both.Go(l.requests)
	both.Go(l.replies)
	both.Wait()
	_ = l.client.Close()
}

func (l *link) requests() {
	defer l.end(fin)
	r := bufio.NewReader(l.client)
	for {
		f, err := readFrame(r)
		if err != nil {
			return
		}
		l.push(l.p.ruleFor(f))
		if !l.deliver(requests, f, l.server) {
			_, _ = io.Copy(io.Discard, r) // until the client has seen the end
			return
		}
	}
}

func (l *link) replies() {
	defer l.end(fin)
	r, muted := bufio.NewReader(l.server), false
	for {
		f, err := readFrame(r)
		if err != nil {
			return
		}
		rule := l.pop(f)
		if rule != nil {
			l.p.bite(rule)
			if rule.then == Close || rule.then == hold && !l.waitFor(rule.released) {
				return
			}
			muted = muted || rule.then == Silent
		}
		if muted {
			continue
		}
		if !l.deliver(replies, f, l.client) {
			return
		}
		l.p.count(func(c *Counts) { c.Replies++ })
	}
}

func (l *link) push(r *Rule) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, r)
}

// pop finds the rule of the request that a reply answers. A push message
// answers none.
func (l *link) pop(reply []byte) *Rule {
	l.mu.Lock()
	defer l.mu.Unlock()
	if reply[0] == '>' || len(l.pending) == 0 {
		return nil
	}
	r := l.pending[0]
	l.pending = l.pending[1:]
	return r
}

// deliver writes a frame as the mode of the moment allows, and says whether
// the link still stands.
func (l *link) deliver(w way, f []byte, to net.Conn) bool {
	slowed := false
	for len(f) > 0 {
		m, changed, ok := l.thaw(w)
		if !ok {
			return false
		}
		n, wait := m.piece(w, len(f), !slowed)
		if wait > 0 && !l.pause(wait, changed) {
			return false
		}
		if wait > 0 && !slowed {
			slowed = true
			l.p.count(func(c *Counts) { c.Slowed++ })
		}
		if _, err := to.Write(f[:n]); err != nil {
			return false
		}
		f = f[n:]
	}
	return true
}

// thaw waits while this way is frozen. It returns the mode that lets it go on
// and the channel that is closed when that mode ends.
func (l *link) thaw(w way) (mode, <-chan struct{}, bool) {
	for first := true; ; first = false {
		m, changed := l.p.now()
		if !m.freezes[w] {
			return m, changed, true
		}
		if first {
			l.p.count(func(c *Counts) { c.Held++ })
		}
		if !l.waitFor(changed) {
			return m, changed, false
		}
	}
}

// waitFor waits for a signal, and says whether the link still stands.
func (l *link) waitFor(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	case <-l.ended:
		return false
	}
}

// pause waits for d or for another mode, and says whether the link still stands.
func (l *link) pause(d time.Duration, changed <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-changed:
		return true
	case <-l.ended:
		return false
	}
}
