package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/rtfm-si/gavel/internal/job"
)

// hold is a job that runs until it is cancelled.
type hold struct{}

// Kind implements river.JobArgs.
func (hold) Kind() string { return "hold" }

type holder struct {
	river.WorkerDefaults[hold]
	w *waiter
}

// Timeout implements river.Worker.
func (*holder) Timeout(*river.Job[hold]) time.Duration { return -1 }

// Work implements river.Worker.
func (h *holder) Work(ctx context.Context, j *river.Job[hold]) error {
	id := job.ID(strconv.FormatInt(j.ID, 10))
	end := h.w.end(id)
	h.w.began <- id
	<-ctx.Done()
	end <- time.Now()
	return river.JobCancel(ctx.Err())
}

// riverFleet is River in this process, one client per worker, on one database.
type riverFleet struct {
	pool    *pgxpool.Pool
	clients []*river.Client[pgx.Tx]
}

func riverPeer(url string) opener {
	return opener{"river", func(ctx context.Context, workers, slots int, w *waiter) (peer, error) {
		cfg, err := pgxpool.ParseConfig(url)
		if err != nil {
			return nil, err
		}
		cfg.MaxConns = int32(workers + 40)
		f := &riverFleet{}
		if f.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
			return nil, err
		}
		m, err := rivermigrate.New(riverpgxv5.New(f.pool), &rivermigrate.Config{Logger: quiet()})
		if err != nil {
			return nil, err
		}
		if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
			return nil, fmt.Errorf("migrate: %w", err)
		}
		if _, err := f.pool.Exec(ctx, "TRUNCATE river_job"); err != nil {
			return nil, err
		}
		for i := range workers {
			if err := f.worker(ctx, fmt.Sprintf("w%d", i), slots/workers, w); err != nil {
				return nil, err
			}
		}
		return f, nil
	}}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (f *riverFleet) worker(ctx context.Context, id string, slots int, w *waiter) error {
	ws := river.NewWorkers()
	river.AddWorker(ws, &holder{w: w})
	c, err := river.NewClient(riverpgxv5.New(f.pool), &river.Config{
		ID: id, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: slots}}, Workers: ws, Logger: quiet(), JobTimeout: -1,
	})
	if err != nil {
		return err
	}
	f.clients = append(f.clients, c)
	return c.Start(context.WithoutCancel(ctx))
}

func (f *riverFleet) submit(ctx context.Context, n int) error {
	all := make([]river.InsertManyParams, n)
	for i := range all {
		all[i] = river.InsertManyParams{Args: hold{}}
	}
	_, err := f.clients[0].InsertManyFast(ctx, all)
	return err
}

func (f *riverFleet) kill(ctx context.Context, id job.ID) error {
	n, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil {
		return err
	}
	_, err = f.clients[0].JobCancel(ctx, n)
	return err
}

// killAll is what River offers: look what is running, cancel each.
func (f *riverFleet) killAll(ctx context.Context) error {
	params := river.NewJobListParams().States(rivertype.JobStateRunning).First(10_000)
	list, err := f.clients[0].JobList(ctx, params)
	if err != nil {
		return err
	}
	return parallel(16, len(list.Jobs), func(i int) error {
		_, err := f.clients[0].JobCancel(ctx, list.Jobs[i].ID)
		return err
	})
}

func (f *riverFleet) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	errs := make([]error, len(f.clients))
	var wg sync.WaitGroup
	for i, c := range f.clients {
		wg.Go(func() { errs[i] = c.StopAndCancel(ctx) })
	}
	wg.Wait()
	f.pool.Close()
	return errors.Join(errs...)
}
