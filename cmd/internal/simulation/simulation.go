package simulation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rtfm-si/gavel/internal/modelsim"
)

// Config is the command line; no GAVEL_ variable configures a simulation.
type Config struct {
	Listen     string        `name:"listen" default:"127.0.0.1:8090" help:"Address of the protocol, under /v1, and of the witness, under /witness."`
	Seed       uint64        `name:"seed" default:"1" help:"The same seed gives the same answers, and the same faults to the same calls."`
	Latency    time.Duration `name:"latency" default:"200ms" help:"How long the first token takes."`
	Pace       int           `name:"pace" default:"200" help:"Tokens per second after it; 0 is all at once."`
	Throttle   int           `name:"throttle" default:"0" placeholder:"PER-MILLE" help:"Of a thousand requests, so many are answered with 429."`
	RetryAfter time.Duration `name:"retry-after" default:"1s" help:"What a 429 asks for, in whole seconds; 0 says nothing."`
	Errors     int           `name:"errors" default:"0" placeholder:"PER-MILLE" help:"Of a thousand requests, so many are answered with 503."`
	Hangs      int           `name:"hangs" default:"0" placeholder:"PER-MILLE" help:"Of a thousand requests, so many are never answered."`
	Cuts       int           `name:"cuts" default:"0" placeholder:"PER-MILLE" help:"Of a thousand requests, so many are answered half, and cut off."`
	Think      int           `name:"think" default:"0" placeholder:"TOKENS" help:"Think so many tokens before each answer, and bill them, as reasoning models do."`
	BillWhole  bool          `name:"bill-whole" help:"Bill an answer that the client cut off as if it had been read to its end."`
}

func (c Config) server() modelsim.Config {
	return modelsim.Config{
		Seed: c.Seed, Latency: c.Latency, Pace: c.Pace, RetryAfter: c.RetryAfter, Think: c.Think, BillWhole: c.BillWhole,
		ThrottlePerMille: c.Throttle, ErrorPerMille: c.Errors, HangPerMille: c.Hangs, CutPerMille: c.Cuts,
	}
}

// Run serves until ctx ends; ready is told the address.
func Run(ctx context.Context, cfg Config, ready func(addr string)) error {
	sim, err := modelsim.New(cfg.server())
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
