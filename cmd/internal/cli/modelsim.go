package cli

import (
	"context"

	"github.com/rtfm-si/gavel/cmd/internal/simulation"
)

type modelsimCommand struct {
	simulation.Config `embed:""`
}

// Run serves the simulated model server until it is interrupted.
func (c *modelsimCommand) Run(ctx context.Context, d *desk) error {
	return simulation.Run(ctx, c.Config, func(addr string) {
		d.screen.Line("simulated model server at http://%s/v1, what it was asked at http://%s/witness", addr, addr)
		d.screen.Line("a worker uses it with --model-url http://%s/v1 --model simulated", addr)
	})
}
