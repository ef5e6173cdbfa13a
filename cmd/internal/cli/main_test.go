package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/internal/modelsim"
	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "gavel" { // called by that name, for a shell, see binary
		err := Run(context.Background(), Process{Args: os.Args[1:], Env: os.Environ(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: "test"})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	redistest.Main(m)
}

// binary is a directory in which gavel is, for a shell's PATH.
func binary(t *testing.T) string {
	t.Helper()
	me, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(me, filepath.Join(dir, "gavel")))
	return dir
}

// town is a fleet and the people who use it from the command line.
type town struct {
	t     *testing.T
	fleet *dev.Fleet
}

func newTown(t *testing.T, sim modelsim.Config) town {
	t.Helper()
	r := redistest.Start(t)
	f, err := dev.Start(t.Context(), dev.Config{Redis: r.URL(), Fleet: r.Fleet, Workers: 2, Slots: 2, Simulation: sim}, zap.NewNop())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return town{t, f}
}

// quick is a model server whose deliberations take about a second.
func quick() modelsim.Config {
	return modelsim.Config{Seed: 3, Latency: 20 * time.Millisecond, Pace: 8000}
}

// slow is one whose deliberations are still running when they are looked at.
func slow() modelsim.Config {
	return modelsim.Config{Seed: 3, Latency: 300 * time.Millisecond, Pace: 100}
}

// said is what a command came to.
type said struct {
	t    *testing.T
	out  string
	err  error
	code int
}

// gavel runs a command line as somebody.
func (w town) gavel(who string, args ...string) said {
	w.t.Helper()
	return w.typed(w.t.Context(), strings.NewReader(""), who, args...)
}

func (w town) typed(ctx context.Context, in io.Reader, who string, args ...string) said {
	w.t.Helper()
	var out bytes.Buffer
	return w.run(ctx, Process{In: in, Out: &out, Err: &out}, who, args...)
}

func (w town) run(ctx context.Context, p Process, who string, args ...string) said {
	w.t.Helper()
	return outcome(ctx, w.t, p, append([]string{"--url", w.fleet.URL(), "--key", who}, args...)...)
}

func outcome(ctx context.Context, t *testing.T, p Process, args ...string) said {
	t.Helper()
	p.Args, p.Version = args, "test"
	err := Run(ctx, p)
	s := said{t: t, err: err}
	var f *Failure
	if errors.As(err, &f) {
		s.code = f.Code
	} else {
		require.NoError(t, err, "every error is a Failure")
	}
	if text, ok := p.Out.(fmt.Stringer); ok {
		s.out = text.String()
	}
	return s
}

// ok is a command that must succeed; it returns what it printed.
func (s said) ok() string {
	s.t.Helper()
	require.NoError(s.t, s.err, s.out)
	return s.out
}

// fails is a command that must end with the code, saying this.
func (s said) fails(code int, texts ...string) {
	s.t.Helper()
	require.Error(s.t, s.err, s.out)
	require.Equal(s.t, code, s.code, s.err.Error())
	for _, text := range texts {
		require.Contains(s.t, s.err.Error(), text)
	}
}

// into reads the JSON that a command printed.
func (s said) into(v any) {
	s.t.Helper()
	require.NoError(s.t, json.Unmarshal([]byte(s.out), v), s.out)
}

// submit submits an example and returns its id.
func (w town) submit(who, example string, more ...string) string {
	w.t.Helper()
	got := w.gavel(who, append([]string{"submit", "--json", "../../../examples/" + example + ".json"}, more...)...)
	got.ok()
	var accepted struct {
		ID      string
		Created bool
	}
	got.into(&accepted)
	require.True(w.t, accepted.Created)
	return accepted.ID
}

// running waits until the job runs.
func (w town) running(who, id string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var j struct{ State string }
		s := w.gavel(who, "get", "--json", id)
		s.ok()
		s.into(&j)
		return j.State == "running"
	}, 10*time.Second, 20*time.Millisecond)
}

// tty is an output on which a line can be waited for.
type tty struct {
	mu   sync.Mutex
	text strings.Builder
	want string
	seen chan struct{}
}

func newTTY(want string) *tty { return &tty{want: want, seen: make(chan struct{})} }

func (w *tty) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if w.want != "" && strings.Contains(w.text.String(), w.want) {
		w.want = ""
		close(w.seen)
	}
	return len(p), nil
}

func (w *tty) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// file writes a file for a command to read.
func file(t *testing.T, text string) string {
	t.Helper()
	name := t.TempDir() + "/problem.json"
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}
