package drill

import (
	"context"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// The scopes by which canaries are killed.
const (
	byJob      = "job"
	bySelector = "selector"
)

// canary is one of the drill's jobs, and what was seen of it.
type canary struct {
	id, scope string

	mu      sync.Mutex
	worker  string
	killed  time.Time // when its kill was asked for
	ended   time.Time // when its end was seen
	verdict client.Verdict

	heard chan struct{} // closed when its first event came
	over  chan struct{} // closed when its last did, or the watch broke off
}

// watch follows a canary to its last event.
func (c *canary) watch(ctx context.Context, cl *client.Client) {
	defer close(c.over)
	first := sync.OnceFunc(func() { close(c.heard) })
	defer first()
	for e, err := range cl.Events(ctx, c.id, "") {
		if err != nil {
			return
		}
		first()
		if e.Last() {
			c.mu.Lock()
			c.ended = time.Now()
			c.mu.Unlock()
		}
	}
}

// asked notes that its kill is asked for now.
func (c *canary) asked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = time.Now()
}

func (c *canary) runsOn(worker string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.worker = worker
}

func (c *canary) ran() (worker string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.worker
}

// result is what became of it: stopped is only what its worker confirmed.
func (c *canary) result() client.Drilled {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := client.Drilled{Scope: c.scope, Worker: c.worker}
	if c.verdict == client.Stopped && !c.ended.IsZero() && !c.killed.IsZero() {
		r.Stopped, r.Took = true, max(c.ended.Sub(c.killed), 0).Microseconds()
	}
	return r
}
