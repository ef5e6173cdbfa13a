package rig

import (
	"slices"
	"sync"
	"syscall"

	"github.com/rtfm-si/gavel/torture/history"
)

// Point is an instant in the life of a process: as it calls a script, before Redis
// is asked, or after Redis has done it and before the process hears of that.
type Point struct {
	Script string
	After  bool
}

// String is how the report has it.
func (p Point) String() string {
	if p.After {
		return "after " + p.Script
	}
	return "before " + p.Script
}

// Points are all that a kind of process can come to.
func Points(binary string) (all []Point) {
	for _, s := range Scripts() {
		if s.Of(binary) {
			all = append(all, Point{s.Name, false}, Point{s.Name, true})
		}
	}
	return all
}

// Ambush kills the first process that comes to one of some points.
type Ambush struct {
	mu     sync.Mutex
	at     []Point // none once it is over
	caught *Caught
	sprung chan struct{}
}

// Caught is who was killed, under which name, and where.
type Caught struct {
	Member *Member
	Name   string
	At     Point
}

// NewAmbush waits at some points, once it was laid before processes.
func NewAmbush(at []Point) *Ambush { return &Ambush{at: at, sprung: make(chan struct{})} }

// Sprung is closed when one was killed.
func (a *Ambush) Sprung() <-chan struct{} { return a.sprung }

// End ends the ambush, and tells of the one that was killed, nil for nobody.
func (a *Ambush) End() *Caught {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = nil
	return a.caught
}

// waits says whether a process may be caught there.
func (a *Ambush) waits(p Point) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.at, p)
}

// spring kills a process that has come to a point, if it is waited for there, and
// says whether it is dead by that.
func (a *Ambush) spring(m *Member, p *process, at Point) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.at, at) || !m.strike(p) {
		return false
	}
	a.at, a.caught = nil, &Caught{m, p.name, at}
	close(a.sprung)
	return true
}

// strike kills a process, if it is the one that is here, and says whether it was
// that of which it died.
func (m *Member) strike(p *process) bool {
	m.mu.Lock()
	here := m.proc == p && p.alive()
	m.down = m.down || here
	m.mu.Unlock()
	if !here {
		return false
	}
	m.rig.note.Add(history.Event{Type: history.Note, Op: "sigkill", Worker: p.name})
	p.kill()
	how, is := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return is && how.Signaled() && how.Signal() == syscall.SIGKILL
}

// Lay lays an ambush before the process that is here and those that come after it;
// nil takes it away.
func (m *Member) Lay(a *Ambush) {
	m.Link.mu.Lock()
	defer m.Link.mu.Unlock()
	m.Link.ambush = a
}

// comes says whether a process was killed as it called a script, and else has the
// reply waited for, if it is to be killed behind that. It sends a script alone on
// its connection: what comes back next is the reply.
func (c *conn) comes(words [][]byte) bool {
	a := c.l.laid()
	if a == nil {
		return false
	}
	script := named(c.l.of.binary, words)
	if a.spring(c.l.of, c.by, Point{script, false}) {
		c.end(true)
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.called = ""; a.waits(Point{script, true}) {
		c.called = script
	}
	return false
}

// answered says whether a process was killed when its script was done. One that
// Redis has refused, or does not know, is not.
func (c *conn) answered(reply []byte) bool {
	c.mu.Lock()
	script := c.called
	c.called = ""
	c.mu.Unlock()
	a := c.l.laid()
	if a == nil || script == "" || reply[0] == '-' || !a.spring(c.l.of, c.by, Point{script, true}) {
		return false
	}
	c.end(true)
	return true
}

func (l *Link) laid() *Ambush {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ambush
}
