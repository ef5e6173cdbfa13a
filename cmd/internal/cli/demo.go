package cli

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/demo"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
)

type demoCommand struct {
	Pace    pace   `name:"pace" default:"real" enum:"real,fast" help:"How fast the simulated model server answers, and whether there is time to read: ${enum}."`
	LogFile string `name:"log-file" type:"path" placeholder:"FILE" help:"Write the log of all parts there, as JSON lines."`
}

const demoSeed = 7

// Run plays the demo.
func (c *demoCommand) Run(ctx context.Context, d *desk) error {
	log, closeLog := zap.NewNop(), func() {}
	if c.LogFile != "" {
		var err error
		if log, closeLog, err = (&devCommand{LogFile: c.LogFile}).logger(d.Err); err != nil {
			return err
		}
	}
	defer closeLog()
	cfg := demo.Config{
		Fleet: dev.Config{Workers: 3, Slots: 2, Simulation: c.Pace.simulation(demoSeed), Version: d.Version},
		Self:  d.self,
	}
	if c.Pace != fast { // a hosted model's pace is too fast to read by
		cfg.Fleet.Simulation.Latency, cfg.Fleet.Simulation.Pace = 700*time.Millisecond, 70
		cfg.Pause = 2500 * time.Millisecond
	}
	if err := demo.Play(ctx, cfg, d.screen, log); err != nil {
		f := failed("the demo: %v", err)
		if ctx.Err() == nil && c.LogFile == "" {
			f.Hint = "For the logs of all parts: " + d.self + " demo --log-file demo.log"
		}
		return f
	}
	return nil
}
