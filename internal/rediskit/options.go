package rediskit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config says which Redis, and under which profile.
type Config struct {
	// URL is redis://[user:password@]host[:port][/db], or rediss:// for TLS. For
	// Sentinel and Cluster several host:port pairs are separated by commas. In the
	// user and the password : / ? # and % are percent-encoded.
	URL string
	// Master is the Sentinel master's name; it selects Sentinel.
	Master string
	// Cluster selects Redis Cluster.
	Cluster bool
	// TLS is used when the URL says rediss; nil means the system's roots.
	TLS *tls.Config
	// Password, when given, is asked for the user's at each new connection, so that
	// it can change while the process runs; the URL then has none.
	Password func() (string, error)
	// SentinelUser and SentinelPassword are what the sentinels want, if they want any.
	SentinelUser, SentinelPassword string
	// JobConns is the size of the jobs pool, slots + 1 or so; 0 means 10.
	JobConns int
	// ControlConns is the size of the control pool: one connection for each
	// blocking read under way; 0 means 64.
	ControlConns int
	// ClientName shows in CLIENT LIST; empty means "gavel".
	ClientName string
}

// Clients are the three clients of a process. They never share connections: a
// blocked pool starves a renewal for as long as its readers wait.
type Clients struct {
	// Control carries blocking reads: the control stream and the wake list.
	Control redis.UniversalClient
	// Lease carries renewals and the writes that end a claim.
	Lease redis.UniversalClient
	// Jobs carries everything else.
	Jobs redis.UniversalClient
	// Observe is told of each script that is run on them; nil for nobody.
	Observe Observer
	// Trace follows each script that is run on them; nil for nobody.
	Trace Tracer
}

// Deadlines of every call. A blocking read adds its block time.
const (
	CallTimeout = time.Second
	BlockFor    = time.Second
	// ReadDeadline bounds one blocking read: block + 1 s.
	ReadDeadline = BlockFor + time.Second
)

// Open builds the three clients. It does not connect.
func Open(cfg Config) (Clients, error) {
	base, err := cfg.options()
	if err != nil {
		return Clients{}, err
	}
	cfg.JobConns, cfg.ControlConns = cmp.Or(cfg.JobConns, 10), cmp.Or(cfg.ControlConns, 64)
	build := func(role string, conns int) redis.UniversalClient {
		o := *base
		o.PoolSize = conns
		o.ClientName = cfg.name() + "-" + role
		return cfg.client(&o)
	}
	return Clients{
		Control: build("control", cfg.ControlConns),
		Lease:   build("lease", 8),
		Jobs:    build("jobs", cfg.JobConns),
	}, nil
}

func (cfg Config) name() string {
	if cfg.ClientName == "" {
		return "gavel"
	}
	return cfg.ClientName
}

func (cfg Config) client(o *redis.UniversalOptions) redis.UniversalClient {
	switch {
	case cfg.Cluster:
		c := o.Cluster()
		// The default of a minute leaves a fleet dead for that long after its
		// slot's master dies, because a dial error asks for no reload; so it is
		// asked for here.
		c.ClusterStateReloadInterval = time.Second
		cluster := redis.NewClusterClient(c)
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(awayHook{cluster}) })
		return cluster
	case cfg.Master != "":
		return redis.NewFailoverClient(o.Failover())
	default:
		return redis.NewClient(o.Simple())
	}
}

// awayHook has a cluster's client look who serves which slot when a node cannot
// be reached.
type awayHook struct{ cluster *redis.ClusterClient }

// DialHook implements [redis.Hook].
func (h awayHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			h.cluster.ReloadState(ctx)
		}
		return conn, err
	}
}

// ProcessHook implements [redis.Hook].
func (awayHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements [redis.Hook].
func (awayHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Close closes all three.
func (c Clients) Close() error {
	return errors.Join(c.Control.Close(), c.Lease.Close(), c.Jobs.Close())
}

// options reads the URL and sets what the faults demand: no hidden retries, a
// deadline on every call, contexts that count.
func (cfg Config) options() (*redis.UniversalOptions, error) {
	first, addrs, err := splitHosts(cfg.URL)
	if err != nil {
		return nil, err
	}
	o, err := redis.ParseURL(first)
	if bad := (*url.Error)(nil); errors.As(err, &bad) {
		return nil, errors.New(unreadable) // the cause would show the password
	}
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w; "+wanted, err)
	}
	if cfg.Cluster && o.DB != 0 {
		return nil, fmt.Errorf("redis URL: database %d; a cluster has only database 0", o.DB)
	}
	if (cfg.SentinelUser != "" || cfg.SentinelPassword != "") && cfg.Master == "" {
		return nil, errors.New("redis: a user or password of sentinels, and no name of the Sentinel master")
	}
	if cfg.Password != nil && o.Password != "" {
		return nil, errors.New("redis URL: it has a password, and another one is given apart from it; give one")
	}
	u := &redis.UniversalOptions{
		Addrs:                 addrs,
		DB:                    o.DB,
		Username:              o.Username,
		Password:              o.Password,
		SentinelUsername:      cfg.SentinelUser,
		SentinelPassword:      cfg.SentinelPassword,
		MasterName:            cfg.Master,
		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
		DialTimeout:           CallTimeout,
		ReadTimeout:           CallTimeout,
		WriteTimeout:          CallTimeout,
		PoolTimeout:           CallTimeout,
		DialerRetries:         1,
		TLSConfig:             o.TLSConfig,
		DisableIdentity:       true,
	}
	if cfg.Password != nil {
		u.CredentialsProviderContext = func(context.Context) (string, string, error) {
			password, err := cfg.Password()
			return o.Username, password, err
		}
	}
	if o.TLSConfig != nil && cfg.TLS != nil {
		u.TLSConfig = cfg.TLS.Clone()
		if u.TLSConfig.ServerName == "" {
			u.TLSConfig.ServerName, _, _ = net.SplitHostPort(o.Addr)
		}
	}
	return u, nil
}

// What is said of a URL. It never shows the URL: that may hold a password.
const (
	wanted     = "want redis://[user:password@]host:port[/db]"
	unreadable = "redis URL: cannot be read; percent-encode : / ? # and % in its user and password; " + wanted
)

// splitHosts takes the host:port pairs out of a URL, and leaves it with the
// first.
func splitHosts(raw string) (first string, addrs []string, err error) {
	if raw == "" {
		return "", nil, errors.New("redis URL is empty; " + wanted)
	}
	scheme, rest, _ := strings.Cut(raw, "://")
	if scheme != "redis" && scheme != "rediss" {
		return "", nil, errors.New("redis URL: it must begin with redis:// or rediss://; " + wanted)
	}
	end := strings.IndexAny(rest+"/", "/?#")
	authority, tail := rest[:end], rest[end:]
	if strings.Contains(tail, "@") {
		return "", nil, errors.New(unreadable)
	}
	at := strings.LastIndex(authority, "@") + 1
	for host := range strings.SplitSeq(authority[at:], ",") {
		addr, err := withPort(host)
		if err != nil {
			return "", nil, err
		}
		addrs = append(addrs, addr)
	}
	return scheme + "://" + authority[:at] + addrs[0] + tail, addrs, nil
}

// withPort gives a host the usual port when it names none.
func withPort(hostport string) (string, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]"), "6379"
	}
	if host == "" || port == "" {
		return "", errors.New("redis URL: a host is missing; " + wanted)
	}
	return net.JoinHostPort(host, port), nil
}

// WithCall bounds one plain call.
func WithCall(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, CallTimeout)
}
