package settings

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// ErrHelp is returned when the arguments asked for help, which was printed.
var ErrHelp = errors.New("help was asked for")

// Prefix begins every variable of ours.
const Prefix = "GAVEL_"

// Variables are all that any binary or the tests read: a process refuses what
// nobody reads, not what another one of the same environment needs. A test of
// each binary holds its flags to this list.
func Variables() []string {
	return []string{
		"GAVEL_REDIS_URL", "GAVEL_REDIS_MASTER", "GAVEL_REDIS_CLUSTER", "GAVEL_REDIS_CA", "GAVEL_REDIS_CERT", "GAVEL_REDIS_CERT_KEY", "GAVEL_REDIS_PASSWORD_FILE",
		"GAVEL_REDIS_SENTINEL_USER", "GAVEL_REDIS_SENTINEL_PASSWORD_FILE",
		"GAVEL_TLS_CERT", "GAVEL_TLS_KEY", "GAVEL_TLS_CLIENT_CA", "GAVEL_FLEET", "GAVEL_PARTITIONS", "GAVEL_DURABILITY", "GAVEL_REPLICAS",
		"GAVEL_LEASE_RENEW", "GAVEL_LEASE_TRUST", "GAVEL_LEASE_TAKE", "GAVEL_LOG_LEVEL", "GAVEL_LOG_FORMAT", "GAVEL_PRIVATE_LISTEN",
		"GAVEL_WORKER_ID", "GAVEL_SLOTS", "GAVEL_WORKER_LISTEN", "GAVEL_POLL", "GAVEL_DRAIN_FINISH", "GAVEL_DRAIN_GRACE",
		"GAVEL_DRAIN_SETTLE", "GAVEL_KILL_PATIENCE", "GAVEL_JOB_TIMEOUT", "GAVEL_JOB_SILENCE", "GAVEL_BACKOFF",
		"GAVEL_MODEL_URL", "GAVEL_MODEL_KEY_FILE", "GAVEL_MODEL", "GAVEL_MODEL_SILENCE", "GAVEL_MODEL_BILLS", "GAVEL_MODEL_THINKING", "GAVEL_MODELS", "GAVEL_STEPS", "GAVEL_PRICES",
		"GAVEL_LISTEN", "GAVEL_HOSTS", "GAVEL_KEYS_FILE", "GAVEL_RETENTION", "GAVEL_ORDER_RETENTION", "GAVEL_IDEMPOTENCY", "GAVEL_DEFAULT_BUDGET",
		"GAVEL_SUBMIT_RATE", "GAVEL_READ_RATE", "GAVEL_CONTROL_RATE", "GAVEL_IN_FLIGHT", "GAVEL_BUDGET_WINDOW", "GAVEL_OWNER_CAP", "GAVEL_FLEET_CAP", "GAVEL_BREAKER", "GAVEL_BREAKER_LIMIT",
		"GAVEL_SHUTDOWN", "GAVEL_AUDIT_KEY_FILE", "GAVEL_AUDIT_EXPORT", "GAVEL_CANARY", "GAVEL_KINDS", "GAVEL_PROGRAMS", "GAVEL_URL", "GAVEL_KEY", "GAVEL_CONFIG", "GAVEL_SUBMIT_KEY",
		"GAVEL_OIDC_ISSUER", "GAVEL_OIDC_AUDIENCE", "GAVEL_OIDC_ALGS", "GAVEL_OIDC_SUBJECT_CLAIM", "GAVEL_OIDC_OWNER_CLAIM",
		"GAVEL_OIDC_ROLES_CLAIM", "GAVEL_OIDC_ROLES", "GAVEL_OIDC_CA",
		"GAVEL_OWNER_RUNNING", "GAVEL_POD",
		"GAVEL_CHECKPOINTS", "GAVEL_CHECKPOINTS_ENDPOINT", "GAVEL_CHECKPOINTS_REGION", "GAVEL_CHECKPOINTS_KEY_FILE", "GAVEL_CHECKPOINTS_KEPT", "GAVEL_CHECKPOINTS_PATIENCE", "GAVEL_CHECKPOINTS_SWEEP",
		"GAVEL_TEST_REDIS_URL", "GAVEL_TEST_REDIS_IMAGE",
	}
}

// Parse reads flags and environment into cli, a pointer to a kong struct.
func Parse(name, about string, cli any, args, env []string, out io.Writer) error { //nolint:revive // what a process is given
	helped := false
	parser, err := kong.New(cli, kong.Name(name), kong.Description(about), kong.Writers(out, out),
		kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := RefuseUnknown(env); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = parser.Parse(args)
	if helped {
		return ErrHelp
	}
	if err != nil {
		return fmt.Errorf("%s: %w (see %s --help)", name, err, name)
	}
	return nil
}

// RefuseUnknown finds a GAVEL_ variable that nobody reads.
func RefuseUnknown(env []string) error {
	for _, kv := range env {
		k, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(k, Prefix) && !slices.Contains(Variables(), k) {
			return fmt.Errorf("the environment has %s, which no flag reads; correct or unset it", k)
		}
	}
	return nil
}
