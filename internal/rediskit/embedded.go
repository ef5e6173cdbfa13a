package rediskit

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Memory is the embedded Redis of gavel dev and gavel demo: memory-only, in
// this process, for development.
type Memory struct {
	URL  string
	stop context.CancelFunc
	done chan struct{}
	mini *miniredis.Miniredis
}

// StartMemory starts one on a free loopback port. Its keys expire only when it
// is told that time passes, so it is told once a second until Close.
func StartMemory() (*Memory, error) {
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return nil, fmt.Errorf("start the embedded redis: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // it lives until Close, whoever started it
	mem := &Memory{URL: "redis://" + m.Addr(), stop: cancel, done: make(chan struct{}), mini: m}
	go mem.age(ctx)
	return mem, nil
}

func (m *Memory) age(ctx context.Context) {
	defer close(m.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.mini.FastForward(time.Second)
		}
	}
}

// Close stops it; everything it held is gone.
func (m *Memory) Close() {
	m.stop()
	<-m.done
	m.mini.Close()
}
