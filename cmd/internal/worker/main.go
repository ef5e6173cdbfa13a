package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/execution"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// About is the first line of the help.
const About = "Runs Gavel's jobs: takes them from the road under a lease, obeys kills, and drains on SIGTERM or SIGINT (a second signal skips the grace)."

// Main runs a worker process until ctx ends and it has drained. A value on hurry
// skips the rest of the drain.
func Main(ctx context.Context, cfg Config, hurry <-chan struct{}, stderr io.Writer) error {
	log, level, err := telemetry.NewLogger(cfg.Telemetry(), stderr)
	if err != nil {
		return err
	}
	cfg.LogLevel = &level
	return Run(ctx, cfg, hurry, log)
}

// Run is [Main] with a logger of the caller's.
func Run(ctx context.Context, cfg Config, hurry <-chan struct{}, log *zap.Logger) error {
	if err := cfg.Lease().Check(); err != nil {
		return err
	}
	if cfg.Slots < 1 {
		return fmt.Errorf("slots: %d is outside 1–10000", cfg.Slots)
	}
	id, err := cfg.name()
	if err != nil {
		return err
	}
	cfg.tracing, err = telemetry.NewTracing(ctx, telemetry.Process{
		Service: "gavel-worker", Version: cfg.Version, Fleet: cfg.Fleet, Instance: id,
	}, os.Getenv, log)
	if err != nil {
		return err
	}
	err = work(ctx, cfg, id, hurry, log)
	if !errors.Is(err, execution.ErrDeaf) { // who leaves so leaves at once
		cfg.tracing.Close(ctx, telemetry.LastFlush)
	}
	return err
}

// work runs one worker from its first look at Redis to its last.
func work(ctx context.Context, cfg Config, id string, hurry <-chan struct{}, log *zap.Logger) error {
	fleet, err := cfg.Connect(ctx, "gavel-worker", settings.Conns{Jobs: cfg.Slots + 2*cfg.Partitions + 2, Control: 2*cfg.Partitions + 2}, cfg.Lease().ReplicaLag(), log)
	if err != nil {
		return err
	}
	outside, err := cfg.Open(ctx, fleet.Partitions.Fleet)
	if err != nil {
		return errors.Join(err, fleet.Clients.Close())
	}
	p, err := wire(cfg, id, fleet, outside, log)
	if err != nil {
		return errors.Join(err, fleet.Clients.Close())
	}
	addr, unprobe, err := p.listen(context.WithoutCancel(ctx))
	if err != nil {
		return errors.Join(err, fleet.Clients.Close())
	}
	log.Info("worker listens for probes", zap.String("addr", addr))
	over := make(chan struct{})
	go func() {
		select {
		case <-hurry:
			p.worker.Hurry()
		case <-over:
		}
	}()
	err = p.run(ctx)
	close(over)
	unprobe()
	if cerr := fleet.Clients.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("close redis: %w", cerr))
	}
	return err
}

// Parse reads flags and environment.
func Parse(args, env []string, out io.Writer) (Config, error) {
	var cfg Config
	err := settings.Parse("worker", About, &cfg, args, env, out)
	return cfg, err
}
