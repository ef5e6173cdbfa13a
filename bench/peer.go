package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// peer is a queue whose running jobs can be stopped, as its own documentation
// says. A system under test starts its workers when it is made.
type peer interface {
	// submit puts n jobs on the queue that run until they are cancelled.
	submit(ctx context.Context, n int) error
	// kill asks for one job to be stopped.
	kill(ctx context.Context, id job.ID) error
	// killAll stops everything that runs, the quickest way the system has.
	killAll(ctx context.Context) error
	close() error
}

// opener makes a peer with so many workers and slots in all; w is run by every
// job.
type opener struct {
	name string
	open func(ctx context.Context, workers, slots int, w *waiter) (peer, error)
}

// patience is how long a system has to reach every job before what is left
// counts as missed.
const patience = 30 * time.Second

// reach is how far a burst got.
type reach struct {
	last    time.Duration // the last cancelled context, after the request
	reached int
}

// fill starts n jobs and answers which run.
func fill(ctx context.Context, p peer, w *waiter, n int) ([]job.ID, error) {
	if err := p.submit(ctx, n); err != nil {
		return nil, err
	}
	ids := make([]job.ID, n)
	for i := range ids {
		select {
		case ids[i] = <-w.began:
		case <-time.After(2 * time.Minute):
			return nil, fmt.Errorf("only %d of %d jobs started", i, n)
		}
	}
	return ids, nil
}

// measure waits for the jobs' contexts, for as long as patience lasts.
func (w *waiter) measure(ids []job.ID, since time.Time) reach {
	late := make(chan struct{})
	defer time.AfterFunc(patience, func() { close(late) }).Stop()
	var r reach
	for _, id := range ids {
		end := w.end(id)
		select {
		case at := <-end:
			end <- at
		case <-late:
		}
		select {
		case at := <-end:
			r.reached++
			r.last = max(r.last, at.Sub(since))
		default:
		}
	}
	return r
}

// burst kills every job on its own, from so many callers at once.
func burst(ctx context.Context, p peer, ids []job.ID, callers int) error {
	work := make(chan job.ID)
	errs := make(chan error, callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for id := range work {
				if err := p.kill(ctx, id); err != nil {
					errs <- err
				}
			}
		})
	}
	for _, id := range ids {
		work <- id
	}
	close(work)
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}
