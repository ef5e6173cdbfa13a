package dispatcher

import (
	"fmt"
	"time"

	"github.com/rtfm-si/gavel/internal/budget"
)

// Money is what may be spent, and when it counts.
type Money struct {
	Window time.Duration `name:"budget-window" env:"GAVEL_BUDGET_WINDOW" default:"24h" help:"Length of the window that spend is counted in; windows begin at multiples of it, a day at midnight UTC."`
}

func (m Money) settings() (budget.Settings, error) {
	if m.Window < time.Minute || m.Window%time.Second != 0 {
		return budget.Settings{}, fmt.Errorf("--budget-window is %v; want whole seconds, a minute at least", m.Window)
	}
	return budget.Settings{Window: m.Window}, nil
}
