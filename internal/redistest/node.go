package redistest

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"
)

// ErrNoServerBinary is what a topology fails with where no redis-server is on the
// PATH: it is made of processes, on whatever Redis the other tests run.
var ErrNoServerBinary = errors.New("a cluster or a sentinel is made of processes, and no redis-server is on the PATH; make redis gets one")

// HighOptions are how a topology is set up. The zero value is a topology whose
// nodes keep an append-only file.
type HighOptions struct {
	// Config is added to the command line of each data node.
	Config []string
	// Patience is how long a silent node is waited for before it counts as down;
	// 0 means 2 s.
	Patience time.Duration
}

func (o HighOptions) patience() time.Duration {
	if o.Patience == 0 {
		return 2 * time.Second
	}
	return o.Patience
}

// startNode starts one node of a topology, which keeps what it has over a
// restart.
func startNode(t testing.TB, o Options) *Own {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redistest: %v", ErrNoServerBinary)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if o.ahead == nil {
		o.AOF, o.Fsync = t.TempDir(), "everysec" // a kill -9 loses nothing that was written
	}
	e, err := startProcess(ctx, bin, o)
	if err != nil {
		t.Fatalf("redistest: a node: %v", err)
	}
	return owned(ctx, t, e)
}

// await repeats a look until it is satisfied.
func await(t testing.TB, what string, look func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := look(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("redistest: %s: not within %s: %v", what, startTime, err)
		}
	}
}
