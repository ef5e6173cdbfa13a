package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// killAllResult is what one order over a whole fleet did.
type killAllResult struct {
	recorded  time.Duration // the order is durable: nothing can start any more
	cancelled time.Duration // the last running context is cancelled
	quiesced  time.Duration // every worker has confirmed
	pings     pings         // of an unrelated client, until everything is booked
	idle      pings         // of the same to a Redis that nobody else uses, at the same time
	longest   slow          // of all that Redis did meanwhile
	receipt   job.Receipt
}

// stopped is when nothing can start and nothing runs any more.
func (r killAllResult) stopped() time.Duration { return max(r.recorded, r.cancelled) }

// pings is what an unrelated client saw.
type pings struct {
	n, over     int
	worst, most time.Duration // most: all but one in a thousand
}

// killAllCase is a fleet to kill. Idle is a Redis that nobody uses: what a PING
// there waits for is the machine's doing, and not the kill's. Through sees the kill
// through until everything is booked.
type killAllCase struct {
	url, idle                string
	workers, running, queued int
	through                  bool
}

// killAll measures one fleet order over so many running and queued jobs.
func killAll(ctx context.Context, k killAllCase) (killAllResult, error) {
	var res killAllResult
	w := newWaiter(k.running)
	name := fmt.Sprintf("all%d", time.Now().UnixNano())
	f, err := startFleet(ctx, k.url, name, k.workers, k.running/k.workers, w)
	if err != nil {
		return res, err
	}
	defer func() { _ = f.close() }()
	if err := f.submitMany(ctx, "r", k.running); err != nil {
		return res, err
	}
	ids := make([]job.ID, k.running)
	for i := range ids {
		ids[i] = <-w.began
	}
	if err := f.seed(ctx, name, k.queued); err != nil {
		return res, err
	}
	ping, idle := startPing(ctx, k.url), startPing(ctx, k.idle)
	longest, err := watchSlow(ctx, f.clients[0].Jobs)
	if err != nil {
		return res, err
	}
	began := time.Now()
	permit, err := access.Authorize(access.Actor{Subject: "kim", Roles: []access.Role{access.Admin}}, access.KillFleet, access.WholeFleet())
	if err != nil {
		return res, err
	}
	res.receipt, err = f.orders.KillAll(ctx, permit, job.Order{Reason: "bench", Freeze: true, RequestedAt: began}, "")
	if err != nil {
		return res, err
	}
	res.recorded = time.Since(began)
	for _, id := range ids {
		if at := <-w.end(id); at.Sub(began) > res.cancelled {
			res.cancelled = at.Sub(began)
		}
	}
	if k.through {
		err = f.seeThrough(ctx, &res, began)
	}
	res.pings, res.idle = ping(), idle()
	if err != nil {
		return res, err
	}
	res.longest, err = longest()
	if t := res.receipt.Tally; k.through && (t.Stopped != int64(k.running) || t.NotRunning != int64(k.queued)) {
		err = fmt.Errorf("want %d stopped and %d not running, the receipt says %+v", k.running, k.queued, t)
	}
	return res, err
}

// seeThrough sweeps until everything under the order is booked.
func (f *fleet) seeThrough(ctx context.Context, res *killAllResult, began time.Time) error {
	for order := res.receipt.Order.ID; ; {
		_, err := f.orders.Sweep(ctx, 0, order)
		if err != nil {
			return err
		}
		if res.receipt, err = f.orders.Receipt(ctx, order); err != nil {
			return err
		}
		if !res.receipt.Tally.Sums() {
			return fmt.Errorf("the receipt does not sum up: %+v", res.receipt.Tally)
		}
		if res.receipt.Stage != job.Quiesced {
			continue
		}
		if res.quiesced == 0 {
			res.quiesced = time.Since(began)
		}
		if res.receipt.Tally.Unbooked == 0 {
			return nil
		}
	}
}

func (f *fleet) submitMany(ctx context.Context, prefix string, n int) error {
	return parallel(16, n, func(i int) error {
		_, err := f.submit(ctx, fmt.Sprintf("%s%d", prefix, i))
		return err
	})
}

