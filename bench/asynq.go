package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/job"
)

// asynqFleet is asynq in this process with its default intervals, one server
// per worker, on a queue of its own.
type asynqFleet struct {
	queue   string
	client  *asynq.Client
	inspect *asynq.Inspector
	servers []*asynq.Server
}

func openAsynq(url string, workers, slots int, h asynq.HandlerFunc) (*asynqFleet, error) {
	opt, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	at := asynq.RedisClientOpt{Addr: opt.Addr, PoolSize: 64}
	f := &asynqFleet{queue: fmt.Sprintf("q%d", time.Now().UnixNano()), client: asynq.NewClient(at), inspect: asynq.NewInspector(at)}
	for range workers {
		at.PoolSize = 16
		s := asynq.NewServer(at, asynq.Config{
			Concurrency: slots / workers, Queues: map[string]int{f.queue: 1}, LogLevel: asynq.FatalLevel, ShutdownTimeout: time.Second,
		})
		if err := s.Start(h); err != nil {
			return nil, fmt.Errorf("start asynq: %w", err)
		}
		f.servers = append(f.servers, s)
	}
	return f, nil
}

// asynqPeer opens asynq as a peer whose jobs wait to be cancelled.
func asynqPeer(url string) opener {
	return opener{"asynq", func(_ context.Context, workers, slots int, w *waiter) (peer, error) {
		return openAsynq(url, workers, slots, func(ctx context.Context, _ *asynq.Task) error {
			id, _ := asynq.GetTaskID(ctx)
			end := w.end(job.ID(id))
			w.began <- job.ID(id)
			<-ctx.Done()
			end <- time.Now()
			return fmt.Errorf("%w: %w", ctx.Err(), asynq.SkipRetry)
		})
	}}
}

func (f *asynqFleet) enqueue(ctx context.Context) error {
	_, err := f.client.EnqueueContext(ctx, asynq.NewTask("bench", []byte("{}")), asynq.Queue(f.queue), asynq.MaxRetry(0), asynq.Timeout(time.Hour))
	return err
}

func (f *asynqFleet) submit(ctx context.Context, n int) error {
	return parallel(16, n, func(int) error { return f.enqueue(ctx) })
}

func (f *asynqFleet) kill(_ context.Context, id job.ID) error {
	return f.inspect.CancelProcessing(string(id))
}

// killAll is what asynq offers: look what is active, cancel each.
func (f *asynqFleet) killAll(context.Context) error {
	for page := 1; ; page++ {
		ts, err := f.inspect.ListActiveTasks(f.queue, asynq.PageSize(1000), asynq.Page(page))
		if err != nil {
			return err
		}
		if err := parallel(16, len(ts), func(i int) error { return f.inspect.CancelProcessing(ts[i].ID) }); err != nil {
			return err
		}
		if len(ts) < 1000 {
			return nil
		}
	}
}

func (f *asynqFleet) close() error {
	var wg sync.WaitGroup
	for _, s := range f.servers {
		wg.Go(s.Shutdown)
	}
	wg.Wait()
	_ = f.client.Close()
	return f.inspect.Close()
}

// asynqFlow is how many no-op jobs a second go from submit to done.
func asynqFlow(ctx context.Context, url string, jobs, clients, workers, slots int) (flow, error) {
	var n atomic.Int64
	done := make(chan struct{})
	f, err := openAsynq(url, workers, slots, func(context.Context, *asynq.Task) error {
		if n.Add(1) == int64(jobs) {
			close(done)
		}
		return nil
	})
	if err != nil {
		return flow{}, err
	}
	defer func() { _ = f.close() }()
	return passed(ctx, url, jobs, func() error {
		err := parallel(clients, jobs, func(int) error { return f.enqueue(ctx) })
		if err == nil {
			<-done
		}
		return err
	})
}

// asynqWake is how long a job waits between its submit and its handler when a
// worker is idle.
func asynqWake(ctx context.Context, url string, n int) ([]time.Duration, error) {
	heard := make(chan time.Time, 1)
	f, err := openAsynq(url, 1, 4, func(context.Context, *asynq.Task) error { heard <- time.Now(); return nil })
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.close() }()
	var took []time.Duration
	for range n {
		time.Sleep(5 * time.Millisecond)
		at := time.Now()
		if err := f.enqueue(ctx); err != nil {
			return nil, err
		}
		took = append(took, (<-heard).Sub(at))
	}
	return took, nil
}

// parallel calls f(0) … f(n-1) from so many callers.
func parallel(callers, n int, f func(i int) error) error {
	errs := make(chan error, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < n; i += callers {
				if err := f(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}
