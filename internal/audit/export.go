package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Sink is a place outside of Redis where the sealed log is kept.
type Sink interface {
	// Append adds whole lines at the end. It MUST NOT return nil before they are
	// as safe as the place can make them. What failed is appended again, perhaps
	// behind a part of it, so lines may repeat.
	Append(ctx context.Context, lines []byte) error
}

// Stdout is where [OpenSink] sends the log to the stream it was given.
const Stdout = "-"

// OpenSink returns the sink of a setting: "-" is the given stream, anything else
// the path of a file, which must be writable.
func OpenSink(where string, stdout io.Writer) (Sink, error) {
	if where == Stdout {
		return stream{stdout}, nil
	}
	f := file{where}
	if err := f.write(nil); err != nil {
		return nil, err
	}
	return f, nil
}

// stream is a pipe to whoever collects the process's output.
type stream struct{ out io.Writer }

func (s stream) Append(_ context.Context, lines []byte) error {
	if _, err := s.out.Write(lines); err != nil {
		return fmt.Errorf("export the audit: %w", err)
	}
	return nil
}

// file is a file that is opened anew for each batch, so that it can be moved
// away at any time.
type file struct{ path string }

func (s file) Append(_ context.Context, lines []byte) error { return s.write(lines) }

func (s file) write(lines []byte) error {
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("export the audit: %w", err)
	}
	torn, err := endsTorn(f)
	if torn { // what was cut off by a crash or a full disk must not swallow a line
		lines = append([]byte("\n"), lines...)
	}
	if err == nil && len(lines) > 0 {
		_, err = f.Write(lines)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("export the audit: %w", err)
	}
	return nil
}

// endsTorn reports whether the last line of a file has no end.
func endsTorn(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("look at its end: %w", err)
	}
	if info.Size() == 0 || !info.Mode().IsRegular() {
		return false, nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil {
		return false, fmt.Errorf("look at its end: %w", err)
	}
	return last[0] != '\n', nil
}
