package drill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/client"
)

// The reasons why a fleet cannot be drilled.
var (
	// ErrFrozen: no canary would start.
	ErrFrozen = errors.New("the fleet is frozen: no canary would start")
	// ErrNoRoom: no worker, or none with a free slot.
	ErrNoRoom = errors.New("no worker has a free slot for a canary")
	// ErrNotStarted: the canaries waited for a worker in vain, or ended by
	// themselves.
	ErrNotStarted = errors.New("no canary was started")
)

// Config says how to drill.
type Config struct {
	// Admin kills, looks and writes down; Submitter submits, which an admin who
	// owns nothing may not.
	Admin, Submitter *client.Client
	// Owners are those on whose behalf a service submits, by turns; none is the
	// submitter's own.
	Owners []string
	// Canaries is how many; 0 is two for each worker, as far as slots are free.
	Canaries         int
	Reason, Incident string
	// Patience is how long to wait for canaries to start, and then to stop.
	Patience time.Duration
	// Tell is told how far it has come; nil for nobody.
	Tell func(text string)
}

// Canary is one canary of a finished drill.
type Canary struct {
	client.Drilled
	Job     string         `json:"job"`
	Verdict client.Verdict `json:"verdict"`
}

// Result is a drill that took place.
type Result struct {
	client.DrillResult
	// Canaries that did not stop are named.
	Missed []Canary `json:"missed,omitzero"`
}

const (
	// most bounds a drill: it is a test, and no load.
	most = 100
	// atOnce is how many requests are under way.
	atOnce = 16
	look   = 50 * time.Millisecond
	label  = "gavel-drill"
	// kind and steps: a canary that nobody kills ends by itself after 10 minutes.
	kind  = "canary"
	steps = 6000
)

// drill is one under way.
type drill struct {
	Config
	id       string
	canaries []*canary
	left     bool // some that were submitted are no part of it: they did not start
	watchers sync.WaitGroup
}

// Run drills, and returns what was written down. Every canary is over when it
// returns, as far as the fleet could be told.
func Run(ctx context.Context, cfg Config) (Result, error) {
	d := &drill{Config: cfg, id: rand.Text()[:12]}
	if d.Tell == nil {
		d.Tell = func(string) {}
	}
	watching, stop := context.WithCancel(ctx)
	defer d.watchers.Wait()
	defer stop()
	defer d.clear(ctx)
	workers, err := d.fill(ctx, watching)
	if err != nil {
		return Result{}, err
	}
	d.Tell(fmt.Sprintf("%d canaries run on %d of %d workers; killing one half one by one, the other by a selector", len(d.canaries), d.reached(), workers))
	if err := d.kill(ctx); err != nil {
		return Result{}, err
	}
	if err := d.settle(ctx); err != nil {
		return Result{}, err
	}
	return d.writeDown(ctx, workers)
}

// fill submits canaries until every worker with a free slot has one, as far as
// chance and slots allow, and waits until they run.
func (d *drill) fill(ctx, watching context.Context) (workers int, err error) {
	f, err := d.Admin.Fleet(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at the fleet: %w", err)
	}
	ready, free := able(f)
	switch {
	case f.Gate.Frozen:
		return 0, ErrFrozen
	case free == 0:
		return 0, ErrNoRoom
	}
	n := d.Canaries
	if n == 0 {
		n = 2 * len(ready)
	}
	n = min(n, free, most)
	d.Tell(fmt.Sprintf("submitting %d canaries to %d workers", n, len(ready)))
	for len(d.canaries) < n && !d.left {
		if err := d.submit(ctx, watching, n-len(d.canaries)); err != nil {
			return 0, err
		}
		if err := d.started(ctx); err != nil {
			return 0, err
		}
		// One more for each worker that none came to; the fast ones take more than
		// their share.
		if missing := len(ready) - d.reached(); missing > 0 && d.Canaries == 0 {
			n = min(len(d.canaries)+missing, free, most, 4*len(ready))
		}
	}
	return len(ready), nil
}

// able are the workers that take jobs, and how many they have room for. What a
// worker says of itself is seconds old; how many jobs run is not.
func able(f client.Fleet) (workers []string, free int) {
	room := -int(f.Jobs[client.Running] + f.Jobs[client.Killing] + f.Jobs[client.Queued])
	for _, w := range f.Workers {
		if w.Draining || w.Lost || w.Silent > 5 {
			continue
		}
		room += w.Slots
		if n := w.Slots - w.Running; n > 0 {
			workers = append(workers, w.ID)
			free += n
		}
	}
	return workers, max(min(free, room), 0)
}

func (d *drill) submit(ctx, watching context.Context, n int) error {
	for range n {
		i := len(d.canaries)
		c := &canary{scope: []string{byJob, bySelector}[i%2], heard: make(chan struct{}), over: make(chan struct{})}
		s := client.Submission{
			Kind: kind, Input: map[string]any{"steps": steps, "step_ms": 100}, Timeout: 10 * time.Minute, MaxAttempts: 1,
			Labels: map[string]string{label: d.id, label + "-by": c.scope},
		}
		if len(d.Owners) > 0 {
			s.Owner = d.Owners[i%len(d.Owners)]
		}
		got, err := d.Submitter.Submit(ctx, s)
		if err != nil {
			return fmt.Errorf("submit a canary: %w", err)
		}
		c.id = got.ID
		d.canaries = append(d.canaries, c)
		d.watchers.Go(func() { c.watch(watching, d.Admin) })
	}
	return nil
}

