package dispatcher

import (
	"context"
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/budget"
	"github.com/rtfm-si/gavel/internal/control"
	"github.com/rtfm-si/gavel/internal/job"
)

// Money is what may be spent, and when it counts.
type Money struct {
	Window time.Duration `name:"budget-window" env:"GAVEL_BUDGET_WINDOW" default:"24h" help:"Length of the window that spend is counted in; windows begin at multiples of it, a day at midnight UTC."`

	OwnerCap     *int64 `name:"owner-cap" env:"GAVEL_OWNER_CAP" placeholder:"MICRO-USD" help:"The most that an owner who has no cap of their own may spend in a window, in micro-USD; no limit if left out."`
	OwnerRunning *int   `name:"owner-running" env:"GAVEL_OWNER_RUNNING" placeholder:"JOBS" help:"How many jobs of an owner who has no limit of their own may run at once; no limit if left out."`
	FleetCap     *int64 `name:"fleet-cap" env:"GAVEL_FLEET_CAP" placeholder:"MICRO-USD" help:"The most that all owners together may spend in a window, unless gavel budget set --fleet says otherwise, in micro-USD; no limit if left out."`

	Breaker      string `name:"breaker" env:"GAVEL_BREAKER" default:"park" enum:"off,alert,freeze,park,kill" help:"What happens when the fleet burns more than --breaker-limit: alert (the audit, a metric), freeze, park (freeze, and park what runs before its next paid call), kill (freeze, and kill everything), or off."`
	BreakerLimit *int64 `name:"breaker-limit" env:"GAVEL_BREAKER_LIMIT" placeholder:"MICRO-USD" help:"The most that may burn in a minute, in micro-USD: what was booked in the last 60 s and what is reserved for calls in flight; no limit if left out. The same on every dispatcher."`
}

func (m Money) settings() (budget.Settings, error) {
	if m.Window < time.Minute || m.Window%time.Second != 0 {
		return budget.Settings{}, fmt.Errorf("--budget-window is %v; want whole seconds, a minute at least", m.Window)
	}
	s := budget.Settings{Window: m.Window}
	var err error
	if s.OwnerCap, err = capped("--owner-cap", m.OwnerCap); err != nil {
		return s, err
	}
	if s.FleetCap, err = capped("--fleet-cap", m.FleetCap); err != nil {
		return s, err
	}
	if m.OwnerRunning != nil && (*m.OwnerRunning < 0 || *m.OwnerRunning > job.MaxRunning) {
		return s, fmt.Errorf("--owner-running is %d; want 0 to %d", *m.OwnerRunning, job.MaxRunning)
	}
	s.OwnerRunning = m.OwnerRunning
	s.Breaker = m.Breaker
	s.BreakerLimit, err = capped("--breaker-limit", m.BreakerLimit)
	return s, err
}

// stops is how the breaker stops the fleet: by control, as anybody would.
type stops struct{ control *control.Redis }

// breaker is who acts when the breaker trips, as the audit has it.
func breaker() access.Actor {
	return access.Actor{Subject: "system:budget", Roles: []access.Role{access.Admin}, Credential: access.Credential{Kind: "system", ID: "breaker"}}
}

// Freeze implements [budget.Stops].
func (s stops) Freeze(ctx context.Context, reason, key string) ([]string, error) {
	p, err := access.Authorize(breaker(), access.Freeze, access.WholeFleet())
	if err != nil {
		return nil, fmt.Errorf("the breaker: %w", err)
	}
	g, err := s.control.Freeze(ctx, p, reason, "", key)
	if err != nil {
		return nil, fmt.Errorf("the breaker: %w", err)
	}
	return g.Heads, nil
}

// KillAll implements [budget.Stops].
func (s stops) KillAll(ctx context.Context, reason, key string) error {
	p, err := access.Authorize(breaker(), access.KillFleet, access.WholeFleet())
	if err != nil {
		return fmt.Errorf("the breaker: %w", err)
	}
	if _, err := s.control.KillAll(ctx, p, job.Order{Reason: reason, Freeze: true, RequestedAt: time.Now(), Check: "breaker"}, key); err != nil {
		return fmt.Errorf("the breaker: %w", err)
	}
	return nil
}

func capped(flag string, n *int64) (*job.MicroUSD, error) {
	switch {
	case n == nil:
		return nil, nil //nolint:nilnil // no limit
	case *n < 0 || *n > int64(job.MaxCap):
		return nil, fmt.Errorf("%s is %d micro-USD; want 0 to %d", flag, *n, int64(job.MaxCap))
	default:
		return new(job.MicroUSD(*n)), nil
	}
}
