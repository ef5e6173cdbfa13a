package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	maxLogLine = 2 << 10  // bytes of one line of stderr
	maxLogged  = 64 << 10 // bytes of stderr of one attempt
	// lastLook is how long our end of a pipe is still read when the program and
	// all it started are gone: longer means that somebody else holds its other end.
	lastLook = 200 * time.Millisecond
)

// errTooLong is a line that was thrown away.
var errTooLong = errors.New("line too long")

// pipeEnd reads a pipe to its end, or to its silence once the program has gone.
type pipeEnd struct{ file *os.File }

func (p pipeEnd) Read(b []byte) (int, error) {
	n, err := p.file.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = p.file.SetReadDeadline(time.Now().Add(lastLook)) // there may be more: an old deadline fails even then
		n, err = p.file.Read(b)
	}
	if err != nil {
		return n, io.EOF // whatever it is, there is no more
	}
	return n, nil
}

// finish makes a reader that waits for more wait a last time only.
func (p pipeEnd) finish() { _ = p.file.SetReadDeadline(time.Now().Add(lastLook)) }

// line reads one line of at most limit bytes, without its end. A longer one is
// thrown away and answered with errTooLong.
func line(r *bufio.Reader, limit int) ([]byte, error) {
	var out []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(out)+len(part) > limit+1; !long {
			out = append(out, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && len(part) == 0 && len(out) == 0 && !long:
			return nil, io.EOF
		case long:
			return nil, fmt.Errorf("%w: more than %d bytes", errTooLong, limit)
		}
		return bytes.TrimRight(out, "\r\n"), nil
	}
}

// logStderr writes what the program says to the log, clipped.
func logStderr(r io.Reader, log *zap.Logger) {
	lines := bufio.NewReader(r)
	var logged, hidden int
	for {
		text, err := line(lines, maxLogLine)
		switch {
		case errors.Is(err, errTooLong):
			hidden++
		case err != nil:
			if hidden > 0 {
				log.Warn("program wrote more to stderr than is logged", zap.Int("lines", hidden))
			}
			return
		case logged+len(text) > maxLogged:
			hidden++
		case len(text) > 0:
			logged += len(text)
			log.Info("program", zap.String("stderr", strings.ToValidUTF8(string(text), "\ufffd")))
		}
	}
}

// errStalled is a program that leaves its stdin unread.
var errStalled = errors.New("the program does not read its stdin")

// errHushed is a line that came after the last word.
var errHushed = errors.New("the program was told to stop")

// mouth writes lines to a program. It is safe for concurrent use.
type mouth struct {
	file  *os.File
	stall time.Duration

	mu     sync.Mutex
	closed atomic.Bool // no more but the last word
	torn   bool        // a line was written in part
}

// say writes a line, if check allows it as the last thing before.
func (m *mouth) say(data []byte, check func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.file.SetWriteDeadline(time.Now().Add(m.stall))
	if m.closed.Load() || m.torn { // looked at after the deadline is set, or interrupt's would be lost
		return errHushed
	}
	if check != nil {
		if err := check(); err != nil {
			return err
		}
	}
	return m.write(data)
}

func (m *mouth) write(data []byte) error {
	n, err := m.file.Write(append(data, '\n'))
	m.torn = m.torn || err != nil && n > 0
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		if m.closed.Load() { // it was given up for the last word, and did not stall
			return errHushed
		}
		return errStalled
	case err != nil:
		return fmt.Errorf("tell the program: %w", err)
	}
	return nil
}

// interrupt says the last word and waits for nobody: a line that is stuck is
// given up for it.
func (m *mouth) interrupt(data []byte) {
	m.closed.Store(true)
	_ = m.file.SetWriteDeadline(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.file.SetWriteDeadline(time.Now().Add(lastLook))
	if m.torn {
		data = append([]byte("\n"), data...)
	}
	_ = m.write(data) // who does not read is told by the ladder
}
