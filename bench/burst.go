package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// gavelPeer is a fleet that keeps the receipts of what it killed.
type gavelPeer struct {
	*fleet

	mu     sync.Mutex
	orders []job.ID
}

func openGavel(url string) opener {
	return opener{"gavel", func(ctx context.Context, workers, slots int, w *waiter) (peer, error) {
		f, err := startFleet(ctx, url, fmt.Sprintf("burst%d", time.Now().UnixNano()), workers, slots/workers, w)
		return &gavelPeer{fleet: f}, err
	}}
}

func (p *gavelPeer) submit(ctx context.Context, n int) error { return p.submitMany(ctx, "b", n) }

func (p *gavelPeer) keep(r job.Receipt, err error) error {
	if err == nil {
		p.mu.Lock()
		p.orders = append(p.orders, r.Order.ID)
		p.mu.Unlock()
	}
	return err
}

func (p *gavelPeer) kill(ctx context.Context, id job.ID) error { return p.keep(p.fleet.kill(ctx, id)) }

func (p *gavelPeer) killAll(ctx context.Context) error {
	permit, err := access.Authorize(access.Actor{Subject: "kim", Roles: []access.Role{access.Admin}}, access.KillFleet, access.WholeFleet())
	if err != nil {
		return err
	}
	return p.keep(p.fleet.orders.KillAll(ctx, permit, job.Order{Reason: "bench", Freeze: true, RequestedAt: time.Now()}, ""))
}

// stopped adds up the receipts of all orders, until they are complete: each
// sums up, and nobody is waited for.
func (p *gavelPeer) stopped(ctx context.Context) (sum int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	defer cancel()
	for _, id := range p.orders {
		for {
			r, err := p.fleet.orders.Receipt(ctx, id)
			if err != nil && ctx.Err() == nil {
				continue // a reading; Redis did not take it
			}
			if err != nil {
				return sum, fmt.Errorf("receipt of %s: %w", id, err)
			}
			if !r.Tally.Sums() {
				return sum, fmt.Errorf("the receipt of %s does not sum up: %+v", id, r.Tally)
			}
			if r.Tally.Waiting == 0 {
				sum += r.Tally.Stopped
				break
			}
		}
	}
	return sum, nil
}

// storm starts n jobs, kills them as one order or one by one, and says how many
// contexts ended and when the last one did.
func storm(ctx context.Context, o opener, workers, n int, one bool) (r reach, err error) {
	w := newWaiter(n)
	p, err := o.open(ctx, workers, n, w)
	if err != nil {
		return r, err
	}
	defer func() { _ = p.close() }()
	ids, err := fill(ctx, p, w, n)
	if err != nil {
		return r, err
	}
	began := time.Now()
	asked := make(chan error, 1)
	go func() {
		if one {
			asked <- p.killAll(ctx)
		} else {
			asked <- burst(ctx, p, ids, 64)
		}
	}()
	r = w.measure(ids, began)
	if err := <-asked; err != nil {
		return r, err
	}
	g, ok := p.(*gavelPeer)
	if !ok {
		return r, nil
	}
	sum, err := g.stopped(ctx)
	if err == nil && sum != int64(n) {
		err = fmt.Errorf("the receipts say %d stopped of %d", sum, n)
	}
	return r, err
}

// benchStorm kills so many running jobs as one order and as single kills.
func benchStorm(ctx context.Context, url string, rows *Rows) error {
	pg, stop, err := startPostgres(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var errs []error
	systems := []opener{openGavel(url), asynqPeer(url), riverPeer(pg)}
	for _, k := range []struct {
		n    int
		one  bool
		work string
	}{
		{2000, true, "kill 2,000 running jobs on 20 workers as one order"},
		{5000, true, "kill 5,000 running jobs on 20 workers as one order"},
		{5000, false, "kill 5,000 running jobs on 20 workers one by one"},
	} {
		var base float64
		for _, o := range systems {
			r, err := storm(ctx, o, 20, k.n, k.one)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", o.name, k.work, err))
				continue
			}
			row := Row{Work: k.work, System: o.name, Metric: "last cancelled", Value: ms(r.last), Unit: "ms", Conditions: how(o.name, k.one)}
			if o.name == systems[0].name {
				base = row.Value
			} else if base > 0 {
				row.Ratio, row.Of = row.Value/base, systems[0].name
			}
			rows.add(row)
			rows.add(Row{Work: k.work, System: o.name, Metric: "reached", Value: float64(r.reached), Unit: "jobs", Conditions: how(o.name, k.one)})
		}
	}
	return errors.Join(errs...)
}

// how says what a system was asked to do.
func how(system string, one bool) string {
	switch {
	case system == "gavel" && one:
		return "one order; its receipt is complete and says the same"
	case system == "gavel":
		return "64 callers; every receipt is complete, and they sum up"
	case one && system == "asynq":
		return "list what is active, cancel each from 16 callers"
	case one:
		return "list what runs, cancel each from 16 callers; no fsync"
	case system == "river":
		return "64 callers; no fsync"
	default:
		return "64 callers"
	}
}
