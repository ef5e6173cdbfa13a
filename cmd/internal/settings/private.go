package settings

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Serve serves what no client may reach until stop is called; an empty address
// is none. It returns when it listens.
func (p Private) Serve(ctx context.Context, h http.Handler, log *zap.Logger) (stop func(), err error) {
	if p.Private == "" {
		return func() {}, nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.Private)
	if err != nil {
		return nil, fmt.Errorf("listen for operators: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("the private listener stopped", zap.Error(err))
		}
	}()
	log.Info("metrics, profiles and log level", zap.String("addr", ln.Addr().String()))
	return func() { _ = srv.Close(); <-done }, nil
}
