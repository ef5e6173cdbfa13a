package dispatcher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/api"
	"github.com/rtfm-si/gavel/internal/audit"
	"github.com/rtfm-si/gavel/internal/beat"
	"github.com/rtfm-si/gavel/internal/budget"
	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/console"
	"github.com/rtfm-si/gavel/internal/control"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/keyring"
	"github.com/rtfm-si/gavel/internal/problem"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/stream"
	"github.com/rtfm-si/gavel/internal/telemetry"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
)

// process is a wired dispatcher.
type process struct {
	cfg    Config
	fleet  settings.Fleet
	log    *zap.Logger
	road   *stream.Redis
	sweep  *checkpoint.Sweeper // nil while states are in Redis
	states *checkpoint.Outside // the same
	lost   func() []job.Loss
	clerk  control.Clerk
	trust  control.Authority
	door   *api.Door
	seal   *audit.Sealer // nil without a key
	money  budget.Clerk
	keys   *keyring.Copy
	acts   *audit.Redis

	metrics *telemetry.DispatcherMetrics
}

// wire joins the rooms.
func wire(cfg Config, fleet settings.Fleet, outside *checkpoint.Outside, front access.Front, log *zap.Logger) (*process, error) {
	p := &process{cfg: cfg, log: log}
	var orders *control.Redis
	p.metrics = telemetry.NewDispatcherMetrics(cfg.Version, func(ctx context.Context) (job.Fleet, error) { return orders.View(ctx) })
	fleet.Clients.Observe, fleet.Clients.Trace = p.metrics.Script, telemetry.ScriptSpan
	p.fleet = fleet
	ps := fleet.Partitions
	var err error
	orders, err = control.NewRedis(fleet.On(fleet.Clients.Lease), ps, cfg.Take, log)
	if err != nil {
		return nil, err
	}
	p.road, err = stream.NewRedis(fleet.Runner(), ps, stream.Config{
		Retention: cfg.Retention, IdempotencyFor: cfg.Idempotency, DefaultBudget: job.MicroUSD(cfg.DefaultBudget), Seen: orders.Seen, Outside: outside,
	})
	if err != nil {
		return nil, err
	}
	p.lost, orders.Store, p.states = orders.Losses, outside.Named, outside
	if outside != nil {
		outside.Told = p.metrics.Stored
		p.sweep = &checkpoint.Sweeper{Outside: outside, Records: p.road, For: cfg.CheckpointsSweep}
	}
	p.acts, err = audit.NewRedis(fleet.Runner(), ps)
	if err != nil {
		return nil, err
	}
	if p.seal, err = newSealer(cfg, p.acts, log); err != nil {
		return nil, err
	}
	keys, err := keyring.NewRedis(fleet.Runner(), ps)
	if err != nil {
		return nil, err
	}
	p.keys = keyring.NewCopy(keys)
	front.Store = p.keys
	if p.clerk, err = p.newClerk(orders); err != nil {
		return nil, err
	}
	p.trust = control.Authority{Control: orders, Asserts: true, Every: min(cfg.Renew, time.Second), Log: log}
	books, err := budget.NewRedis(fleet.Runner(), ps)
	if err != nil {
		return nil, err
	}
	limits, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	p.money = budget.Clerk{Books: books, Settings: limits, Stops: stops{orders}, Who: breaker().Who(), Tripped: p.metrics.Tripped, Reserved: p.metrics.Reserved, Log: log}
	waits, err := stream.NewRedis(fleet.On(fleet.Clients.Control), ps, stream.Config{})
	if err != nil {
		return nil, err
	}
	p.door, err = api.New(api.Config{
		Name: ps.Fleet, Partitions: ps.Count, Auth: front,
		Jobs: p.road, Events: waits, Orders: orders, Blocks: orders, Gate: orders, Drills: orders, Fleet: orders, Books: books, Raises: p.road, Checkpoints: p.road, Transcripts: p.road, Audit: p.acts, Keys: keys,
		CursorKey: fleet.CursorKey, Kinds: kinds(cfg), Models: models(), Ready: p.ready, Answered: p.metrics.Answered, Trace: cfg.tracing.Request, Limits: cfg.limits(), Drilled: p.drilled, Hosts: cfg.Hosts, Version: cfg.Version, Log: log,
	})
	return p, err
}

