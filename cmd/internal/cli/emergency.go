package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/emergency"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/cmd/internal/show"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// emergencyCommands need no dispatcher.
type emergencyCommands struct {
	KillAll emergencyKillAll `cmd:"" help:"Stop every job with Redis's own credentials, and see the order through: when no dispatcher answers."`
}

type emergencyKillAll struct {
	why              `embed:""`
	settings.Address `embed:""`
	settings.Timing  `embed:""`
	Freeze           bool          `name:"freeze" negatable:"" default:"true" help:"Freeze the fleet in the same step, or retries refill the road."`
	AllowResume      bool          `name:"allow-resume" help:"Let owners go on from a checkpoint of their killed jobs; otherwise only an admin may."`
	Yes              string        `name:"yes" placeholder:"FLEET" help:"The fleet's name once more, instead of typing it when asked."`
	Who              string        `name:"who" placeholder:"NAME" help:"Who you are, for the audit; default is your name on this machine."`
	Wait             time.Duration `name:"wait" default:"60s" help:"How long to see the order through, until nobody holds authority any more; a silent worker's jobs end --lease-take after this began to watch."`
}

// Run stops everything without a dispatcher.
func (c *emergencyKillAll) Run(ctx context.Context, d *desk) error {
	fleet, err := c.open(ctx, d)
	if err != nil {
		return err
	}
	defer func() { _ = fleet.Close() }()
	if err := c.confirm(ctx, d, fleet); err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	began := time.Now()
	r, err := fleet.KillAll(patient, emergency.Order{Reason: c.Reason, Incident: c.Incident, Freeze: c.Freeze, AllowResume: c.AllowResume})
	if err != nil {
		return d.unheard(c.refused(d, err))
	}
	progress := show.NewProgress(d.screen, began)
	told := progress.Tell
	if d.JSON {
		told = func(client.Receipt) {}
	} else {
		d.screen.Line("%s", d.screen.Paint(show.Red, "BREAK GLASS: ordered with Redis's credentials, and written in the audit as such"))
	}
	r = fleet.Watch(patient, r, told)
	progress.Done()
	return c.tell(d, r)
}

// tell shows what was reached.
func (c *emergencyKillAll) tell(d *desk, r client.Receipt) error {
	if d.JSON {
		if err := d.document(r); err != nil {
			return err
		}
	} else {
		show.Receipt(d.screen, r)
		if c.Freeze {
			d.screen.Line("%s", d.screen.Paint(show.Dim, "nothing is admitted until a dispatcher is asked to: "+d.self+" thaw --reason …"))
		}
	}
	if len(r.Missing) > 0 {
		return notOver("Give the same command again when they can be reached, or start a dispatcher, which completes it. Until then workers that cannot reach them stop by themselves, within --lease-trust.",
			"the order is in force where it could be recorded, and %s could not be reached; %d elsewhere still wait", partitionsText(r.Missing), r.Tally.Waiting)
	}
	if !r.Stopped() {
		return notOver("Nothing it covers can start or commit any more. Give the same command again to see it further, or start a dispatcher, which does.\n"+
			"If a worker must stop now, stop its process, or Redis.", "the order is in force, and %d still wait", r.Tally.Waiting)
	}
	return nil
}

func (c *emergencyKillAll) open(ctx context.Context, d *desk) (*emergency.Fleet, error) {
	log := zap.NewNop()
	if !d.JSON {
		var err error
		if log, _, err = telemetry.NewLogger(telemetry.Log{Level: "error", Format: "console"}, d.Err); err != nil {
			return nil, failed("%v", err)
		}
	}
	who, host := seat()
	fleet, err := emergency.Open(ctx, emergency.Config{
		Redis: c.Address, Timing: c.Timing, Subject: cmp.Or(c.Who, who), From: host, Log: log,
	})
	if err != nil {
		return nil, c.refused(d, err)
	}
	return fleet, nil
}

// refused is what is wrong with Redis, its credentials or the command.
func (c *emergencyKillAll) refused(d *desk, err error) error {
	f := &Failure{Code: codeUsage, Text: err.Error(), cause: err}
	switch {
	case rediskit.Forbidden(err):
		f.Code, f.Hint = codeRefused, "Nothing was done. It takes the dispatchers' user of Redis, GAVEL_REDIS_URL=redis://dispatcher:PASSWORD@HOST:PORT, and the name of the fleet that is its own (--fleet)."
	case errors.Is(err, rediskit.ErrNoFleet):
		f.Code, f.Hint = codeRefused, "Nothing was done. Give the fleet's name with --fleet; it is the prefix of its keys in Redis."
	case errors.Is(err, job.ErrUnavailable):
		f.Code, f.Hint = codeUnavailable, "Redis does not answer. While it is away workers stop by themselves within --lease-trust."
	}
	return d.failureOf(f)
}

// seat is who sits at this machine, in the words that the audit takes.
func seat() (who, host string) {
	who = "somebody"
	if u, err := user.Current(); err == nil && job.CheckName("who", u.Username, job.MaxName) == nil {
		who = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return who, host
}

// confirm has the fleet's name typed, under what it would hit.
func (c *emergencyKillAll) confirm(ctx context.Context, d *desk, fleet *emergency.Fleet) error {
	if c.Yes == "" && !d.person() {
		return usage("without a terminal it needs --yes and the fleet's name")
	}
	if c.Yes == "" {
		jobs, missing, err := fleet.Jobs(ctx)
		if err != nil {
			return c.refused(d, err)
		}
		if len(missing) > 0 {
			d.screen.Line("%s", d.screen.Paint(show.Red, fmt.Sprintf("%s of %d cannot be reached: what they hold is in no number, and is killed when they are back", partitionsText(missing), fleet.Partitions())))
		}
		then := ""
		if c.Freeze {
			then = " and freeze it"
		}
		d.screen.Line("This will %s every job of fleet %s (%s)%s, without a dispatcher.", d.screen.Paint(show.Red, "kill"), fleet.Name(), liveJobs(jobs), then)
		c.Yes = d.question(ctx, "Type the fleet's name to go on:")
	}
	if c.Yes != fleet.Name() {
		return usage("%s is not the fleet's name; nothing was killed", fmt.Sprintf("%q", c.Yes))
	}
	return nil
}
