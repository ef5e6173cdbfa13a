package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Drill writes down what a kill drill came to. Sent again with the same key it
// is the same act.
func (c *Redis) Drill(ctx context.Context, p access.Permit, d job.Drill, key string) error {
	if !p.Allows(access.Drill) {
		return ErrNoPermit
	}
	if err := d.Check(); err != nil {
		return fmt.Errorf("note the drill: %w", err)
	}
	if key == "" {
		key = rand.Text()
	}
	passed := "0"
	if d.Passed() {
		passed = "1"
	}
	slowest := d.Slowest()
	at := rediskit.Place{Slot: c.partitions.Slot(0), Idem: "drill-" + digest(p.Actor().Subject, key)}
	_, err := c.again(ctx, "drill", at, rediskit.Args{
		"who": p.Who(), "reason": d.Reason, "incident": d.Incident, "passed": passed, "canaries": len(d.Canaries), "stopped": d.Stopped(),
		"workers": d.Workers, "reached": d.Reached(), "slowest": slowest.Worker, "slowest_us": slowest.Took.Microseconds(),
		"job": measured(d, job.ScopeJob), "selector": measured(d, job.ScopeSelector),
	})
	if err != nil {
		return fmt.Errorf("note the drill: %w", err)
	}
	return nil
}

// measured is how many stopped under a scope, and the 50th and 99th percentile
// and the longest of their times in microseconds.
func measured(d job.Drill, scope job.ScopeKind) string {
	took := d.Took(scope)
	words := []string{strconv.Itoa(len(took))}
	for _, p := range []int{50, 99, 100} {
		words = append(words, strconv.FormatInt(job.Percentile(took, p).Microseconds(), 10))
	}
	return strings.Join(words, " ")
}