// startPing pings once a millisecond until the function it returns is called; with
// no url it does nothing.
func startPing(ctx context.Context, url string) func() pings {
	if url == "" {
		return func() pings { return pings{} }
	}
	opt, _ := redis.ParseURL(url)
	c := redis.NewClient(opt)
	ctx, stop := context.WithCancel(ctx)
	out := make(chan pings, 1)
	go func() {
		var p pings
		var all []time.Duration
		for ctx.Err() == nil {
			at := time.Now()
			if c.Ping(context.WithoutCancel(ctx)).Err() == nil {
				took := time.Since(at)
				all = append(all, took)
				if took > 25*time.Millisecond {
					p.over++
				}
			}
			time.Sleep(time.Millisecond)
		}
		slices.Sort(all)
		if p.n = len(all); p.n > 0 {
			p.worst, p.most = all[p.n-1], all[(p.n-1)*999/1000]
		}
		out <- p
	}()
	return func() pings { stop(); p := <-out; _ = c.Close(); return p }
}

// broadcastFloor is the bare broadcast: one XADD heard by so many blocked readers,
// until the last one has it; or, if each has contexts to cancel, until the last of
// those who wait for one has seen it end.
func broadcastFloor(ctx context.Context, url string, readers, contexts, n int) ([]time.Duration, error) {
	opt, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	opt.PoolSize = readers + 2
	c := redis.NewClient(opt)
	defer func() { _ = c.Close() }()
	key := fmt.Sprintf("{floor}:%d", time.Now().UnixNano())
	defer c.Del(context.WithoutCancel(ctx), key)
	b := broadcast{c: c, key: key, heard: make(chan time.Time, readers*max(1, contexts)), held: make([]held, readers)}
	rctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() { b.read(rctx, i, contexts == 0) })
	}
	defer func() { stop(); wg.Wait() }()
	var took []time.Duration
	for range n {
		b.hold(ctx, contexts)
		time.Sleep(20 * time.Millisecond)
		at := time.Now()
		if err := c.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"order", "x"}}).Err(); err != nil {
			return nil, err
		}
		var last time.Duration
		for range cap(b.heard) {
			last = max(last, (<-b.heard).Sub(at))
		}
		took = append(took, last)
	}
	return took, nil
}

// broadcast is one stream and who reads it.
type broadcast struct {
	c     *redis.Client
	key   string
	heard chan time.Time
	held  []held
}

// held are the contexts that one reader cancels.
type held struct {
	mu  sync.Mutex
	all []context.CancelFunc
}

// hold gives every reader so many contexts, and each of them somebody who waits.
func (b *broadcast) hold(ctx context.Context, contexts int) {
	for i := range b.held {
		b.held[i].mu.Lock()
		b.held[i].all = b.held[i].all[:0]
		for range contexts {
			ctx, cancel := context.WithCancel(ctx)
			b.held[i].all = append(b.held[i].all, cancel)
			go func() { <-ctx.Done(); b.heard <- time.Now() }()
		}
		b.held[i].mu.Unlock()
	}
}

// read hears until ctx ends, and cancels what reader i holds.
func (b *broadcast) read(ctx context.Context, i int, tell bool) {
	for cursor := "0"; ctx.Err() == nil; {
		got, err := b.c.XRead(ctx, &redis.XReadArgs{Streams: []string{b.key, cursor}, Count: 1, Block: time.Second}).Result()
		if err != nil {
			continue
		}
		cursor = got[0].Messages[0].ID
		if tell {
			b.heard <- time.Now()
		}
		b.held[i].mu.Lock()
		for _, cancel := range b.held[i].all {
			cancel()
		}
		b.held[i].mu.Unlock()
	}
}

func benchKillAll(ctx context.Context, url string, rows *Rows) error {
	const work = "kill-all: request to last context cancelled"
	heard, err := broadcastFloor(ctx, url, 20, 0, 50)
	if err != nil {
		return err
	}
	cancelled, err := broadcastFloor(ctx, url, 20, 100, 50)
	if err != nil {
		return err
	}
	bare := rows.latencies(work, "bare broadcast", "one XADD, 20 blocked readers, 50 times: until the last has it", heard)
	whole := rows.latencies(work, "bare broadcast that cancels", "the same, until the last of 2,000 contexts, 100 a reader, is cancelled", cancelled)
	var took, quiesced []time.Duration
	for range killAllTimes {
		r, err := killAll(ctx, killAllCase{url: url, workers: 20, running: 2000, through: true})
		if err != nil {
			return err
		}
		took, quiesced = append(took, r.cancelled), append(quiesced, r.quiesced)
	}
	cond := fmt.Sprintf("2,000 running on 20 workers, %d times", killAllTimes)
	rows.latencies(work, "gavel", cond, took, bare, whole)
	rows.latencies("kill-all: request to quiesced", "gavel", cond, quiesced)
	return nil
}

// killAllTimes is odd, for the median.
const killAllTimes = 9
