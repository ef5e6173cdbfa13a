package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
	"github.com/rtfm-si/gavel/torture/rig"
)

// Load is the people.
type Load struct {
	// Patience is how long each step of [Load.Finish] may take; default a minute.
	Patience time.Duration

	rig   *rig.Rig
	seed  uint64
	pace  time.Duration
	admin *person
	all   []*person
	wg    sync.WaitGroup

	mu     sync.Mutex
	jobs   []known
	open   map[string]bool // orders that are not quiesced yet
	blocks map[string]bool // that stand
	pledge []pledge        // submits that were not answered yet
}

// known is a job that was accepted.
type known struct{ id, owner string }

// person is one who asks.
type person struct {
	*rig.Client

	name, owner string
	rng         *rand.Rand
	mu          sync.Mutex
	n           int
}

// next is a name for the person's next act, as its key and its reason.
func (p *person) next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	return fmt.Sprintf("%s-%d", p.name, p.n)
}

// New gathers the people. Each of the owners submits once per pace.
func New(r *rig.Rig, seed uint64, pace time.Duration) (*Load, error) {
	l := &Load{Patience: time.Minute, rig: r, seed: seed, pace: pace, open: map[string]bool{}, blocks: map[string]bool{}}
	var err error
	if l.admin, err = l.person("adam", "adam", 0); err != nil {
		return nil, err
	}
	for i, o := range r.Owners {
		p, err := l.person("client-"+o, o, uint64(i+1))
		if err != nil {
			return nil, err
		}
		l.all = append(l.all, p)
	}
	return l, nil
}

func (l *Load) person(proc, who string, n uint64) (*person, error) {
	c, err := l.rig.Client(proc, who)
	if err != nil {
		return nil, err
	}
	return &person{Client: c, name: proc, owner: who, rng: rand.New(rand.NewPCG(l.seed, n))}, nil
}

// Run lets them act until ctx ends, and waits for them.
func (l *Load) Run(ctx context.Context) {
	for _, p := range l.all {
		l.wg.Go(func() { l.every(ctx, p, l.pace, l.submit) })
		l.wg.Go(func() { l.every(ctx, p, 2*l.pace, l.read) })
		l.wg.Go(func() { l.every(ctx, p, 10*l.pace, l.killOne) })
		l.wg.Go(func() { l.every(ctx, p, 16*l.pace, l.bringBack) })
	}
	l.wg.Go(func() { l.every(ctx, l.admin, 16*l.pace, l.order) })
	l.wg.Go(func() { l.every(ctx, l.admin, l.pace/2, l.look) })
	l.wg.Go(func() { l.every(ctx, l.admin, 4*l.pace, l.adopt) })
	l.wg.Wait()
}

// every acts about once per period.
func (l *Load) every(ctx context.Context, p *person, period time.Duration, act func(context.Context, *person)) {
	for {
		p.mu.Lock()
		wait := period/2 + time.Duration(p.rng.Int64N(int64(period)))
		p.mu.Unlock()
		if !pause(ctx, wait) {
			return
		}
		act(ctx, p)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// draw draws a number below n.
func (p *person) draw(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(n)
}

// insist asks, with the same key, until it is answered for good or ctx ends.
func (l *Load) insist(ctx context.Context, p *person, a rig.Ask) rig.Answer {
	for {
		got := p.Do(context.WithoutCancel(ctx), a)
		if got.Type == history.OK || got.Type == history.Fail && !passing(got.Class) {
			return got
		}
		if !pause(ctx, 100*time.Millisecond+time.Duration(p.draw(200))*time.Millisecond) {
			return got
		}
	}
}

// passing says whether what was refused so may be granted later.
func passing(class string) bool {
	switch class {
	case "redis-unavailable", "not-ready", "not-sent":
		return true
	default:
		return false
	}
}

func (l *Load) accepted(id, owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = append(l.jobs, known{id, owner})
}

// some is one of the latest jobs, of an owner or of anybody.
func (l *Load) some(p *person, owner string) (known, bool) {
	l.mu.Lock()
	var of []known
	for i := len(l.jobs) - 1; i >= 0 && len(of) < 40; i-- {
		if owner == "" || l.jobs[i].owner == owner {
			of = append(of, l.jobs[i])
		}
	}
	l.mu.Unlock()
	if len(of) == 0 {
		return known{}, false
	}
	return of[p.draw(len(of))], true
}

func (l *Load) read(ctx context.Context, p *person) {
	if j, ok := l.some(p, p.owner); ok {
		p.Do(ctx, rig.Ask{Op: "read", Method: http.MethodGet, Path: "/v1/jobs/" + j.id, Event: history.Event{Job: j.id, Owner: p.owner}})
	}
}
