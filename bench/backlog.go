package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// slow is the command that held up everybody longest, by Redis's own clock.
type slow struct {
	took time.Duration
	what string
}

// watchSlow has Redis note what takes longer than a millisecond, until the
// function it returns is called.
func watchSlow(ctx context.Context, c redis.UniversalClient) (longest func() (slow, error), err error) {
	for name, value := range map[string]string{"slowlog-log-slower-than": "1000", "slowlog-max-len": "10000"} {
		if err := c.ConfigSet(ctx, name, value).Err(); err != nil {
			return nil, fmt.Errorf("watch for slow commands: %w", err)
		}
	}
	return func() (slow, error) {
		all, err := c.SlowLogGet(ctx, -1).Result()
		var worst slow
		for _, l := range all {
			if l.Duration > worst.took {
				worst = slow{took: l.Duration, what: inWords(l.Args)}
			}
		}
		return worst, err
	}, c.Do(ctx, "SLOWLOG", "RESET").Err()
}

// inWords is a command, or a script by the first keys of its header.
func inWords(args []string) string {
	if len(args) < 4 || !strings.HasPrefix(strings.ToLower(args[0]), "eval") {
		return strings.Join(args[:min(len(args), 2)], " ")
	}
	var keys []string
	for _, k := range args[3:min(len(args), 7)] {
		_, name, _ := strings.Cut(k, "}:")
		name, _, _ = strings.Cut(name, ":")
		keys = append(keys, name)
	}
	return "the script over " + strings.Join(keys, " ")
}

// An odd number of times each, for the median. A million jobs have to be put there
// anew for each time, and the last of them is swept.
const (
	emptyTimes = 9
	fullTimes  = 3
)

// benchBacklog is the same kill without and with a backlog, each time on a Redis
// of its own: what an earlier one has left would be in the way of the next.
func benchBacklog(ctx context.Context, from source, rows *Rows) error {
	const work = "kill-all with a backlog: request to nothing can start and every running context cancelled"
	var base time.Duration
	for _, c := range []struct{ times, queued int }{{emptyTimes, 0}, {fullTimes, backlog()}} {
		var took []time.Duration
		var last killAllResult
		for n := range c.times {
			r, err := killAllOn(ctx, from, c.queued, n == c.times-1)
			if err != nil {
				return err
			}
			took, last = append(took, r.stopped()), r
		}
		median := quantilesOf(took).p50
		cond := fmt.Sprintf("1,000 running on 20 workers, %d queued", c.queued)
		row := Row{
			Work: work, System: "gavel", Metric: "median", Value: ms(median), Unit: "ms", Conditions: fmt.Sprintf("%s, %d times", cond, c.times),
		}
		if base > 0 {
			row.Ratio, row.Of = ms(median)/ms(base), "0 queued"
		}
		base = median
		rows.add(row)
		rows.beside(last, cond)
	}
	return nil
}

func killAllOn(ctx context.Context, from source, queued int, through bool) (killAllResult, error) {
	url, stop, err := from(ctx)
	if err != nil {
		return killAllResult{}, err
	}
	defer stop()
	idle, stopIdle, err := startRedis(ctx)
	if err != nil {
		return killAllResult{}, err
	}
	defer stopIdle()
	return killAll(ctx, killAllCase{url: url, idle: idle, workers: 20, running: 1000, queued: queued, through: through})
}

// beside adds what others felt of a kill-all and its sweep, beside what they felt
// of a Redis that nobody uses on the same machine at the same time.
func (r *Rows) beside(res killAllResult, cond string) {
	const work = "kill-all and sweep: "
	for _, c := range []struct {
		system string
		p      pings
	}{{"idle redis", res.idle}, {"gavel", res.pings}} {
		row := Row{Work: work + "an unrelated client's PING", System: c.system, Conditions: cond}
		for _, m := range []struct {
			metric, unit string
			value        float64
		}{{"max", "ms", ms(c.p.worst)}, {"p99.9", "ms", ms(c.p.most)}, {"over 25 ms", "of " + fmt.Sprint(c.p.n), float64(c.p.over)}} {
			row.Metric, row.Unit, row.Value = m.metric, m.unit, m.value
			r.add(row)
		}
	}
	s := res.longest
	r.add(Row{Work: work + "longest script", System: "gavel", Metric: "max", Value: ms(s.took), Unit: "ms", Conditions: strings.TrimSuffix(cond+"; "+s.what, "; ")})
}
