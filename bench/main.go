package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	url := flags.String("redis", "", "a Redis to fill; none starts a redis-server of our own")
	only := flags.String("only", "", "groups to run, separated by commas: kill, http, queued, flow, wake, killall, storm, backlog")
	out := flags.String("out", "", "also write the rows as JSON to this file")
	profile := flags.String("cpuprofile", "", "write a CPU profile of this process to a file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *profile != "" {
		done, err := profileTo(*profile)
		if err != nil {
			return err
		}
		defer done()
	}
	fresh := source(startRedis)
	if given := *url; given != "" {
		fresh = func(context.Context) (string, func(), error) { return given, func() {}, nil }
	}
	shared, stop, err := fresh(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var rows Rows
	var errs []error // a group that fails does not take the figures of the others
	for _, g := range groups(fresh) {
		if *only != "" && !strings.Contains(","+*only+",", ","+g.name+",") {
			continue
		}
		fmt.Fprintln(os.Stderr, "running", g.name)
		if err := g.run(ctx, shared, &rows); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", g.name, err))
		}
		if *out != "" {
			errs = append(errs, rows.save(*out))
		}
	}
	if err := rows.print(os.Stdout); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// profileTo writes a CPU profile until the function it returns is called.
func profileTo(path string) (done func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), f.Close())
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

type group struct {
	name string
	run  func(ctx context.Context, url string, rows *Rows) error
}

// source gives a Redis to fill: each time another one of our own, or always the
// one that was named.
type source func(ctx context.Context) (url string, stop func(), err error)

func groups(fresh source) []group {
	return []group{
		{"kill", benchKill},
		{"http", benchHTTP},
		{"queued", benchQueued},
		{"flow", benchFlow},
		{"wake", benchWake},
		{"killall", benchKillAll},
		{"storm", benchStorm},
		{"backlog", func(ctx context.Context, _ string, rows *Rows) error { return benchBacklog(ctx, fresh, rows) }},
	}
}

// backlog is how many jobs wait behind a kill-all: GAVEL_BENCH_BACKLOG, or 100,000.
func backlog() int {
	if n, err := strconv.Atoi(os.Getenv("GAVEL_BENCH_BACKLOG")); err == nil {
		return n
	}
	return 100_000
}

func benchKill(ctx context.Context, url string, rows *Rows) error {
	const work = "kill a running job: issue to cancelled context"
	floor, err := streamFloor(ctx, url, 1000)
	if err != nil {
		return err
	}
	rows.latencies(work, "stream floor", "XADD to a blocked XREAD, 1000 times", floor)
	ours, theirs, err := killPaired(ctx, url, 300, false)
	if err != nil {
		return err
	}
	base := rows.latencies(work, "asynq", "CancelProcessing in-process, 300 running on 1 worker, in turns with gavel", theirs)
	rows.latencies(work, "gavel", "in-process, with order and audit entry, 300 running on 1 worker", ours, base)
	took, err := killRunning(ctx, url, 20, 1000, 500)
	if err != nil {
		return err
	}
	rows.latencies(work, "gavel", "in-process, 1,000 running on 20 workers", took)
	return nil
}

func benchHTTP(ctx context.Context, url string, rows *Rows) error {
	const work = "kill a running job over HTTP: request to cancelled context"
	ours, theirs, err := killPaired(ctx, url, 300, true)
	if err != nil {
		return err
	}
	base := rows.latencies(work, "asynq", "CancelProcessing behind a thin handler, 300 running on 1 worker, in turns", theirs)
	rows.latencies(work, "gavel", "the dispatcher's door: order, audit entry and receipt, 300 running on 1 worker, in turns", ours, base)
	return nil
}

func benchQueued(ctx context.Context, url string, rows *Rows) error {
	const work = "kill a queued job: issue to receipt"
	took, floor, err := killQueued(ctx, url, 10_000, 1000)
	if err != nil {
		return err
	}
	base := rows.latencies(work, "script floor", "one script with HSET and XADD, 1000 times", floor)
	rows.latencies(work, "gavel", "in-process, 10,000 queued", took, base)
	return nil
}

func benchFlow(ctx context.Context, url string, rows *Rows) error {
	const work, cond = "submit to done, no-op job", "16 clients, 100 slots"
	floor, err := bareLoop(ctx, url, 40_000, 16, 16)
	if err != nil {
		return err
	}
	rows.flow(work, "bare stream loop", "one script per step, 16 clients, 16 takers", floor)
	theirs, err := asynqFlow(ctx, url, 20_000, 16, 4, 100)
	if err != nil {
		return err
	}
	rows.flow(work, "asynq", cond+", 4 servers", theirs)
	got, err := submitToDone(ctx, url, 20_000, 16, 4, 100)
	if err != nil {
		return err
	}
	rows.flow(work, "gavel", cond+", 4 workers", got, namedFlow{"bare stream loop", floor}, namedFlow{"asynq", theirs})
	return nil
}

func benchWake(ctx context.Context, url string, rows *Rows) error {
	const work = "submit to handler on an idle worker"
	theirs, err := asynqWake(ctx, url, 30)
	if err != nil {
		return err
	}
	base := rows.latencies(work, "asynq", "1 worker, default intervals, 30 times", theirs)
	took, err := wakeUp(ctx, url, 500)
	if err != nil {
		return err
	}
	rows.latencies(work, "gavel", "1 worker, 500 times", took, base)
	return nil
}
