package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rtfm-si/gavel/internal/checkpoint"
)

// Store is a directory. It is safe for concurrent use.
type Store struct{ root string }

// New returns the store in a directory that is there. It does not look at it;
// [Store.Check] does.
func New(root string) *Store { return &Store{root: root} }

// path is where a name is; it stays below the root.
func (s *Store) path(name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("%q is no name of a state", name)
	}
	return filepath.Join(s.root, filepath.FromSlash(name)), nil
}

// within does what may hang, and leaves it when ctx ends.
func within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	if err := ctx.Err(); err != nil {
		var none T
		return none, context.Cause(ctx)
	}
	done := make(chan answer, 1)
	go func() { // ends with the system call; a file system that hangs holds it
		v, err := do()
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		return a.v, a.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// Put implements [checkpoint.Store].
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	_, err = within(ctx, func() (struct{}, error) {
		if _, err := os.Stat(s.root); err != nil { // it is not for a worker to make it: what is mounted there is away
			return struct{}{}, fmt.Errorf("the directory of states is gone: %w", err)
		}
		return struct{}{}, write(path, data)
	})
	return err
}

func write(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make the job's folder: %w", err)
	}
	beside := path + ".part-" + rand.Text()[:8]
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write a state: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(beside, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return syncDir(dir)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("make a name durable: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements [checkpoint.Store].
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	data, err := within(ctx, func() ([]byte, error) { return os.ReadFile(path) })
	if errors.Is(err, fs.ErrNotExist) {
		// A root that is gone is a file system that is not mounted, and no lost state.
		if _, rootErr := os.Stat(s.root); rootErr != nil {
			return nil, fmt.Errorf("the directory of states is gone: %w", rootErr)
		}
		return nil, checkpoint.ErrGone
	}
	return data, err
}

// Remove implements [checkpoint.Store]; the last of a job takes its folder along.
func (s *Store) Remove(ctx context.Context, name string) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	_, err = within(ctx, func() (struct{}, error) {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if dir := filepath.Dir(path); err == nil && dir != filepath.Clean(s.root) {
			_ = os.Remove(dir) // it is refused while there is more in it
		}
		return struct{}{}, err
	})
	return err
}

// List implements [checkpoint.Store].
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	return within(ctx, func() ([]string, error) {
		var out []string // WalkDir goes in order, and the folders of jobs have names of one length
		from := filepath.Join(s.root, filepath.FromSlash(prefix[:strings.LastIndex(prefix, "/")+1]))
		err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went meanwhile, or never was
			}
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(s.root, path)
			name := filepath.ToSlash(rel)
			switch {
			case err != nil:
				return fmt.Errorf("list states: %w", err)
			case d.IsDir() && name+"/" < after && !strings.HasPrefix(after, name+"/") && path != from:
				return filepath.SkipDir
			case d.IsDir() || !strings.HasPrefix(name, prefix) || name <= after:
				return nil
			case len(out) == limit:
				return filepath.SkipAll
			}
			out = append(out, name)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list states: %w", err)
		}
		return out, nil
	})
}

// Check implements [checkpoint.Store].
func (s *Store) Check(ctx context.Context) error {
	info, err := os.Stat(s.root)
	if err != nil {
		return fmt.Errorf("look at the directory of states: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", s.root)
	}
	probe := ".probe-" + rand.Text()[:8]
	if err := s.Put(ctx, probe, []byte(probe)); err != nil {
		return err
	}
	data, err := s.Get(ctx, probe)
	if err == nil && string(data) != probe {
		err = errors.New("what was written is not what is read")
	}
	return errors.Join(err, s.Remove(ctx, probe))
}
