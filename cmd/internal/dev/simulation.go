package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rtfm-si/gavel/internal/modelsim"
)

// simulation is the simulated model server, listening.
type simulation struct {
	*modelsim.Server
	url  string
	http *http.Server
	done chan struct{}
}

// simulate starts one on a free loopback port.
func simulate(ctx context.Context, cfg modelsim.Config) (*simulation, error) {
	srv, err := modelsim.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("simulated model server: %w", err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("simulated model server: %w", err)
	}
	s := &simulation{
		Server: srv, url: "http://" + ln.Addr().String() + "/v1", done: make(chan struct{}),
		http: &http.Server{Handler: srv.Handler(), ReadHeaderTimeout: 5 * time.Second},
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(ln) // it returns when it is closed
	}()
	return s, nil
}

func (s *simulation) close() error {
	err := s.http.Close()
	<-s.done
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("close the simulated model server: %w", err)
	}
	return nil
}
