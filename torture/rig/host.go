package rig

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed shim/shim.c
var shim []byte

// host is what the server's machine looks like to it.
type host struct {
	dir string
	// env has the server load the shim; Whole says why there is none.
	env   []string
	whole error
}

// newHost builds the shim that moves the server's clock, where there is a
// compiler for it.
func newHost(dir string) *host {
	h := &host{dir: dir}
	// A server that inherits this is told that its file may not grow, and not ended.
	signal.Ignore(syscall.SIGXFSZ)
	source, object, clock := filepath.Join(dir, "shim.c"), filepath.Join(dir, "shim.so"), filepath.Join(dir, "clock")
	h.whole = errors.Join(os.WriteFile(source, shim, 0o600), os.WriteFile(clock, make([]byte, 8), 0o600))
	if h.whole != nil {
		return h
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", object, source).CombinedOutput(); err != nil {
		h.whole = fmt.Errorf("no gcc that builds a shared object: %w %s", err, out)
		return h
	}
	h.env = []string{"LD_PRELOAD=" + object, "TORTURE_CLOCK=" + clock}
	return h
}

// CanJump says why the server's clock cannot be moved here; nil when it can.
func (r *Redis) CanJump(ctx context.Context) error {
	if r.host.whole != nil {
		return r.host.whole
	}
	err := r.Jump(24 * time.Hour)
	there, terr := r.Admin.Time(ctx).Result()
	err = errors.Join(err, terr, r.Jump(0))
	if err == nil && time.Until(there) < 12*time.Hour {
		err = errors.New("the server loads no shim; it is linked statically")
	}
	return err
}

// Jump sets the server's wall clock so far ahead of this machine's.
func (r *Redis) Jump(by time.Duration) error {
	return setClock(filepath.Join(r.host.dir, "clock"), by)
}

func setClock(file string, by time.Duration) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("move the clock: %w", err)
	}
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(by.Microseconds())), 0)
	return errors.Join(err, f.Close())
}

// Grow says how large the server's files may become, in bytes; as from a full
// disk it gets an error for what is beyond. 0 takes the limit away.
func (r *Redis) Grow(most uint64) error {
	return limit(r.process().pid(), unix.RLIMIT_FSIZE, most)
}

// limit sets a limit of a process; 0 sets it as high as it may be.
func limit(pid, what int, to uint64) error {
	var was unix.Rlimit
	if err := unix.Prlimit(pid, what, nil, &was); err != nil {
		return fmt.Errorf("read the limits of %d: %w", pid, err)
	}
	if to == 0 {
		to = was.Max
	}
	if err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: min(to, was.Max), Max: was.Max}, nil); err != nil {
		return fmt.Errorf("limit %d: %w", pid, err)
	}
	return nil
}

// File is the append-only file that the server writes now, and its size.
func (r *Redis) File() (name string, size int64) {
	all, _ := filepath.Glob(filepath.Join(r.dir, "appendonlydir", "*.incr.aof")) // a pattern of ours
	var last time.Time
	for _, n := range all {
		if s, err := os.Stat(n); err == nil && !s.ModTime().Before(last) {
			name, size, last = n, s.Size(), s.ModTime()
		}
	}
	return name, size
}

// Rewrite has the server write its file anew, and waits until it has.
func (r *Redis) Rewrite(ctx context.Context) error {
	if err := r.Admin.BgRewriteAOF(ctx).Err(); err != nil {
		return fmt.Errorf("rewrite the file: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for r.Info(ctx, "persistence", "aof_rewrite_in_progress")+r.Info(ctx, "persistence", "aof_rewrite_scheduled") > 0 {
		select {
		case <-ctx.Done():
			return errors.New("the file is not rewritten in time")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// Corrupt spoils the file of a server that does not run in its middle, between
// two commands, and returns what makes it whole again.
func (r *Redis) Corrupt() (mend func() error, err error) {
	name, _ := r.File()
	good, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("corrupt the file: %w", err)
	}
	at := bytes.LastIndex(good[:len(good)/2], []byte("\r\n*"))
	if at < 0 {
		return nil, errors.New("corrupt the file: it has no middle yet")
	}
	bad := bytes.Clone(good)
	copy(bad[at+2:], "\x00torture\xff")
	if err := os.WriteFile(name, bad, 0o600); err != nil {
		return nil, fmt.Errorf("corrupt the file: %w", err)
	}
	return func() error { return os.WriteFile(name, good, 0o600) }, nil
}

// Descriptors are how many files a process has open.
func (m *Member) Descriptors() int {
	p, _ := m.process()
	all, _ := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.pid()), "fd")) // one that has ended has none
	return len(all)
}

// Spare lets a process open no file with a number from there on; 0 lets it again.
func (m *Member) Spare(descriptors uint64) error {
	p, _ := m.process()
	if !p.alive() {
		return nil
	}
	return limit(p.pid(), unix.RLIMIT_NOFILE, descriptors)
}

// Jump sets the wall clock of a worker's place so far ahead of this machine's.
func (m *Member) Jump(by time.Duration) error { return setClock(m.clock(), by) }

func (m *Member) clock() string { return m.rig.path("clock-" + m.place) }