// kinds are the kinds of job the fleet runs, with the check of their input.
// A program checks its own.
func kinds(cfg Config) map[string]func([]byte) error {
	k := map[string]func([]byte) error{}
	for _, kind := range cfg.Kinds {
		k[kind] = nil
	}
	if cfg.Canary.Canary {
		k["canary"] = job.CheckCanary
	}
	k["deliberation"] = func(in []byte) error { _, err := problem.Parse(in); return err }
	return k
}

// models are what a deliberation's input names, for orders by model. What a
// program calls is known from its first paid call on.
func models() map[string]func([]byte) []string {
	return map[string]func([]byte) []string{"deliberation": func(in []byte) []string {
		asked, err := problem.Parse(in)
		if err != nil {
			return nil // its check has refused it
		}
		return asked.Named()
	}}
}

func (p *process) newClerk(orders *control.Redis) (control.Clerk, error) {
	if p.cfg.OrderKept != 0 && p.cfg.OrderKept < p.cfg.Retention {
		return control.Clerk{}, fmt.Errorf("--order-retention %s is less than --retention %s: the record of a killed job would name an order that is gone; raise the one or lower the other", p.cfg.OrderKept, p.cfg.Retention)
	}
	k := control.Clerk{Control: orders, Samplers: map[int]control.Sampler{}, Every: p.cfg.Renew, Retention: p.cfg.OrderKept, Quiesced: p.metrics.Quiesced, Log: p.log}
	name := "dispatcher-" + rand.Text()[:8]
	for _, part := range p.fleet.Partitions.All() {
		run := p.fleet.On(p.fleet.Clients.Lease)
		s, err := beat.NewSampler(run, p.fleet.Partitions.Slot(part), name, beat.NewStillness(p.cfg.Take, p.cfg.Renew))
		if err != nil {
			return k, err
		}
		k.Samplers[part] = s
	}
	return k, nil
}

// ready is whether Redis answers, on a cluster any part of it: whoever has to
// kill what is left needs a door.
func (p *process) ready(ctx context.Context) error {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	ps := p.fleet.Partitions
	said := make(chan error, ps.Count)
	for _, part := range ps.All() {
		go func() { said <- p.fleet.Clients.Jobs.HGet(cctx, ps.Slot(part).Of("meta"), "schema").Err() }()
	}
	var last error
	for range ps.All() {
		if last = <-said; last == nil {
			return nil
		}
	}
	return fmt.Errorf("ask redis for the fleet: %w", last)
}

// serve answers requests until ctx ends, then lets the open ones finish.
func (p *process) serve(ctx context.Context, ln net.Listener) error {
	page, err := console.New(p.door)
	if err != nil {
		return err
	}
	srv := api.NewServer(p.cfg.Listen, p.door, page)
	var wg sync.WaitGroup
	aside, stop := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { p.clerk.Run(aside) })
	wg.Go(func() { p.trust.Run(aside) })
	wg.Go(func() { p.forget(aside) })
	wg.Go(func() { p.sweepStates(aside) })
	wg.Go(func() { p.states.Run(aside) })
	wg.Go(func() { p.money.Run(aside) })
	wg.Go(func() { p.drills(aside) })
	wg.Go(func() {
		p.keys.Keep(aside, func(err error) {
			p.log.Warn("stored API keys not read; those last read stay in force for seconds", zap.Error(err))
		})
	})
	if p.seal != nil {
		wg.Go(func() { p.seal.Run(aside) })
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case <-ctx.Done():
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.Shutdown)
		err = srv.Shutdown(sctx)
		cancel()
		if served := <-failed; err == nil {
			err = served
		}
	case err = <-failed:
	}
	stop()
	wg.Wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
