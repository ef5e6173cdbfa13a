package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/job"
)

// counter is an executor that does nothing and counts.
type counter struct {
	n    atomic.Int64
	want int64
	done chan struct{}
}

// Execute implements job.Executor.
func (c *counter) Execute(context.Context, job.Work, job.Runtime) (job.Result, error) {
	if c.n.Add(1) == c.want {
		close(c.done)
	}
	return job.Result("{}"), nil
}

// submitToDone is how many no-op jobs a second go from submit to done, with so
// many submitting clients and slots.
func submitToDone(ctx context.Context, url string, jobs, clients, workers, slots int) (float64, error) {
	c := &counter{want: int64(jobs), done: make(chan struct{})}
	f, err := startFleet(ctx, url, fmt.Sprintf("flow%d", time.Now().UnixNano()), workers, slots/workers, c)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.close() }()
	began := time.Now()
	errs := make(chan error, clients)
	for n := range clients {
		go func() {
			for i := range jobs / clients {
				if _, err := f.submit(ctx, fmt.Sprintf("%d-%d", n, i)); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	select {
	case <-c.done:
	case err := <-errs:
		return 0, err
	}
	return float64(jobs) / time.Since(began).Seconds(), nil
}

// bareLoop is the floor: a stream with one script for each of submit, take and
// finish, which keeps a record and does nothing else.
func bareLoop(ctx context.Context, url string, jobs, clients, takers int) (float64, error) {
	opt, err := redis.ParseURL(url)
	if err != nil {
		return 0, err
	}
	opt.PoolSize = clients + takers + 2
	c := redis.NewClient(opt)
	defer func() { _ = c.Close() }()
	p := fmt.Sprintf("{bare%d}:", time.Now().UnixNano())
	add := redis.NewScript(`redis.call('HSET', KEYS[2] .. ARGV[1], 'state', 'queued'); redis.call('XADD', KEYS[1], '*', 'job', ARGV[1]); return 1`)
	take := redis.NewScript(`
local got = redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', ARGV[1], 'STREAMS', KEYS[1], '>')
if not got then return {} end
local out = {}
for _, e in ipairs(got[1][2]) do
  redis.call('HSET', KEYS[2] .. e[2][2], 'state', 'running')
  out[#out + 1] = e[2][2]
  redis.call('XACK', KEYS[1], 'g', e[1])
  redis.call('XDEL', KEYS[1], e[1])
end
return out`)
	finish := redis.NewScript(`redis.call('DEL', KEYS[2] .. ARGV[1]); return 1`)
	keys := []string{p + "road", p + "job:"}
	if err := c.XGroupCreateMkStream(ctx, keys[0], "g", "0").Err(); err != nil {
		return 0, err
	}
	defer c.Del(context.WithoutCancel(ctx), keys[0])
	began := time.Now()
	var wg sync.WaitGroup
	var done atomic.Int64
	for n := range clients {
		wg.Go(func() {
			for i := range jobs / clients {
				_ = add.Run(ctx, c, keys, fmt.Sprintf("%d-%d", n, i)).Err()
			}
		})
	}
	for range takers {
		wg.Go(func() {
			for done.Load() < int64(jobs) {
				ids, err := take.Run(ctx, c, keys, 6).StringSlice()
				if err != nil || len(ids) == 0 {
					time.Sleep(200 * time.Microsecond)
				}
				for _, id := range ids {
					_ = finish.Run(ctx, c, keys, id).Err()
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return float64(jobs) / time.Since(began).Seconds(), ctx.Err()
}

// wakeUp is how long a job waits between its submit and its handler when a
// worker is idle.
func wakeUp(ctx context.Context, url string, n int) ([]time.Duration, error) {
	heard := make(chan time.Time, 1)
	f, err := startFleet(ctx, url, fmt.Sprintf("wake%d", time.Now().UnixNano()), 1, 4, handler(func() { heard <- time.Now() }))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.close() }()
	var took []time.Duration
	for i := range n {
		time.Sleep(5 * time.Millisecond)
		at := time.Now()
		if _, err := f.submit(ctx, fmt.Sprint(i)); err != nil {
			return nil, err
		}
		took = append(took, (<-heard).Sub(at))
	}
	return took, nil
}

type handler func()

// Execute implements job.Executor.
func (h handler) Execute(context.Context, job.Work, job.Runtime) (job.Result, error) {
	h()
	return job.Result("{}"), nil
}
