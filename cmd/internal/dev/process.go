package dev

import (
	"context"
	"fmt"
	"sync"
)

// process is one part of the fleet that runs until it is told to end.
type process struct {
	name string
	end  context.CancelFunc
	done chan struct{}
	err  error // set before done is closed

	hurry chan struct{}
	once  sync.Once
}

// begin runs a part until its end is asked for. One that ends earlier is told
// to failed.
func begin(ctx context.Context, name string, failed chan<- error, run func(ctx context.Context, p *process) error) *process {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &process{name: name, end: cancel, done: make(chan struct{}), hurry: make(chan struct{})}
	go func() {
		defer close(p.done)
		if p.err = run(ctx, p); p.err != nil {
			p.err = fmt.Errorf("%s: %w", name, p.err)
		}
		if ctx.Err() == nil {
			tell(failed, p)
		}
	}()
	return p
}

// tell reports an end that nobody asked for; whoever listens needs only one.
func tell(failed chan<- error, p *process) {
	err := p.err
	if err == nil {
		err = fmt.Errorf("%s ended by itself", p.name)
	}
	select {
	case failed <- err:
	default:
	}
}

// stop asks for the end and waits for it.
func (p *process) stop() error {
	p.end()
	<-p.done
	return p.err
}

// rush skips the waits of its drain.
func (p *process) rush() { p.once.Do(func() { close(p.hurry) }) }
