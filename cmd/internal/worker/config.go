package worker

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// Config is a worker's flags and environment.
type Config struct {
	settings.Redis   `embed:""`
	settings.Timing  `embed:""`
	settings.Log     `embed:""`
	settings.Canary  `embed:""`
	settings.Private `embed:""`

	settings.Checkpoints `embed:""`
	CheckpointsKept      int           `name:"checkpoints-kept" env:"GAVEL_CHECKPOINTS_KEPT" default:"4" help:"How many of a job's states are kept, the last ones, 1-100."`
	CheckpointsPatience  time.Duration `name:"checkpoints-patience" env:"GAVEL_CHECKPOINTS_PATIENCE" default:"1m" help:"How long an attempt waits for a store of --checkpoints that is away before it fails and is tried again."`

	ID     string `name:"id" env:"GAVEL_WORKER_ID" help:"Unique name of the worker; default is the host's name and a random part."`
	Slots  int    `name:"slots" env:"GAVEL_SLOTS" default:"8" help:"Jobs that run at once, 1-10000."`
	Listen string `name:"listen" env:"GAVEL_WORKER_LISTEN" default:"127.0.0.1:8081" help:"Address of /healthz and /readyz; empty for none."`

	Poll         time.Duration `name:"poll" env:"GAVEL_POLL" default:"2s" help:"How often an idle worker looks at the road without being woken, jittered by half."`
	DrainFinish  time.Duration `name:"drain-finish" env:"GAVEL_DRAIN_FINISH" default:"0s" help:"How long jobs may finish after SIGTERM before they are cancelled."`
	DrainGrace   time.Duration `name:"drain-grace" env:"GAVEL_DRAIN_GRACE" default:"5s" help:"How long cancelled jobs may take to reach a checkpoint and return."`
	DrainSettle  time.Duration `name:"drain-settle" env:"GAVEL_DRAIN_SETTLE" default:"5s" help:"How long the last writes to Redis may take after that."`
	KillPatience time.Duration `name:"kill-patience" env:"GAVEL_KILL_PATIENCE" default:"30s" help:"How long killed work may ignore its context before the worker hands its jobs back and exits."`
	JobTimeout   time.Duration `name:"job-timeout" env:"GAVEL_JOB_TIMEOUT" default:"30m" help:"Bound of one attempt, for jobs that set none."`
	JobSilence   time.Duration `name:"job-silence" env:"GAVEL_JOB_SILENCE" default:"10m" help:"How long a job may show no sign of life before its attempt is given up."`
	Backoff      time.Duration `name:"backoff" env:"GAVEL_BACKOFF" default:"1s" help:"Delay after the first failed attempt; it doubles with each."`

	ModelURL      string        `name:"model-url" env:"GAVEL_MODEL_URL" default:"https://api.openai.com/v1" help:"Base URL of the OpenAI-compatible model server."`
	ModelKeyFile  string        `name:"model-key-file" env:"GAVEL_MODEL_KEY_FILE" type:"path" help:"File with the model server's API key; none for servers without keys."`
	Model         string        `name:"model" env:"GAVEL_MODEL" default:"gpt-4.1-mini" help:"Model for jobs that name none; it must have a price."`
	ModelSilence  time.Duration `name:"model-silence" env:"GAVEL_MODEL_SILENCE" default:"60s" help:"How long the model server may say nothing within one call."`
	ModelBills    bool          `name:"model-bills" env:"GAVEL_MODEL_BILLS" help:"The model server tells what it billed for an answer that was cut, by GET /generation?id= beside its /chat/completions, as OpenRouter and the simulated one do: it is asked for a second, and the exact figure is booked instead of an estimate."`
	ModelThinking int           `name:"model-thinking" env:"GAVEL_MODEL_THINKING" default:"0" help:"Tokens that every answer may take beyond what is asked for, 0-100000, for models that think before they write (o3, gpt-5, …): without them their answers are empty. They are reserved, and billed as far as they are used."`
	Models        string        `name:"models" env:"GAVEL_MODELS" type:"path" help:"JSON file of servers and models by role, for deliberations: {\"lead\": {\"url\": \"https://…/v1\", \"key_file\": \"/etc/gavel/lead.key\", \"model\": \"o3\", \"thinking\": 8000}, \"persona\": {…}, \"synthesis\": {…}}; what a role leaves out is as for all."`
	Steps         int           `name:"steps" env:"GAVEL_STEPS" default:"250" help:"Steps after which an attempt of a deliberation is given up, 1-100000."`
	Prices        string        `name:"prices" env:"GAVEL_PRICES" type:"path" help:"JSON file of prices that replace or add to the built-in table."`

	Pod string `name:"pod" env:"GAVEL_POD" help:"Name of the Kubernetes pod this is, whose deletion cost is then kept at how busy the worker is, so that scale-in takes idle ones first; none keeps nothing."`

	Programs string `name:"programs" env:"GAVEL_PROGRAMS" type:"path" help:"JSON file of further kinds of job and the programs that run them: {\"kind\": {\"argv\": [\"python3\", \"job.py\"], \"env\": [\"NAME\"], \"dir\": \"/srv\"}}. The dispatchers' --kinds must name them."`

	// Account is the folder of the pod's token, when it is not the usual one.
	Account string `kong:"-"`
	// LogLevel, when set, can be changed at /log-level.
	LogLevel *zap.AtomicLevel `kong:"-"`
	// Version is stamped by the build.
	Version string `kong:"-"`

	tracing *telemetry.Tracing `kong:"-"`
}

// name is the configured id, or one of our own.
func (c Config) name() (string, error) {
	if c.ID != "" {
		return c.ID, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name the worker: %w; set --id", err)
	}
	return host + "-" + strings.ToLower(rand.Text()[:6]), nil
}
