package worker

import (
	"context"
	"sync/atomic"

	"github.com/rtfm-si/gavel/internal/execution"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// state is what the worker's gauges are read from; before it is wired, nothing.
func (p *wired) state(self *atomic.Pointer[execution.Worker]) func() telemetry.WorkerState {
	return func() telemetry.WorkerState {
		w := self.Load()
		if w == nil {
			return telemetry.WorkerState{}
		}
		s := w.Status()
		return telemetry.WorkerState{
			Slots: s.Slots, Running: s.Running, Deaf: s.Deaf, NoProgress: s.NoProgress, Draining: s.Draining, Trusted: p.keeper.Fresh(),
		}
	}
}

// meteredMoney counts what was booked.
type meteredMoney struct {
	execution.Money
	metrics *telemetry.WorkerMetrics
}

// Settle implements [execution.Money].
func (m meteredMoney) Settle(ctx context.Context, id job.ID, u job.Usage) error {
	err := m.Money.Settle(ctx, id, u)
	if err == nil {
		m.metrics.Settled(u)
	}
	return err
}
