// Command modelsim is the simulated model server as a process of its own, for
// fleets that are tried out without a key: the protocol is real, the text is
// put together by rule and says "[simulated]". See package modelsim.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/modelsim"
)

// config is the command line; no GAVEL_ variable configures a simulation.
type config struct {
	Listen string `name:"listen" default:"127.0.0.1:8090" help:"Address of the protocol, under /v1, and of the witness, under /witness."`
	Seed   uint64 `name:"seed" default:"1" help:"The same seed gives the same answers."`
}

func main() {
	os.Exit(settings.Process(os.Stderr, func(ctx context.Context, _ <-chan struct{}) error {
		var cfg config
		err := settings.Parse("modelsim", "A simulated model server that speaks the OpenAI chat protocol.", &cfg, os.Args[1:], os.Environ(), os.Stdout)
		if err != nil {
			return err
		}
		return run(ctx, cfg, func(addr string) { _, _ = fmt.Fprintln(os.Stderr, "modelsim listens on", addr) })
	}))
}

// run serves until ctx ends; ready is told the address.
func run(ctx context.Context, cfg config, ready func(addr string)) error {
	sim, err := modelsim.New(modelsim.Demo(cfg.Seed))
	if err != nil {
		return fmt.Errorf("modelsim: %w", err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("modelsim: %w", err)
	}
	srv := &http.Server{Handler: sim.Handler(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	ready(ln.Addr().String())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("modelsim: %w", err)
	}
	return nil
}
