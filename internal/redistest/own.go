package redistest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
)

// Options are how a test's own server is set up. The zero value keeps
// everything in memory and evicts nothing.
type Options struct {
	// AOF is a directory for the append-only file, usually t.TempDir(). Empty:
	// the server forgets everything when it is killed.
	AOF string
	// Fsync is appendfsync: "always", "everysec" or "no". Empty is "always",
	// so that whatever was acknowledged is in the file.
	Fsync string
	// Config is added to the command line, as in "--maxmemory", "8mb".
	Config []string

	// ahead stands first on the command line: the file of a Sentinel, and that it
	// is one. It is no data server then, and takes nothing else.
	ahead []string
}

// args is the command line after --port.
func (o Options) args(dir string) []string {
	if o.ahead != nil {
		return slices.Concat([]string{"--dir", dir, "--protected-mode", "no"}, o.Config)
	}
	fsync := o.Fsync
	if fsync == "" {
		fsync = "always"
	}
	keep := "no"
	if o.AOF != "" {
		keep = "yes"
	}
	return slices.Concat([]string{
		"--dir", dir, "--save", "", "--appendonly", keep, "--appendfsync", fsync,
		"--maxmemory-policy", "noeviction", "--protected-mode", "no",
	}, o.Config)
}

// Own is a Redis that one test has for itself, to break.
type Own struct {
	Server

	engine engine
	t      testing.TB
	away   atomic.Bool // killed or stopped
}

// up reports whether the test lets the server run.
func (o *Own) up() bool { return !o.away.Load() }

// StartOwn starts a server for one test and ends it with the test. It ignores
// GAVEL_TEST_REDIS_URL: a server that others use is not to be broken.
func StartOwn(t testing.TB, o Options) *Own {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	e, err := launch(ctx, o)
	if err != nil {
		t.Fatalf("redistest: a server of its own: %v", err)
	}
	return owned(ctx, t, e)
}

// owned gives a started server to a test, to end with it.
func owned(ctx context.Context, t testing.TB, e engine) *Own {
	t.Helper()
	own := &Own{engine: e, t: t}
	t.Cleanup(func() { own.must("end", e.remove()) })
	own.Server = *newServer(t, "redis://"+e.addr()+"/0")
	own.must("start", answers(ctx, own.url))
	return own
}

// Kill ends the server as a crash does, and returns when it is gone.
func (o *Own) Kill() {
	o.t.Helper()
	o.away.Store(true)
	o.must("kill", o.engine.kill())
}

// Restart brings a killed server back on the same port, with what its AOF kept.
func (o *Own) Restart() {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	o.must("restart", o.engine.start(ctx))
	o.must("restart", answers(ctx, o.url))
	o.away.Store(false)
}

// Stop freezes the server: its connections stay open and nothing answers.
func (o *Own) Stop() {
	o.t.Helper()
	o.away.Store(true)
	o.must("stop", o.engine.freeze(true))
}

// Cont lets a stopped server go on.
func (o *Own) Cont() {
	o.t.Helper()
	o.must("continue", o.engine.freeze(false))
	o.away.Store(false)
}

func (o *Own) must(what string, err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatalf("redistest: %s the server: %v", what, err)
	}
}
