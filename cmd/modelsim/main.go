// Command modelsim is the simulated model server as a process of its own, for
// fleets that are tried out without a key: the protocol is real, the text is
// put together by rule and says "[simulated]". See package modelsim.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/cmd/internal/simulation"
)

func main() {
	os.Exit(settings.Process(os.Stderr, func(ctx context.Context, _ <-chan struct{}) error {
		var cfg simulation.Config
		err := settings.Parse("modelsim", "A simulated model server that speaks the OpenAI chat protocol.", &cfg, os.Args[1:], os.Environ(), os.Stdout)
		if err != nil {
			return err
		}
		return simulation.Run(ctx, cfg, func(addr string) { _, _ = fmt.Fprintln(os.Stderr, "modelsim listens on", addr) })
	}))
}