// started waits until the canaries run and are watched, and goes on with those
// that do: other jobs may have taken the slots.
func (d *drill) started(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, d.Patience)
	defer cancel()
	var running []*canary
	for _, c := range d.canaries {
		ran, err := d.runs(patient, c)
		if ctx.Err() != nil {
			return fmt.Errorf("the drill was interrupted: %w", context.Cause(ctx))
		}
		if err != nil {
			return err
		}
		if ran {
			wait(patient, c.heard, d.Patience)
			running = append(running, c)
		}
	}
	d.left = d.left || len(running) < len(d.canaries)
	if d.canaries = running; len(running) == 0 {
		return fmt.Errorf("%w within %s", ErrNotStarted, d.Patience)
	}
	return nil
}

// runs waits until a canary runs; it is false when the time is up.
func (d *drill) runs(ctx context.Context, c *canary) (bool, error) {
	for c.ran() == "" {
		j, err := d.Admin.Job(context.WithoutCancel(ctx), c.id)
		switch {
		case err != nil:
			return false, fmt.Errorf("look at a canary: %w", err)
		case j.State == client.Running:
			c.runsOn(j.Worker)
		case j.State.Over():
			return false, fmt.Errorf("%w: job %s is %s already (%s)", ErrNotStarted, c.id, j.State, j.Error)
		case ctx.Err() != nil:
			return false, nil //nolint:nilerr // the drill ended before it ran
		default:
			wait(ctx, nil, look)
		}
	}
	return true, nil
}

// wait waits for done, for so long, or for ctx.
func wait(ctx context.Context, done <-chan struct{}, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-done:
	case <-time.After(d):
	}
}

func (d *drill) reached() int {
	seen := map[string]bool{}
	for _, c := range d.canaries {
		if w := c.ran(); w != "" {
			seen[w] = true
		}
	}
	return len(seen)
}

func (d *drill) of(scope string) (out []*canary) {
	for _, c := range d.canaries {
		if c.scope == scope {
			out = append(out, c)
		}
	}
	return out
}

// kill kills one half one by one, and then the other half by a selector.
func (d *drill) kill(ctx context.Context) error {
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	singles := d.of(byJob)
	errs := make([]error, len(singles))
	for i, c := range singles {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c.asked()
			_, errs[i] = d.Admin.Kill(ctx, c.id, client.Kill{Reason: d.Reason, Incident: d.Incident})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("kill a canary: %w", err)
	}
	many := d.of(bySelector)
	if len(many) == 0 {
		return nil
	}
	return d.killMany(ctx, map[string]string{label: d.id, label + "-by": bySelector}, many)
}

// killMany kills what has these labels, under a preview.
func (d *drill) killMany(ctx context.Context, labels map[string]string, many []*canary) error {
	scope := client.Scope{Kind: bySelector, Selector: &client.Selector{Kind: kind, Labels: labels}}
	p, err := d.Admin.Preview(ctx, scope)
	if err != nil {
		return fmt.Errorf("preview the drill's order: %w", err)
	}
	for _, c := range many {
		c.asked()
	}
	if _, err := d.Admin.Issue(ctx, client.Order{Scope: scope, Reason: d.Reason, Incident: d.Incident, Token: p.Token}); err != nil {
		return fmt.Errorf("issue the drill's order: %w", err)
	}
	return nil
}

// settle waits for the ends, and reads how each came.
func (d *drill) settle(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, d.Patience)
	defer cancel()
	for _, c := range d.canaries {
		select {
		case <-patient.Done():
		case <-c.over:
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the drill was interrupted: %w", context.Cause(ctx))
	}
	for _, c := range d.canaries {
		j, err := d.Admin.Job(ctx, c.id)
		if err != nil {
			return fmt.Errorf("look at a canary: %w", err)
		}
		c.mu.Lock()
		if c.verdict = j.Verdict; j.State != client.Killed && c.verdict == "" {
			c.verdict = client.Waiting
		}
		c.mu.Unlock()
	}
	return nil
}

// writeDown puts the result into the audit and the metrics.
func (d *drill) writeDown(ctx context.Context, workers int) (Result, error) {
	var r Result
	all := client.Drill{Reason: d.Reason, Incident: d.Incident, Workers: workers}
	for _, c := range d.canaries {
		got := c.result()
		all.Canaries = append(all.Canaries, got)
		if !got.Stopped {
			r.Missed = append(r.Missed, Canary{got, c.id, c.verdict})
		}
	}
	var err error
	r.DrillResult, err = d.Admin.Drill(ctx, all)
	if err != nil {
		return r, fmt.Errorf("write the drill down: %w", err)
	}
	return r, nil
}

// clear kills what a drill that ended early has left.
func (d *drill) clear(ctx context.Context) {
	left := d.left || slices.ContainsFunc(d.canaries, func(c *canary) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.killed.IsZero()
	})
	if !left {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := d.killMany(last, map[string]string{label: d.id}, nil); err != nil {
		d.Tell(fmt.Sprintf("canaries of this drill are left, with the label %s=%s; they end by themselves within ten minutes: %v", label, d.id, err))
	}
}
