package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/beat"
	"github.com/rtfm-si/gavel/internal/budget"
	"github.com/rtfm-si/gavel/internal/control"
	"github.com/rtfm-si/gavel/internal/execution"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/lease"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/stream"
)

// fleet is Gavel in this process, wired as the binaries are, without HTTP.
type fleet struct {
	road    *stream.Redis
	orders  *control.Redis
	clients []rediskit.Clients
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// kindBench is the kind of every job here.
const kindBench = "bench"

// startFleet runs workers of so many slots each; ex runs every job.
func startFleet(ctx context.Context, url, name string, workers, slots int, ex job.Executor) (*fleet, error) {
	ctx, stop := context.WithCancel(ctx)
	f := &fleet{stop: stop}
	ps := rediskit.Partitions{Fleet: name, Count: 1}
	c, err := f.open(url, 64)
	if err != nil {
		return nil, err
	}
	run := rediskit.Runner{Client: c.Jobs, Profile: rediskit.Server}
	if _, err := rediskit.Establish(ctx, run, ps); err != nil {
		return nil, err
	}
	if f.road, err = stream.NewRedis(run, ps, stream.Config{}); err != nil {
		return nil, err
	}
	if f.orders, err = control.NewRedis(run, ps, beat.DefaultTiming().Take, zap.NewNop()); err != nil {
		return nil, err
	}
	for i := range workers {
		if err := f.worker(ctx, url, ps, fmt.Sprintf("w%d", i), slots, ex); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *fleet) open(url string, conns int) (rediskit.Clients, error) {
	c, err := rediskit.Open(rediskit.Config{URL: url, JobConns: conns})
	if err == nil {
		f.clients = append(f.clients, c)
	}
	return c, err
}

func (f *fleet) worker(ctx context.Context, url string, ps rediskit.Partitions, id string, slots int, ex job.Executor) error {
	c, err := f.open(url, 8)
	if err != nil {
		return err
	}
	run := rediskit.Runner{Client: c.Jobs, Profile: rediskit.Server}
	leases, err := lease.NewRedis(c, rediskit.Server, ps, id)
	if err != nil {
		return err
	}
	keeper, err := lease.NewKeeper(beat.DefaultTiming(), leases, ps.All(), func() []byte { return nil })
	if err != nil {
		return err
	}
	line, err := control.NewRedis(rediskit.Runner{Client: c.Control, Profile: rediskit.Server}, ps, time.Minute, zap.NewNop())
	if err != nil {
		return err
	}
	watch := control.NewWatch(line.Line(id), ps.All(), zap.NewNop())
	money, err := budget.NewRedis(run, ps)
	if err != nil {
		return err
	}
	journal, err := execution.NewRedis(run, ps, execution.States{})
	if err != nil {
		return err
	}
	w, err := execution.New(execution.Config{ID: id, Partitions: ps.All(), Slots: slots},
		execution.Rooms{Road: leases, Ender: leases, Keeper: keeper, Hints: watch, Table: leases, Money: money, Journal: journal},
		map[string]job.Executor{kindBench: ex}, zap.NewNop())
	if err != nil {
		return err
	}
	f.wg.Go(func() {
		watch.Run(ctx, func(h job.Hint) {
			if h.Gap {
				keeper.RenewNow(h.Partition)
				return
			}
			w.Deliver(h)
		})
	})
	f.wg.Go(func() { _ = w.Run(ctx) })
	return nil
}

// close drains the workers and closes every connection.
func (f *fleet) close() error {
	f.stop()
	f.wg.Wait()
	var errs []error
	for _, c := range f.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func (f *fleet) submit(ctx context.Context, key string) (job.ID, error) {
	a, err := f.road.Submit(ctx, job.Submission{
		Owner: "ann", Submitter: "ann", Kind: kindBench, Input: []byte("{}"),
		IdempotencyKey: key, Digest: "d",
	})
	return a.ID, err
}

// kill kills one job in-process, as the dispatcher does behind its handler.
func (f *fleet) kill(ctx context.Context, id job.ID) (job.Receipt, error) {
	permit, err := access.Authorize(access.Actor{Subject: "ann", Owner: "ann", Roles: []access.Role{access.Owner}},
		access.Kill, access.OneJob(id))
	if err != nil {
		return job.Receipt{}, err
	}
	return f.orders.Kill(ctx, permit, job.Order{Reason: "bench", RequestedAt: time.Now()}, "")
}

// waiter is an executor whose jobs run until they are cancelled; it tells when
// each began and when its context ended.
type waiter struct {
	began chan job.ID
	mu    sync.Mutex
	ended map[job.ID]chan time.Time
}

func newWaiter(room int) *waiter {
	return &waiter{began: make(chan job.ID, room), ended: map[job.ID]chan time.Time{}}
}

func (w *waiter) end(id job.ID) chan time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.ended[id]
	if c == nil {
		c = make(chan time.Time, 1)
		w.ended[id] = c
	}
	return c
}

// Execute implements job.Executor.
func (w *waiter) Execute(ctx context.Context, work job.Work, _ job.Runtime) (job.Result, error) {
	end := w.end(work.ID)
	w.began <- work.ID
	<-ctx.Done()
	end <- time.Now()
	return nil, context.Cause(ctx)
}
