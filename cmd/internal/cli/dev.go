package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/modelsim"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// pace is how fast the simulated model server answers.
type pace string

const fast pace = "fast"

// simulation is the server at that pace: "real" is a hosted model's.
func (p pace) simulation(seed uint64) modelsim.Config {
	cfg := modelsim.Demo(seed)
	if p == fast {
		cfg.Latency, cfg.Pace = 30*time.Millisecond, 4000
	}
	return cfg
}

type devCommand struct {
	Redis   string `name:"redis" placeholder:"URL" help:"A real Redis, such as redis://127.0.0.1:6379; default is an embedded one, memory-only."`
	Fleet   string `name:"fleet" default:"dev" help:"Name of the fleet, the prefix of its keys in Redis."`
	Workers int    `name:"workers" default:"3" help:"Number of workers, 1-64."`
	Slots   int    `name:"slots" default:"4" help:"Jobs that each worker runs at once."`
	Listen  string `name:"listen" default:"127.0.0.1:7070" help:"Address of the API, on loopback."`
	Pace    pace   `name:"pace" default:"real" enum:"real,fast" help:"How fast the simulated model server answers: ${enum}."`

	ModelURL     string `name:"model-url" env:"GAVEL_MODEL_URL" help:"A real OpenAI-compatible model server instead of the simulated one. Its calls cost money."`
	ModelKeyFile string `name:"model-key-file" env:"GAVEL_MODEL_KEY_FILE" type:"path" help:"File with its API key."`
	Model        string `name:"model" env:"GAVEL_MODEL" help:"Model for jobs that name none; it must have a price."`

	LogFile string `name:"log-file" type:"path" placeholder:"FILE" help:"Write the log of all parts there, as JSON lines; default is warnings only, on the screen."`
}

// Run starts the fleet and drains it on Ctrl-C.
func (c *devCommand) Run(ctx context.Context, d *desk) error {
	if c.Workers < 1 || c.Slots < 1 {
		return usage("--workers and --slots want 1 or more")
	}
	log, closeLog, err := c.logger(d.Err)
	if err != nil {
		return err
	}
	defer closeLog()
	f, err := dev.Start(ctx, c.config(d.Version), log)
	switch {
	case err == nil:
	case errors.Is(err, syscall.EADDRINUSE):
		return &Failure{Code: codeUnavailable, Text: "something listens on " + c.Listen + " already", Hint: "Is another gavel dev running? Otherwise give --listen 127.0.0.1:0 for a free port.", cause: err}
	case ctx.Err() != nil:
		return failed("interrupted while starting")
	case errors.Is(err, dev.ErrConfig):
		return usage("%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return &Failure{Code: codeUnavailable, Text: err.Error(), cause: err}
	default:
		return failed("%v", err)
	}
	c.announce(d, f)
	return c.serve(ctx, d, f)
}

func (c *devCommand) config(version string) dev.Config {
	cfg := dev.Config{
		Redis: c.Redis, Fleet: c.Fleet, Listen: c.Listen, Workers: c.Workers, Slots: c.Slots,
		Simulation: c.Pace.simulation(uint64(time.Now().UnixNano())), Version: version,
	}
	if c.real() {
		cfg.ModelURL, cfg.ModelKeyFile, cfg.Model = c.ModelURL, c.ModelKeyFile, c.Model
		if cfg.ModelURL == "" {
			cfg.ModelURL = "https://api.openai.com/v1"
		}
		if cfg.Model == "" {
			cfg.Model = "gpt-4.1-mini"
		}
	}
	return cfg
}

// real reports whether a real model server was configured.
func (c *devCommand) real() bool { return c.ModelURL != "" || c.ModelKeyFile != "" }

// logger logs warnings to the screen, or everything to a file.
func (c *devCommand) logger(screen io.Writer) (*zap.Logger, func(), error) {
	if c.LogFile == "" {
		log, _, err := telemetry.NewLogger(telemetry.Log{Level: "warn", Format: "console"}, screen)
		return log, func() {}, err
	}
	f, err := os.OpenFile(c.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, usage("--log-file: %v", err)
	}
	log, _, err := telemetry.NewLogger(telemetry.Log{Level: "info", Format: "json"}, f)
	return log, func() { _ = f.Close() }, err
}

func (c *devCommand) announce(d *desk, f *dev.Fleet) {
	s := d.screen
	row := func(name, format string, args ...any) {
		s.Line("  %s %s", s.Paint(show.Dim, fmt.Sprintf("%-8s", name)), fmt.Sprintf(format, args...))
	}
	s.Line("%s", s.Paint(show.Bold, "Gavel, a fleet for development"))
	s.Line("")
	if c.Redis == "" {
		row("Redis", "embedded and %s: everything is gone when this process ends", s.Paint(show.Yellow, "memory-only"))
	} else {
		row("Redis", "the one you gave; keys begin with %s", f.Name())
	}
	if c.real() {
		row("Model", "%s at %s: %s", c.config("").Model, c.config("").ModelURL, s.Paint(show.Yellow, "its calls cost money"))
	} else {
		row("Model", "%s: answers are made up and say [simulated]; what they cost is play money", s.Paint(show.Yellow, "simulated"))
	}
	row("Workers", "%s of %s each", show.Count(int64(c.Workers), "worker", "workers"), show.Count(int64(c.Slots), "slot", "slots"))
	row("API", "%s  (described at /openapi.json)", s.Paint(show.Bold, f.URL()))
	row("Console", "%s  (sign in with %s)", s.Paint(show.Bold, f.URL()+"/console/"), dev.Admin)
	s.Line("")
	s.Line("  Credentials, known to everybody and therefore good on this machine only:")
	for _, cred := range dev.Credentials() {
		s.Line("    %-10s %s", cred.Token, s.Paint(show.Dim, cred.Is))
	}
	where := ""
	if f.URL() != "http://"+dev.Address {
		where = " --url " + f.URL() + " --key " + dev.Alice
	}
	s.Line("")
	s.Line("  In a second terminal:")
	s.Line("    %s", s.Paint(show.Bold, d.self+where+" run examples/market-entry.json"))
	s.Line("")
	s.Line("%s", s.Paint(show.Dim, "Ctrl-C drains the workers and ends; another one skips their grace."))
}

// serve keeps the fleet running until it is told to end, or a part of it ends.
func (c *devCommand) serve(ctx context.Context, d *desk, f *dev.Fleet) error {
	var cause error
	select {
	case <-ctx.Done():
		d.screen.Line("\ndraining …")
	case cause = <-f.Failed():
	}
	closed := make(chan error, 1)
	go func() { closed <- f.Close() }()
	for {
		select {
		case <-d.Hurry:
			f.Hurry()
		case err := <-closed:
			if err = errors.Join(cause, err); err != nil {
				return failed("%v", err)
			}
			d.screen.Line("drained")
			return nil
		}
	}
}
