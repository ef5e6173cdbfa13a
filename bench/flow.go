package main

import (
	"context"
	"fmt"
	"strconv"
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

// flow is how many jobs a second went through, and what each cost Redis.
type flow struct {
	rate float64
	cpu  time.Duration
}

// passed measures the flow of so many jobs that do lets through.
func passed(ctx context.Context, url string, jobs int, do func() error) (flow, error) {
	opt, err := redis.ParseURL(url)
	if err != nil {
		return flow{}, err
	}
	c := redis.NewClient(opt)
	defer func() { _ = c.Close() }()
	before, err := redisCPU(ctx, c)
	if err != nil {
		return flow{}, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return flow{}, err
	}
	took := time.Since(began)
	after, err := redisCPU(ctx, c)
	return flow{rate: float64(jobs) / took.Seconds(), cpu: (after - before) / time.Duration(jobs)}, err
}

// redisCPU is what Redis's main thread has used of a CPU.
func redisCPU(ctx context.Context, c *redis.Client) (time.Duration, error) {
	info, err := c.InfoMap(ctx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, name := range []string{"used_cpu_user_main_thread", "used_cpu_sys_main_thread"} {
		n, err := strconv.ParseFloat(info["CPU"][name], 64)
		if err != nil {
			return 0, fmt.Errorf("INFO cpu: %s: %w", name, err)
		}
		sum += n
	}
	return time.Duration(sum * float64(time.Second)), nil
}

// submitToDone is the flow of no-op jobs from submit to done, with so many
// submitting clients and slots.
func submitToDone(ctx context.Context, url string, jobs, clients, workers, slots int) (flow, error) {
	c := &counter{want: int64(jobs), done: make(chan struct{})}
	f, err := startFleet(ctx, url, fmt.Sprintf("flow%d", time.Now().UnixNano()), workers, slots/workers, c)
	if err != nil {
		return flow{}, err
	}
	defer func() { _ = f.close() }()
	return passed(ctx, url, jobs, func() error {
		err := parallel(clients, jobs, func(i int) error {
			_, err := f.submit(ctx, strconv.Itoa(i))
			return err
		})
		if err == nil {
			<-c.done
		}
		return err
	})
}

// bareLoop is the floor: a stream with one script for each of submit, take and
// finish, which keeps a record and does nothing else.
func bareLoop(ctx context.Context, url string, jobs, clients, takers int) (flow, error) {
	opt, err := redis.ParseURL(url)
	if err != nil {
		return flow{}, err
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
		return flow{}, err
	}
	defer c.Del(context.WithoutCancel(ctx), keys[0])
	return passed(ctx, url, jobs, func() error {
		var wg sync.WaitGroup
		var done atomic.Int64
		wg.Go(func() {
			_ = parallel(clients, jobs, func(i int) error { return add.Run(ctx, c, keys, strconv.Itoa(i)).Err() })
		})
		for range takers {
			wg.Go(func() {
				for done.Load() < int64(jobs) && ctx.Err() == nil {
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
		return ctx.Err()
	})
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
