package rig

import (
	"bufio"
	"net"
	"time"
)

// requests carries what the process asks.
func (c *conn) requests() {
	defer func() { _ = c.server.Close() }()
	from := bufio.NewReaderSize(c.client, 64<<10)
	for {
		raw, words, err := command(from)
		if len(raw) > 0 {
			c.saw(raw)
			c.hold(func(m Mode) bool { return m.HoldRequests && c.concerns(m) || m.keeps(raw) })
			if c.comes(words) || !c.write(c.server, raw) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// replies carries what Redis answers.
func (c *conn) replies() {
	defer func() { _ = c.client.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.server.Read(buf)
		if n > 0 {
			if c.loses() || c.answered(buf[:n]) {
				return
			}
			c.hold(func(m Mode) bool { return m.HoldReplies && c.concerns(m) })
			c.delay()
			if !c.write(c.client, buf[:n]) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold waits while the mode keeps this direction of this connection.
func (c *conn) hold(held func(Mode) bool) {
	for first := true; ; first = false {
		m, changed := c.l.now()
		if m.Down || !held(m) {
			if !first {
				c.l.bite(func(b *Bites) { b.Late++ })
			}
			return
		}
		if first {
			c.l.bite(func(b *Bites) { b.Held++ })
		}
		<-changed
	}
}

func (c *conn) delay() {
	m, changed := c.l.now()
	if m.Latency == 0 || len(m.Only) > 0 && c.concerns(m) {
		return
	}
	c.l.bite(func(b *Bites) { b.Slowed++ })
	select {
	case <-changed:
	case <-time.After(m.Latency):
	}
}

// loses says whether this reply is the one to lose, and ends the connection:
// whatever came behind it would be taken for it.
func (c *conn) loses() bool {
	c.mu.Lock()
	lose := c.lose
	c.mu.Unlock()
	if lose {
		c.l.bite(func(b *Bites) { b.Dropped++ })
		c.end(true)
	}
	return lose
}

// write writes everything, at the mode's rate.
func (c *conn) write(to *net.TCPConn, b []byte) bool {
	for len(b) > 0 {
		m, changed := c.l.now()
		part := b
		if m.Rate > 0 {
			part = b[:min(len(b), max(1, m.Rate/20))]
			c.l.bite(func(x *Bites) { x.Slowed++ })
			select {
			case <-changed:
			case <-time.After(time.Second / 20):
			}
		}
		if _, err := to.Write(part); err != nil {
			return false
		}
		b = b[len(part):]
	}
	return true
}
