package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// ErrExposed is wrapped when a key file may be read by everybody or written by
// its group.
var ErrExposed = errors.New("the key file is open to others")

const maxKeyFile = 4 << 20 // bytes

// KeyFile is the keys of one file, and their reload. It is an [Authenticator].
//
// The file holds one JSON object per line, or one array of them, with the
// fields of [Key]. Nobody but its owner may write it, and nobody but its owner
// and group may read it: it says whose hashes are whose.
type KeyFile struct {
	path string
	now  atomic.Pointer[loaded]
}

// loaded is one state of the file.
type loaded struct {
	keys  *Keys
	stamp time.Time
	size  int64
}

// OpenKeyFile reads the keys; a process that cannot read them must not start.
func OpenKeyFile(path string) (*KeyFile, error) {
	f := &KeyFile{path: path}
	if _, err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Authenticate asks the keys last read.
func (f *KeyFile) Authenticate(ctx context.Context, presented string, now time.Time) (Actor, error) {
	return f.now.Load().keys.Authenticate(ctx, presented, now)
}

// Len is how many keys are in force.
func (f *KeyFile) Len() int { return f.now.Load().keys.Len() }

// Reload reads the file again if it changed since, and reports whether it did.
// On an error the last good keys stay in force.
func (f *KeyFile) Reload() (changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, fmt.Errorf("key file: %w", err)
	}
	if last := f.now.Load(); last != nil && last.stamp.Equal(info.ModTime()) && last.size == info.Size() {
		return false, nil
	}
	next, err := readKeyFile(f.path)
	if err != nil {
		return false, err
	}
	f.now.Store(next)
	return true, nil
}

// Keep reloads the file every so often until ctx is done, and tells report what
// went wrong, once per state of the file.
func (f *KeyFile) Keep(ctx context.Context, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last string
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			last = f.tick(last, report)
		}
	}
}

func (f *KeyFile) tick(last string, report func(error)) string {
	_, err := f.Reload()
	if err == nil {
		return ""
	}
	if err.Error() != last {
		report(err)
	}
	return err.Error()
}

func readKeyFile(path string) (*loaded, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if err := fitToHold(path, info); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	keys, err := parseKeys(raw)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return &loaded{keys: keys, stamp: info.ModTime(), size: info.Size()}, nil
}

func fitToHold(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("key file %s: it is no regular file", path)
	}
	if info.Size() > maxKeyFile {
		return fmt.Errorf("key file %s: it has %d bytes; at most %d are read", path, info.Size(), maxKeyFile)
	}
	if open := info.Mode().Perm() & 0o027; open != 0 {
		return fmt.Errorf("key file %s: %w (mode %04o); run chmod 600 on it, or 640 for a group that may read it",
			path, ErrExposed, info.Mode().Perm())
	}
	return nil
}

func parseKeys(raw []byte) (*Keys, error) {
	raw = bytes.TrimSpace(raw)
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var keys []Key
	if bytes.HasPrefix(raw, []byte("[")) {
		if err := dec.Decode(&keys); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadKey, err)
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: something follows the array", ErrBadKey)
		}
		return NewKeys(keys)
	}
	for n := 1; dec.More(); n++ {
		var k Key
		if err := dec.Decode(&k); err != nil {
			return nil, fmt.Errorf("%w number %d: %w", ErrBadKey, n, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: there is none in the file", ErrBadKey)
	}
	return NewKeys(keys)
}
