package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
)

const about = `Runs LLM deliberations on a fleet of workers, and stops any of them, or all of them, at once.

Start here: gavel demo plays everything by itself; gavel dev starts a fleet to play with.

Exit codes: 0 done as asked; 1 failed; 2 usage; 3 refused or not found; 4 not over yet (an order in force and not confirmed, a job that still runs); 5 unavailable (no dispatcher, no Redis, or the fleet is frozen).`

const retryPause = 200 * time.Millisecond

// commands is the whole command line.
type commands struct {
	Global `embed:""`

	Dev      devCommand      `cmd:"" group:"Try it" help:"Start a whole fleet in this process, for development."`
	Compare  compareCommand  `cmd:"" group:"Try it" help:"Put problems to a model as one plain call and as a deliberation; what each gives and costs."`
	Modelsim modelsimCommand `cmd:"" group:"Try it" help:"Start the simulated model server, with what latency, pace and faults you like."`
	Demo     demoCommand     `cmd:"" group:"Try it" help:"See the main job played and checked, in a minute or two."`

	Run         runCommand         `cmd:"" group:"Jobs" help:"Submit a problem, watch it deliberated, read the answer."`
	Submit      submitCommand      `cmd:"" group:"Jobs" help:"Submit a problem and return at once."`
	Ps          psCommand          `cmd:"" group:"Jobs" help:"List jobs, newest first."`
	Get         getCommand         `cmd:"" group:"Jobs" help:"Show one job."`
	Watch       watchCommand       `cmd:"" group:"Jobs" help:"Follow a job's events to its end."`
	Logs        logsCommand        `cmd:"" group:"Jobs" help:"Follow a job's events as lines, for grep and for log collectors."`
	Report      reportCommand      `cmd:"" group:"Jobs" help:"Read what a deliberation found, in Markdown."`
	Answer      answerCommand      `cmd:"" group:"Jobs" help:"Answer a job that asks its owner."`
	Resume      resumeCommand      `cmd:"" group:"Jobs" help:"Bring a parked job back with a raised budget; go on from a killed or failed one as a new job."`
	Transcript  transcriptCommand  `cmd:"" group:"Jobs" help:"Read every prompt and reply of a job that asked to have them kept."`
	Checkpoints checkpointsCommand `cmd:"" group:"Jobs" help:"List the states a job can be resumed from, or read one."`
	Kill        killCommand        `cmd:"" group:"Jobs" help:"Stop one job, with a receipt."`

	KillAll killAllCommand `cmd:"" group:"The fleet" help:"Stop every job of the fleet, of one owner, or that a selector asks for; under a preview."`
	Preview previewCommand `cmd:"" group:"The fleet" help:"See what such an order would reach; changes nothing."`
	Block   blockCommand   `cmd:"" group:"The fleet" help:"Admit and start nothing of an owner, of a kind or with a label, until it is lifted."`
	Blocks  blocksCommand  `cmd:"" group:"The fleet" help:"List what is blocked."`
	Lift    liftCommand    `cmd:"" group:"The fleet" help:"End a block; what it had put aside comes back."`
	Freeze  freezeCommand  `cmd:"" group:"The fleet" help:"Admit and start nothing until it is thawed; what runs goes on."`
	Thaw    thawCommand    `cmd:"" group:"The fleet" help:"Admit and start jobs again."`
	Fleet   fleetCommands  `cmd:"" group:"The fleet" help:"Show gate, workers and jobs; adopt what Redis has after it lost data."`
	Top     topCommand     `cmd:"" group:"The fleet" help:"Watch the fleet live: spend, jobs, open orders, owners, workers."`
	Orders  ordersCommand  `cmd:"" group:"The fleet" help:"List the last kills, newest first."`
	Receipt receiptCommand `cmd:"" group:"The fleet" help:"Show what an order has done so far."`
	Spend   spendCommand   `cmd:"" group:"The fleet" help:"Show what is being spent, and by whom."`
	Budget  budgetCommands `cmd:"" group:"The fleet" help:"Say what an owner, or all of them together, may spend in a window."`
	Audit   auditCommands  `cmd:"" group:"The fleet" help:"List control acts, allowed and denied; verify, export and follow their log."`
	Keys    keysCommand    `cmd:"" group:"The fleet" help:"Make, list and revoke API keys."`

	Drill     drillCommand      `cmd:"" group:"The fleet" help:"Prove that the fleet can be stopped: run canaries, kill them, measure."`
	Emergency emergencyCommands `cmd:"" group:"The fleet" help:"Stop the fleet when all dispatchers are gone."`

	Login      loginCommand      `cmd:"" group:"Other" help:"Keep a fleet's URL and key in the configuration file; the key is read from standard input."`
	Completion completionCommand `cmd:"" group:"Other" help:"Print a script for bash, zsh or fish that completes commands, flags and values."`
	Complete   completeCommand   `cmd:"" name:"__complete" hidden:"" passthrough:""`
	Version    versionCommand    `cmd:"" group:"Other" help:"Print the version."`
}

// Run reads the command line and does what it says. Every error it returns is a
// [*Failure], or [settings.ErrHelp] once help was printed.
func Run(ctx context.Context, p Process) error {
	var cli commands
	helped := false
	parser, err := kong.New(&cli, kong.Name("gavel"), kong.Description(about), kong.Writers(p.Out, p.Err),
		kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}))
	if err != nil {
		return failed("%v", err)
	}
	if err := settings.RefuseUnknown(p.Env); err != nil {
		return usage("%v", err)
	}
	if len(p.Args) == 0 {
		p.Args = []string{"--help"}
	}
	parsed, err := parser.Parse(p.Args)
	if helped {
		return settings.ErrHelp
	}
	if err != nil {
		f := usage("%v", err)
		f.Hint = "See: " + self() + " --help"
		return f
	}
	d := newDesk(p, cli.Global)
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(d); err != nil {
		return d.failureOf(err)
	}
	if err := d.screen.Err(); err != nil {
		return d.failureOf(err)
	}
	return nil
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(d *desk) error {
	if d.JSON {
		return d.document(map[string]string{"version": d.Version})
	}
	_, err := fmt.Fprintln(d.Out, "gavel "+d.Version)
	return err
}
