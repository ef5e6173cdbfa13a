package redistest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"
)

// startTime is how long a server may take until it answers. A container on a
// busy two-core machine takes seconds, a process milliseconds.
const startTime = 30 * time.Second

// ErrNoRedis is what the tests fail with when there is no Redis to be had. The
// person running them should do one of the things it names.
var ErrNoRedis = errors.New(`no Redis to test with. Do one of these:
  make redis                                   gets a redis-server for this machine
  make redis-image                             builds a Docker image the tests will use
  export GAVEL_TEST_REDIS_URL=redis://host/0   names a server that tests may write to
  export GAVEL_TEST_REDIS_IMAGE=redis:7        names an image that Docker already has`)

// engine runs one redis-server. Its methods are called by one goroutine.
type engine interface {
	// addr is where the server listens; it stays the same over start.
	addr() string
	// start starts the server on its port and data, after kill.
	start(ctx context.Context) error
	// kill ends it at once, as a crash would, and returns when it is gone.
	kill() error
	// freeze stops it without closing anything; false lets it go on.
	freeze(frozen bool) error
	// remove ends it and whatever it holds.
	remove() error
}

// launch starts a server in the best way this machine offers.
func launch(ctx context.Context, o Options) (engine, error) {
	if image := os.Getenv(EnvImage); image != "" {
		return startContainer(ctx, image, o)
	}
	if bin, err := exec.LookPath("redis-server"); err == nil {
		return startProcess(ctx, bin, o)
	}
	if hasImage(ctx, localImage) {
		return startContainer(ctx, localImage, o)
	}
	return nil, ErrNoRedis
}
