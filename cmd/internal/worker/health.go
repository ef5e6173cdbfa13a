package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/telemetry"
)

// probes serves /healthz and /readyz until ctx ends, and returns its address.
// Health is lost only when killed work ignores its context: the process must be
// replaced. Readiness is lost while draining, or when the fleet cannot see it.
func (p *wired) probes(ctx context.Context) (addr string, wait func(), err error) {
	if p.cfg.Listen == "" {
		return "", func() {}, nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.cfg.Listen)
	if err != nil {
		return "", nil, fmt.Errorf("listen for probes: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		say(w, p.worker.Status().Deaf == 0, "deaf: killed work does not return")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if len(p.gates.Losses()) > 0 {
			say(w, false, "authority lost: redis lost data, and nobody has adopted what it has now")
			return
		}
		say(w, !p.worker.Status().Draining && p.keeper.Fresh(), "draining, or no renewal within the trust window")
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("probes stopped", zap.Error(err))
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	return ln.Addr().String(), func() { stop(); _ = srv.Close(); <-done }, nil
}

// listen opens the listener for probes and the one for operators.
func (p *wired) listen(ctx context.Context) (addr string, stop func(), err error) {
	addr, unprobe, err := p.probes(ctx)
	if err != nil {
		return "", nil, err
	}
	unserve, err := p.cfg.Serve(ctx, telemetry.Private(p.metrics.Handler(), p.cfg.LogLevel), p.log)
	if err != nil {
		unprobe()
		return "", nil, err
	}
	return addr, func() { unserve(); unprobe() }, nil
}

func say(w http.ResponseWriter, ok bool, why string) {
	if !ok {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
