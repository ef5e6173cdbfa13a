package settings

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Fleet is a connection to a fleet's Redis.
type Fleet struct {
	rediskit.Fleet
	Clients rediskit.Clients
	Profile rediskit.Profile
}

// Runner runs scripts on the jobs client.
func (f Fleet) Runner() rediskit.Runner {
	return f.On(f.Clients.Jobs)
}

// On runs scripts on one of the clients.
func (f Fleet) On(c redis.UniversalClient) rediskit.Runner {
	return rediskit.Runner{Client: c, Profile: f.Profile, Durability: f.Durability, Observe: f.Clients.Observe, Trace: f.Clients.Trace}
}

// Conns is how many connections two of the three clients may have.
type Conns struct{ Jobs, Control int }

// ErrLeft is wrapped by [Redis.Connect] when the process was asked to leave before
// Redis had answered. There was nothing to do, so [Process] takes it for a clean end.
var ErrLeft = errors.New("asked to leave before redis answered")

// Connect opens the three clients and meets the fleet, waiting for a Redis that
// is not up yet until ctx ends. One that is unfit is refused at once.
func (r Redis) Connect(ctx context.Context, name string, conns Conns, lag time.Duration, log *zap.Logger) (Fleet, error) {
	f, err := r.meet(ctx, name, conns, lag, log)
	if err != nil && ctx.Err() != nil && !errors.Is(err, rediskit.ErrUnfit) {
		return f, fmt.Errorf("%w: %w", ErrLeft, err)
	}
	return f, err
}

func (r Redis) meet(ctx context.Context, name string, conns Conns, lag time.Duration, log *zap.Logger) (Fleet, error) {
	if r.Profile == "" {
		r.Profile = rediskit.Server
	}
	clients, err := r.open(name, conns, log)
	if err != nil {
		return Fleet{}, err
	}
	f := Fleet{Clients: clients, Profile: r.Profile}
	ps := rediskit.Partitions{Fleet: r.Fleet, Count: r.Partitions}
	for {
		f.Fleet, err = rediskit.Establish(ctx, f.Runner(), ps)
		if err == nil {
			break
		}
		if errors.Is(err, rediskit.ErrUnfit) || ctx.Err() != nil {
			return Fleet{}, errors.Join(err, clients.Close())
		}
		log.Warn("redis does not answer yet", zap.Error(err))
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	if f.Profile == rediskit.Server {
		w, err := rediskit.CheckReplicas(ctx, clients.Jobs, lag)
		if err != nil {
			return Fleet{}, errors.Join(err, clients.Close())
		}
		if w != "" {
			f.Warnings = append(f.Warnings, w)
		}
	}
	if f.Durability, err = r.durability(ctx, clients.Jobs, ps); err != nil {
		return Fleet{}, errors.Join(err, clients.Close())
	}
	for _, w := range f.Warnings {
		log.Warn("redis: " + w)
	}
	return f, nil
}

// durability is what the settings promise, where the fleet's masters can keep it.
func (r Redis) durability(ctx context.Context, c redis.UniversalClient, ps rediskit.Partitions) (rediskit.Durability, error) {
	switch {
	case r.Replicas < 0 || r.Replicas > 0 && r.Durability != "replicated":
		return rediskit.Durability{}, fmt.Errorf("--replicas is %d: it says how many replicas --durability=replicated waits for, 0 for all that are there", r.Replicas)
	case r.Durability != "replicated":
		return rediskit.Durability{}, nil
	}
	cctx, cancel := context.WithTimeout(ctx, 5*rediskit.CallTimeout)
	defer cancel()
	d, err := rediskit.CheckDurability(cctx, c, ps, r.Replicas)
	if err != nil {
		return d, fmt.Errorf("--durability: %w", err)
	}
	return d, nil
}

// open builds the three clients; it does not connect.
func (a Address) open(name string, conns Conns, log *zap.Logger) (rediskit.Clients, error) {
	cfg := rediskit.Config{URL: a.URL, Master: a.Master, Cluster: a.Cluster, JobConns: conns.Jobs, ControlConns: conns.Control, ClientName: name, SentinelUser: a.SentinelUser}
	var err error
	if cfg.TLS, err = a.tls(); err != nil {
		return rediskit.Clients{}, err
	}
	if _, err = ReadSecret(a.PasswordFile); err != nil {
		return rediskit.Clients{}, fmt.Errorf("--redis-password-file: %w", err)
	}
	if a.PasswordFile != "" {
		cfg.Password = func() (string, error) { return ReadSecret(a.PasswordFile) }
	}
	if cfg.SentinelPassword, err = ReadSecret(a.SentinelPasswordFile); err != nil {
		return rediskit.Clients{}, fmt.Errorf("--redis-sentinel-password-file: %w", err)
	}
	redis.SetLogger(redisLog{log})
	clients, err := rediskit.Open(cfg)
	if err != nil {
		return rediskit.Clients{}, fmt.Errorf("open redis: %w", err)
	}
	return clients, nil
}

// tls is what Redis's certificate is checked against and what it is shown; nil
// for the system's roots and nothing.
func (a Address) tls() (*tls.Config, error) {
	if a.CA == "" && a.Cert == "" && a.CertKey == "" {
		return nil, nil //nolint:nilnil // none is an answer
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CA != "" {
		pool, err := ReadCA(a.CA)
		if err != nil {
			return nil, err
		}
		out.RootCAs = pool
	}
	if a.Cert != "" || a.CertKey != "" {
		pair, err := NewPair(a.Cert, a.CertKey)
		if err != nil {
			return nil, fmt.Errorf("--redis-cert: %w", err)
		}
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.Now() }
	}
	return out, nil
}

// Find connects to a fleet that is there, however unfit its Redis, and asks
// once: it is for an emergency, and creates nothing. One partition that answers is
// enough. It returns
// [rediskit.ErrNoFleet] where no fleet of that name is.
func (a Address) Find(ctx context.Context, name string, log *zap.Logger) (Fleet, error) {
	clients, err := a.open(name, Conns{}, log)
	if err != nil {
		return Fleet{}, err
	}
	f := Fleet{Clients: clients, Profile: rediskit.Server}
	if f.Fleet, err = rediskit.Find(ctx, f.Runner(), a.Fleet); err != nil {
		return Fleet{}, errors.Join(err, clients.Close())
	}
	return f, nil
}

// ReadCA reads the certificates that somebody else's certificate is checked with.
func ReadCA(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA certificates: %s has no certificate in PEM form", path)
	}
	return pool, nil
}

// redisLog takes what the Redis client says of its connections. What matters of
// it comes back as an error and is logged where it is dealt with.
type redisLog struct{ log *zap.Logger }

// Printf implements the client's logger.
func (l redisLog) Printf(_ context.Context, format string, v ...any) {
	l.log.Debug("redis client", zap.String("said", fmt.Sprintf(format, v...)))
}
