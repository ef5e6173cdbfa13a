package dev

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dispatcher"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/cmd/internal/worker"
	"github.com/rtfm-si/gavel/internal/modelsim"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Fleet is a running one.
type Fleet struct {
	cfg     Config
	log     *zap.Logger
	memory  *rediskit.Memory // nil with a real Redis
	sim     *simulation      // nil with a real model server
	door    *process
	workers []*process
	url     string
	failed  chan error
}

// Start starts a fleet and returns when its dispatcher answers and every worker
// is on its table. ctx bounds the start only. It returns an error that wraps
// [ErrConfig], one that wraps [context.DeadlineExceeded] when the parts did not
// find each other or their Redis, or that of the part that failed.
func Start(ctx context.Context, cfg Config, log *zap.Logger) (*Fleet, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Fleet{cfg: cfg, log: log, failed: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := f.start(ctx); err != nil {
		f.Hurry()
		_ = f.Close() // what went wrong is said by err
		return nil, err
	}
	return f, nil
}

func (f *Fleet) start(ctx context.Context) error {
	redis, err := f.redis() //nolint:contextcheck // the embedded Redis lives until Close, not until ctx ends
	if err != nil {
		return err
	}
	if f.cfg.ModelURL == "" {
		if f.sim, err = simulate(ctx, f.cfg.Simulation); err != nil {
			return err
		}
		f.cfg.ModelURL, f.cfg.ModelKeyFile, f.cfg.Model = f.sim.url, "", modelsim.Model
	}
	if err := f.openDoor(ctx, redis); err != nil {
		return err
	}
	for n := range f.cfg.Workers {
		if err := f.startWorker(ctx, redis, fmt.Sprintf("worker-%d", n+1)); err != nil {
			return err
		}
	}
	return f.meet(ctx)
}

// redis is the settings of the real one, or of a new embedded one.
func (f *Fleet) redis() (settings.Redis, error) {
	r := settings.Redis{Address: settings.Address{URL: f.cfg.Redis, Fleet: f.cfg.Fleet}, Partitions: 1, Profile: rediskit.Server}
	if r.URL != "" {
		return r, nil
	}
	var err error
	if f.memory, err = rediskit.StartMemory(); err != nil {
		return r, err
	}
	r.URL, r.Profile = f.memory.URL, rediskit.Embedded
	return r, nil
}

// openDoor starts the dispatcher with the settings its binary would have.
func (f *Fleet) openDoor(ctx context.Context, redis settings.Redis) error {
	cfg, err := dispatcher.Parse([]string{"--keys-file=none"}, nil, io.Discard) // Auth is asked instead
	if err != nil {
		return err
	}
	cfg.Canary.Canary = true // everybody here is at the same desk
	if cfg.Auth, err = authenticator(); err != nil {
		return err
	}
	if _, cfg.AuditKey, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return fmt.Errorf("draw the audit key: %w", err)
	}
	cfg.Redis, cfg.Listen, cfg.Hosts, cfg.Version = redis, f.cfg.Listen, nil, f.cfg.Version
	ready := make(chan string, 1)
	f.door = begin(ctx, "dispatcher", f.failed, func(ctx context.Context, _ *process) error {
		return dispatcher.Run(ctx, cfg, f.log, func(addr string) { ready <- addr })
	})
	select {
	case addr := <-ready:
		f.url = "http://" + addr
		return nil
	case err := <-f.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the dispatcher does not start; is there a Redis at %s? %w", place(redis.URL), context.Cause(ctx))
	}
}

// startWorker starts a worker with the settings its binary would have.
func (f *Fleet) startWorker(ctx context.Context, redis settings.Redis, id string) error {
	cfg, err := worker.Parse(nil, nil, io.Discard)
	if err != nil {
		return err
	}
	cfg.Canary.Canary = true
	cfg.Redis, cfg.ID, cfg.Slots, cfg.Listen, cfg.Version = redis, id, f.cfg.Slots, "", f.cfg.Version
	cfg.ModelURL, cfg.ModelKeyFile, cfg.Model = f.cfg.ModelURL, f.cfg.ModelKeyFile, f.cfg.Model
	cfg.ModelBills = f.sim != nil
	f.workers = append(f.workers, begin(ctx, id, f.failed, func(ctx context.Context, p *process) error {
		return worker.Run(ctx, cfg, p.hurry, f.log)
	}))
	return nil
}

// place is a Redis URL without its password.
func place(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the given URL"
	}
	return u.Redacted()
}

// meet waits until every worker has been seen.
func (f *Fleet) meet(ctx context.Context) error {
	c, err := client.New(f.url, client.WithKey(Admin))
	if err != nil {
		return fmt.Errorf("ask the fleet: %w", err)
	}
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	for {
		fleet, err := c.Fleet(ctx)
		if err == nil && f.complete(fleet) {
			return nil
		}
		select {
		case err := <-f.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("not every worker started: %w", errors.Join(context.Cause(ctx), err))
		case <-look.C:
		}
	}
}

func (f *Fleet) complete(seen client.Fleet) bool {
	for _, w := range f.workers {
		if !slices.ContainsFunc(seen.Workers, func(row client.Worker) bool { return row.ID == w.name }) {
			return false
		}
	}
	return true
}

// URL is where the API answers.
func (f *Fleet) URL() string { return f.url }

// Name is the fleet's name.
func (f *Fleet) Name() string { return f.cfg.Fleet }

// Workers are the names of its workers.
func (f *Fleet) Workers() []string {
	var out []string
	for _, w := range f.workers {
		out = append(out, w.name)
	}
	return out
}

// Witness says what the simulated model server was asked; nil with a real one.
func (f *Fleet) Witness() *modelsim.Witness {
	if f.sim == nil {
		return nil
	}
	return f.sim.Witness
}

// Failed gives the error of a part that ended by itself.
func (f *Fleet) Failed() <-chan error { return f.failed }

// Drain ends one worker as SIGTERM would, and returns when it has left.
func (f *Fleet) Drain(id string) error {
	i := slices.IndexFunc(f.workers, func(p *process) bool { return p.name == id })
	if i < 0 {
		return fmt.Errorf("there is no worker %s; there are %v", id, f.Workers())
	}
	return f.workers[i].stop()
}

// Hurry skips what is left of the drains' waits, as a second signal would.
func (f *Fleet) Hurry() {
	for _, w := range f.workers {
		w.rush()
	}
}

// Close drains the workers, then closes everything else. It may be called again.
func (f *Fleet) Close() error {
	var errs []error
	for _, w := range f.workers {
		w.end()
	}
	for _, w := range f.workers {
		errs = append(errs, w.stop())
	}
	if f.door != nil {
		errs = append(errs, f.door.stop())
	}
	if f.sim != nil {
		errs = append(errs, f.sim.close())
		f.sim = nil
	}
	if f.memory != nil {
		f.memory.Close()
		f.memory = nil
	}
	return errors.Join(errs...)
}
