package emergency

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/beat"
	"github.com/rtfm-si/gavel/internal/control"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// Config says where the fleet is, and who stops it.
type Config struct {
	Redis  settings.Address
	Timing settings.Timing
	// Subject is who they say they are, From where they sit: both for the audit.
	Subject, From string
	Log           *zap.Logger
}

// Order is the kill of everything.
type Order struct {
	Reason, Incident string
	// Freeze closes the gate in the same step.
	Freeze bool
	// AllowResume lets owners go on from a checkpoint of a killed job.
	AllowResume bool
}

// Fleet is a fleet whose dispatchers this process stands in for.
type Fleet struct {
	fleet  settings.Fleet
	orders *control.Redis
	actor  access.Actor
	stop   context.CancelFunc
	clerk  sync.WaitGroup
}

// Open finds the fleet and begins to watch its leases, so that T may have passed
// when the order comes. It changes nothing but the beat. It returns
// [rediskit.ErrNoFleet], an error for which [rediskit.Forbidden] holds, one that
// wraps [job.ErrUnavailable], or what is wrong with the configuration.
func Open(ctx context.Context, cfg Config) (*Fleet, error) {
	if err := cfg.Timing.Lease().Check(); err != nil {
		return nil, err
	}
	if err := job.CheckName("who", cfg.Subject, job.MaxName); err != nil {
		return nil, err
	}
	found, err := cfg.Redis.Find(ctx, "gavel-emergency", cfg.Log)
	if err != nil {
		return nil, err
	}
	return stand(ctx, cfg, found)
}

// stand takes the dispatchers' place in a fleet that was found.
func stand(ctx context.Context, cfg Config, found settings.Fleet) (*Fleet, error) {
	var err error
	f := &Fleet{fleet: found, actor: access.Emergency(cfg.Subject, userOf(cfg.Redis.URL), cfg.From, "emergency-"+rand.Text())}
	run := found.On(found.Clients.Lease)
	f.orders, err = control.NewRedis(run, found.Partitions, cfg.Timing.Take, cfg.Log)
	if err != nil {
		return nil, errors.Join(err, found.Clients.Close())
	}
	clerk := control.Clerk{Control: f.orders, Samplers: map[int]control.Sampler{}, Every: cfg.Timing.Renew, Log: cfg.Log}
	name := "emergency-" + rand.Text()[:8]
	for _, p := range found.Partitions.All() {
		s, err := beat.NewSampler(run, found.Partitions.Slot(p), name, beat.NewStillness(cfg.Timing.Take, cfg.Timing.Renew))
		if err != nil {
			return nil, errors.Join(err, found.Clients.Close())
		}
		clerk.Samplers[p] = s
	}
	aside, stop := context.WithCancel(context.WithoutCancel(ctx))
	f.stop = stop
	f.clerk.Go(func() { clerk.Run(aside) })
	return f, nil
}

// Close stops the clerk; what was ordered stays in force.
func (f *Fleet) Close() error {
	f.stop()
	f.clerk.Wait()
	if err := f.fleet.Clients.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

// Name is the fleet's name.
func (f *Fleet) Name() string { return f.fleet.Partitions.Fleet }

// Partitions is how many the fleet has.
func (f *Fleet) Partitions() int { return f.fleet.Partitions.Count }

// Jobs counts the live jobs by state, and names the partitions that could not be
// reached: what they hold is in no number.
func (f *Fleet) Jobs(ctx context.Context) (jobs map[client.State]int64, missing []int, err error) {
	v, err := f.orders.View(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("look at the fleet: %w", err)
	}
	return jobsOf(v), v.Missing, nil
}

// again is how long to wait before Redis is asked once more.
const again = 500 * time.Millisecond

// KillAll orders the death of every job, in every partition, and goes on trying
// while Redis does not answer, until ctx ends. Every try is the same order.
func (f *Fleet) KillAll(ctx context.Context, o Order) (client.Receipt, error) {
	if err := o.check(); err != nil {
		return client.Receipt{}, err
	}
	permit, err := access.Authorize(f.actor, access.KillFleet, access.WholeFleet())
	if err != nil {
		return client.Receipt{}, fmt.Errorf("authorise: %w", err)
	}
	order := job.Order{
		Scope: permit.Scope(), Reason: o.Reason, Incident: o.Incident, Freeze: o.Freeze, AllowResume: o.AllowResume,
		RequestedAt: time.Now(), Check: access.BreakGlass,
	}
	key := rand.Text()
	for {
		r, err := f.orders.KillAll(ctx, permit, order, key)
		if err == nil {
			return receiptOf(r), nil
		}
		if !errors.Is(err, job.ErrUnavailable) || rediskit.Forbidden(err) || !rest(ctx, again) {
			return client.Receipt{}, fmt.Errorf("kill all: %w", err)
		}
	}
}

func (o Order) check() error {
	if err := job.CheckText("the reason", o.Reason, job.MaxReason); err != nil {
		return err
	}
	if o.Incident == "" {
		return nil
	}
	return job.CheckText("the incident", o.Incident, job.MaxIncident)
}

// look is how often the order is looked at.
const look = 100 * time.Millisecond

// Watch tells of the order as it goes on, until nobody holds authority over what
// it covers and every verdict is booked, or ctx ends; it returns the last receipt
// that it saw. A Redis that does not answer is asked again; a partition that is
// away takes the order when it is back.
func (f *Fleet) Watch(ctx context.Context, r client.Receipt, told func(client.Receipt)) client.Receipt {
	for {
		told(r)
		if r.Stopped() && r.Tally.Unbooked == 0 || !rest(ctx, look) {
			return r
		}
		if now, err := f.orders.Receipt(ctx, job.ID(r.Order)); err == nil && ctx.Err() == nil { // one that was cut short misses partitions
			r = receiptOf(now)
		}
	}
}

// rest waits, and is false when ctx ends first.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// userOf is the name that a Redis URL logs in with.
func userOf(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	authority, _, _ := strings.Cut(rest, "/")
	login, _, ok := cutLast(authority, "@")
	user, _, _ := strings.Cut(login, ":")
	if !ok || user == "" {
		return "default"
	}
	return user
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}
