package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
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
	only := flags.String("only", "", "groups to run, separated by commas: kill, queued, flow, wake, killall")
	out := flags.String("out", "", "also write the rows as JSON to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *url == "" {
		own, stop, err := startRedis(ctx)
		if err != nil {
			return err
		}
		defer stop()
		*url = own
	}
	var rows Rows
	for _, g := range groups() {
		if *only != "" && !strings.Contains(","+*only+",", ","+g.name+",") {
			continue
		}
		fmt.Fprintln(os.Stderr, "running", g.name)
		if err := g.run(ctx, *url, &rows); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	if err := rows.print(os.Stdout); err != nil {
		return err
	}
	if *out != "" {
		return rows.save(*out)
	}
	return nil
}

type group struct {
	name string
	run  func(ctx context.Context, url string, rows *Rows) error
}

func groups() []group {
	return []group{{"kill", benchKill}, {"queued", benchQueued}, {"flow", benchFlow}, {"wake", benchWake}, {"killall", benchKillAll}}
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
	base := rows.latencies(work, "stream floor", "XADD to a blocked XREAD, 1000 times", floor, nil)
	for _, n := range []struct{ workers, jobs int }{{1, 100}, {20, 1000}} {
		took, err := killRunning(ctx, url, n.workers, n.jobs, min(n.jobs, 500))
		if err != nil {
			return err
		}
		rows.latencies(work, "gavel", fmt.Sprintf("in-process, %d running on %d workers", n.jobs, n.workers), took, &base)
	}
	return nil
}

func benchQueued(ctx context.Context, url string, rows *Rows) error {
	const work = "kill a queued job: issue to receipt"
	took, floor, err := killQueued(ctx, url, 10_000, 1000)
	if err != nil {
		return err
	}
	base := rows.latencies(work, "script floor", "one script with HSET and XADD, 1000 times", floor, nil)
	rows.latencies(work, "gavel", "in-process, 10,000 queued", took, &base)
	return nil
}

func benchFlow(ctx context.Context, url string, rows *Rows) error {
	const work, cond = "submit to done, no-op job", "16 clients, 100 slots"
	floor, err := bareLoop(ctx, url, 40_000, 16, 16)
	if err != nil {
		return err
	}
	rows.rate(work, "bare stream loop", "one script per step, 16 clients, 16 takers", floor, 0, "")
	got, err := submitToDone(ctx, url, 20_000, 16, 4, 100)
	if err != nil {
		return err
	}
	rows.rate(work, "gavel", cond+", 4 workers", got, floor, "bare stream loop")
	return nil
}

func benchWake(ctx context.Context, url string, rows *Rows) error {
	took, err := wakeUp(ctx, url, 500)
	if err != nil {
		return err
	}
	rows.latencies("submit to handler on an idle worker", "gavel", "in-process, 1 worker", took, nil)
	return nil
}
