package settings

import (
	"time"

	"github.com/rtfm-si/gavel/internal/beat"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// Address says which Redis, and which fleet in it.
type Address struct {
	URL     string `name:"redis" env:"GAVEL_REDIS_URL" default:"redis://127.0.0.1:6379" help:"Redis: redis://[user:password@]host:port[/db], rediss:// for TLS; several host:port separated by commas for Sentinel and Cluster."`
	Master  string `name:"redis-master" env:"GAVEL_REDIS_MASTER" help:"Name of the Sentinel master; selects Sentinel."`
	Cluster bool   `name:"redis-cluster" env:"GAVEL_REDIS_CLUSTER" help:"The URL names nodes of a Redis Cluster."`
	CA      string `name:"redis-ca" env:"GAVEL_REDIS_CA" type:"path" help:"File with the CA certificates (PEM) that Redis's certificate is checked against, for rediss://."`
	Cert    string `name:"redis-cert" env:"GAVEL_REDIS_CERT" type:"path" help:"File with the certificate (PEM) shown to a Redis that asks for one, for rediss://."`
	CertKey string `name:"redis-cert-key" env:"GAVEL_REDIS_CERT_KEY" type:"path" help:"File with the private key of --redis-cert."`
	// PasswordFile keeps the password out of the environment and of the URL.
	PasswordFile string `name:"redis-password-file" env:"GAVEL_REDIS_PASSWORD_FILE" type:"path" help:"File with the password of Redis's user, instead of one in the URL; read again at each new connection, so that it can change."`
	// The sentinels' own, which need not be those of Redis.
	SentinelUser         string `name:"redis-sentinel-user" env:"GAVEL_REDIS_SENTINEL_USER" help:"User of the sentinels, where they ask for one."`
	SentinelPasswordFile string `name:"redis-sentinel-password-file" env:"GAVEL_REDIS_SENTINEL_PASSWORD_FILE" type:"path" help:"File with the password of the sentinels, where they ask for one."`
	Fleet                string `name:"fleet" env:"GAVEL_FLEET" default:"gavel" help:"Name of the fleet: the prefix of its keys, and what a kill-all must repeat."`
}

// Redis is what a process of a fleet is told of its Redis.
type Redis struct {
	Address    `embed:""`
	Partitions int    `name:"partitions" env:"GAVEL_PARTITIONS" default:"1" help:"Number of partitions, 1-256; fixed when the fleet is created."`
	Durability string `name:"durability" env:"GAVEL_DURABILITY" enum:"local,replicated" default:"local" help:"What an accepted job, order or freeze promises: local, Redis has it; replicated, all replicas that may be promoted have it too."`
	Replicas   int    `name:"replicas" env:"GAVEL_REPLICAS" default:"0" help:"How many replicas of each master --durability=replicated waits for: all that may be promoted. 0 takes as many as are in step at the start."`
	// Profile is set by gavel dev for its embedded Redis.
	Profile rediskit.Profile `kong:"-"`
}

// Timing is the formula of trust, see package beat.
type Timing struct {
	Renew time.Duration `name:"lease-renew" env:"GAVEL_LEASE_RENEW" default:"3s" help:"H: how often a worker renews its leases."`
	Trust time.Duration `name:"lease-trust" env:"GAVEL_LEASE_TRUST" default:"10s" help:"S: how long a worker trusts a lease after it sent the last good renewal; more than 2H."`
	Take  time.Duration `name:"lease-take" env:"GAVEL_LEASE_TAKE" default:"15s" help:"T: how long a lease must have been watched to stand still before it is taken; at least 1.25 S. The same on every process of a fleet."`
}

// Lease is the timing as package beat has it.
func (t Timing) Lease() beat.Timing {
	return beat.Timing{Renew: t.Renew, Trust: t.Trust, Take: t.Take}
}

// Canary switches the canary on: a kind of job that does what it is told, also
// ignoring a kill or calling any address. It is for drills, stories and benches.
type Canary struct {
	Canary bool `name:"canary" env:"GAVEL_CANARY" help:"Accept and run jobs of kind canary, which do what they are told, good or bad: for drills and tests, not where owners are strangers."`
}

// Log is how a process logs, to standard error.
type Log struct {
	Level  string `name:"log-level" env:"GAVEL_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"Least severe line logged: ${enum}."`
	Format string `name:"log-format" env:"GAVEL_LOG_FORMAT" default:"json" enum:"json,console" help:"Form of the lines: ${enum}."`
}

// Private is the listener that no client may reach.
type Private struct {
	Private string `name:"private-listen" env:"GAVEL_PRIVATE_LISTEN" help:"Address of /metrics, /debug/pprof and /log-level, which no client may reach; empty for none."`
}

// Telemetry is the log as package telemetry has it.
func (l Log) Telemetry() telemetry.Log { return telemetry.Log{Level: l.Level, Format: l.Format} }
