package dispatcher

import (
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/api"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// Config is a dispatcher's flags and environment.
type Config struct {
	settings.Redis   `embed:""`
	settings.Timing  `embed:""`
	settings.Log     `embed:""`
	settings.Canary  `embed:""`
	settings.Private `embed:""`
	OIDC             `embed:""`
	Money            `embed:""`
	Shares           `embed:""`
	TLS              `embed:""`

	settings.Checkpoints `embed:""`
	CheckpointsSweep     time.Duration `name:"checkpoints-sweep" env:"GAVEL_CHECKPOINTS_SWEEP" default:"1h" help:"How often the store of --checkpoints is looked through for states that no record names, and how long they must have been seen without one before they are removed."`

	Listen        string        `name:"listen" env:"GAVEL_LISTEN" default:"127.0.0.1:8080" help:"Address of the HTTP API."`
	Hosts         []string      `name:"hosts" env:"GAVEL_HOSTS" help:"Host names answered to, without port; none is any."`
	KeysFile      string        `name:"keys-file" env:"GAVEL_KEYS_FILE" type:"path" required:"" help:"File of API keys, made with 'gavel keys new'; read again when it changes."`
	Kinds         []string      `name:"kinds" env:"GAVEL_KINDS" help:"Kinds of job accepted beside deliberation: those that the workers' --programs run."`
	Retention     time.Duration `name:"retention" env:"GAVEL_RETENTION" default:"168h" help:"How long an ended job's record, events and checkpoints are kept."`
	OrderKept     time.Duration `name:"order-retention" env:"GAVEL_ORDER_RETENTION" default:"720h" help:"How long an order that is over is kept with its receipt, no less than --retention; the audit is kept for ever."`
	Idempotency   time.Duration `name:"idempotency" env:"GAVEL_IDEMPOTENCY" default:"24h" help:"How long an Idempotency-Key is remembered."`
	DefaultBudget int64         `name:"default-budget" env:"GAVEL_DEFAULT_BUDGET" default:"5000000" help:"Budget of a job that asks for none, in micro-USD (1000000 is one dollar)."`
	Shutdown      time.Duration `name:"shutdown" env:"GAVEL_SHUTDOWN" default:"10s" help:"How long open requests may take after SIGTERM."`

	AuditKeyFile string `name:"audit-key-file" env:"GAVEL_AUDIT_KEY_FILE" type:"path" help:"Key that the audit is signed with, made with 'gavel audit key'; without one it is not sealed."`
	AuditExport  string `name:"audit-export" env:"GAVEL_AUDIT_EXPORT" help:"File that the sealed audit is appended to as JSON lines, or - for standard output."`

	// AuditKey, when set by gavel dev, signs the audit instead of a file's.
	AuditKey ed25519.PrivateKey `kong:"-"`
	// LogLevel, when set, can be changed at /log-level.
	LogLevel *zap.AtomicLevel `kong:"-"`
	// Version is stamped by the build.
	Version string `kong:"-"`
	// Auth, when set by gavel dev, is asked instead of a keys file.
	Auth access.Authenticator `kong:"-"`

	tracing *telemetry.Tracing `kong:"-"`
}

// Shares are how much this dispatcher takes of each subject, and at once.
type Shares struct {
	SubmitRate  int `name:"submit-rate" env:"GAVEL_SUBMIT_RATE" default:"500" help:"Submits, resumes and answers that one subject may send in a second, twice as many at once after a pause; 0 for any number."`
	ReadRate    int `name:"read-rate" env:"GAVEL_READ_RATE" default:"500" help:"The same for what only looks."`
	ControlRate int `name:"control-rate" env:"GAVEL_CONTROL_RATE" default:"2000" help:"The same for kills and all other control acts, five times as many at once; break-glass credentials have no limit."`
	InFlight    int `name:"in-flight" env:"GAVEL_IN_FLIGHT" default:"512" help:"Submits and reads answered at once, event streams apart; more are answered 503 overloaded, kills never; 0 for any number."`
}

func (s Shares) limits() api.Limits {
	rate := func(perSecond, burst int) api.Rate {
		if perSecond <= 0 {
			return api.Rate{}
		}
		return api.Rate{PerSecond: float64(perSecond), Burst: perSecond * burst}
	}
	return api.Limits{
		Submits: rate(s.SubmitRate, 2), Reads: rate(s.ReadRate, 2), Controls: rate(s.ControlRate, 5), InFlight: s.InFlight,
		Refused: api.Rate{PerSecond: 1, Burst: 20},
	}
}

// TLS is how the API is encrypted, when it is not by what stands before it.
type TLS struct {
	Cert     string `name:"tls-cert" env:"GAVEL_TLS_CERT" type:"path" help:"File with the API's certificate chain (PEM), read again when it changes; without it the API is plain HTTP, for a TLS proxy before it."`
	Key      string `name:"tls-key" env:"GAVEL_TLS_KEY" type:"path" help:"File with the private key of --tls-cert."`
	ClientCA string `name:"tls-client-ca" env:"GAVEL_TLS_CLIENT_CA" type:"path" help:"File with the CA certificates (PEM) of which every client must show one's certificate, beside its credential; none asks for no certificate."`
}

// over returns a listener that speaks TLS, or the same one when it is not asked for.
func (t TLS) over(ln net.Listener) (net.Listener, error) {
	if t.Cert == "" && t.Key == "" && t.ClientCA == "" {
		return ln, nil
	}
	pair, err := settings.NewPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert: %w", err)
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Now() },
	}
	if t.ClientCA != "" {
		if cfg.ClientCAs, err = settings.ReadCA(t.ClientCA); err != nil {
			return nil, fmt.Errorf("--tls-client-ca: %w", err)
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return tls.NewListener(ln, cfg), nil
}
