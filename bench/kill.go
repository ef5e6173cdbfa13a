package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/job"
)

// streamFloor is what no kill over a stream can beat: an XADD on one connection
// until a blocked XREAD on another returns it.
func streamFloor(ctx context.Context, url string, n int) ([]time.Duration, error) {
	opt, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	in, out := redis.NewClient(opt), redis.NewClient(opt)
	defer func() { _ = in.Close(); _ = out.Close() }()
	key := fmt.Sprintf("{floor}:%d", time.Now().UnixNano())
	defer in.Del(context.WithoutCancel(ctx), key)
	heard := make(chan time.Time, 1)
	rctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		cursor := "0"
		for rctx.Err() == nil {
			got, err := out.XRead(rctx, &redis.XReadArgs{Streams: []string{key, cursor}, Count: 1, Block: time.Second}).Result()
			if err != nil {
				continue
			}
			cursor = got[0].Messages[0].ID
			heard <- time.Now()
		}
	}()
	defer func() { stop(); <-done }()
	var took []time.Duration
	for range n {
		at := time.Now()
		if err := in.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"order", "x"}}).Err(); err != nil {
			return nil, err
		}
		took = append(took, (<-heard).Sub(at))
		time.Sleep(time.Millisecond)
	}
	return took, nil
}

// killRunning measures a single kill, from issue to the cancelled context, with
// so many jobs running.
func killRunning(ctx context.Context, url string, workers, jobs, kills int) ([]time.Duration, error) {
	w := newWaiter(jobs)
	f, err := startFleet(ctx, url, fmt.Sprintf("kill%d", time.Now().UnixNano()), workers, jobs/workers, w)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.close() }()
	for i := range jobs {
		if _, err := f.submit(ctx, fmt.Sprint(i)); err != nil {
			return nil, err
		}
	}
	ids := make([]job.ID, jobs)
	for i := range ids {
		ids[i] = <-w.began
	}
	var took []time.Duration
	for _, id := range ids[:kills] {
		at := time.Now()
		if _, err := f.kill(ctx, id); err != nil {
			return nil, err
		}
		took = append(took, (<-w.end(id)).Sub(at))
		time.Sleep(time.Millisecond)
	}
	return took, nil
}

// killQueued measures the kill of a job that waits on the road: it is over when
// the call returns.
func killQueued(ctx context.Context, url string, backlog, kills int) (took, floor []time.Duration, err error) {
	f, err := startFleet(ctx, url, fmt.Sprintf("queued%d", time.Now().UnixNano()), 0, 0, nil)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.close() }()
	ids := make([]job.ID, backlog)
	for i := range ids {
		if ids[i], err = f.submit(ctx, fmt.Sprint(i)); err != nil {
			return nil, nil, err
		}
	}
	c := f.clients[0].Jobs
	echo := redis.NewScript(`redis.call('HSET', KEYS[1], 'a', ARGV[1]); redis.call('XADD', KEYS[2], 'MAXLEN', '~', '1000', '*', 'a', ARGV[1]); return 1`)
	for _, id := range ids[:kills] {
		at := time.Now()
		if err := echo.Run(ctx, c, []string{"{floor}:h", "{floor}:s"}, "x").Err(); err != nil {
			return nil, nil, err
		}
		floor = append(floor, time.Since(at))
		at = time.Now()
		r, err := f.kill(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		took = append(took, time.Since(at))
		if r.Verdict != job.NotRunning {
			return nil, nil, fmt.Errorf("job %s: verdict %q, want not_running", id, r.Verdict)
		}
	}
	c.Del(ctx, "{floor}:h", "{floor}:s")
	return took, floor, nil
}
