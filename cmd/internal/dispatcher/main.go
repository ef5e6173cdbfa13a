package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// About is the first line of the help.
const About = "Gavel's door: takes jobs and kills over HTTP, checks who may, and sees orders through. It cannot run a job."

// keysEvery is how often the keys file is looked at for changes.
const keysEvery = 2 * time.Second

// maxStreams is how many event streams a dispatcher follows at once: each holds
// a connection while it waits.
const maxStreams = 512

// Main runs a dispatcher process until ctx ends and its requests are answered.
func Main(ctx context.Context, cfg Config, stderr io.Writer) error {
	log, level, err := telemetry.NewLogger(cfg.Telemetry(), stderr)
	if err != nil {
		return err
	}
	cfg.LogLevel = &level
	return Run(ctx, cfg, log, func(addr string) { log.Info("dispatcher listens", zap.String("addr", addr)) })
}

// Run is [Main] with a logger of the caller's; ready is told the address.
func Run(ctx context.Context, cfg Config, log *zap.Logger, ready func(addr string)) error {
	if err := cfg.Lease().Check(); err != nil {
		return err
	}
	var err error
	cfg.tracing, err = telemetry.NewTracing(ctx, telemetry.Process{Service: "gavel-dispatcher", Version: cfg.Version, Fleet: cfg.Fleet}, os.Getenv, log)
	if err != nil {
		return err
	}
	defer cfg.tracing.Close(ctx, telemetry.LastFlush)
	auth, err := cfg.front(ctx, log)
	if err != nil {
		return err
	}
	fleet, err := cfg.Connect(ctx, "gavel-dispatcher", settings.Conns{Jobs: 32, Control: maxStreams}, cfg.Lease().ReplicaLag(), log)
	if err != nil {
		return err
	}
	outside, err := cfg.Open(ctx, fleet.Partitions.Fleet)
	if err != nil {
		return errors.Join(err, fleet.Clients.Close())
	}
	p, err := wire(cfg, fleet, outside, auth, log)
	if err != nil {
		return errors.Join(err, fleet.Clients.Close())
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), fleet.Clients.Close())
	}
	secured, err := cfg.over(ln)
	if err != nil {
		return errors.Join(err, ln.Close(), fleet.Clients.Close())
	}
	unserve, err := cfg.Serve(context.WithoutCancel(ctx), telemetry.Private(p.metrics.Handler(), cfg.LogLevel), log)
	if err != nil {
		return errors.Join(err, ln.Close(), fleet.Clients.Close())
	}
	defer unserve()
	ready(ln.Addr().String())
	err = p.serve(ctx, secured)
	return errors.Join(err, fleet.Clients.Close())
}

// Parse reads flags and environment.
func Parse(args, env []string, out io.Writer) (Config, error) {
	var cfg Config
	err := settings.Parse("dispatcher", About, &cfg, args, env, out)
	return cfg, err
}
