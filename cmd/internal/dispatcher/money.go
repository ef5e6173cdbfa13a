package dispatcher

import (
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/internal/budget"
	"github.com/rtfm-si/gavel/internal/job"
)

// Money is what may be spent, and when it counts.
type Money struct {
	Window time.Duration `name:"budget-window" env:"GAVEL_BUDGET_WINDOW" default:"24h" help:"Length of the window that spend is counted in; windows begin at multiples of it, a day at midnight UTC."`

	OwnerCap *int64 `name:"owner-cap" env:"GAVEL_OWNER_CAP" placeholder:"MICRO-USD" help:"The most that an owner who has no cap of their own may spend in a window, in micro-USD; no limit if left out."`
	FleetCap *int64 `name:"fleet-cap" env:"GAVEL_FLEET_CAP" placeholder:"MICRO-USD" help:"The most that all owners together may spend in a window, unless gavel budget set --fleet says otherwise, in micro-USD; no limit if left out."`
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
	s.FleetCap, err = capped("--fleet-cap", m.FleetCap)
	return s, err
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
