package history

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Clock is the one clock of a run.
type Clock struct{ began time.Time }

// NewClock starts the clock of a run.
func NewClock() Clock { return Clock{time.Now()} }

// Log appends the events of one proc to its file. It is safe for concurrent use.
type Log struct {
	clock Clock
	proc  string

	mu  sync.Mutex
	f   *os.File
	seq uint64
	err error
}

// Open opens the file of a proc in a run's directory.
func Open(dir, proc string, clock Clock) (*Log, error) {
	dir = filepath.Join(dir, "history")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make a place for the history: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, proc+".jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the history of %s: %w", proc, err)
	}
	return &Log{clock: clock, proc: proc, f: f}, nil
}

// Add stamps an event, appends it, and returns it. An event that invokes gets
// the number of an act.
func (l *Log) Add(e Event) Event { return l.AddAt(time.Now(), e) }

// AddAt is Add for what happened a moment ago.
func (l *Log) AddAt(at time.Time, e Event) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	e.Proc, e.Seq, e.Mono, e.Wall = l.proc, l.seq, int64(at.Sub(l.clock.began)), at.UnixMicro()
	if e.Type == Invoke {
		e.Act = l.seq
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.f.Write(append(line, '\n'))
	}
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("write the history of %s: %w", l.proc, err)
	}
	return e
}

// Close closes the file and says whether anything was not written.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.f.Close(); err != nil && l.err == nil {
		l.err = fmt.Errorf("close the history of %s: %w", l.proc, err)
	}
	return l.err
}
