package dispatcher

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/job"
)

// drilled tells the metrics of a drill that was written down here.
func (p *process) drilled(d job.Drill) {
	for _, scope := range []job.ScopeKind{job.ScopeJob, job.ScopeSelector} {
		p.metrics.Drilled(time.Now(), d.Passed(), scope, d.Took(scope))
	}
}

const (
	drillsEvery = time.Minute
	// drillsSeen is how many drills are looked at for one that passed.
	drillsSeen = 50
)

// drills finds the last drill that passed in the audit, whichever dispatcher
// wrote it down, so that each one's metrics say when it was.
func (p *process) drills(ctx context.Context) {
	tick := time.NewTicker(drillsEvery)
	defer tick.Stop()
	for {
		if err := p.lastDrill(ctx); err != nil {
			p.log.Debug("the last drill was not looked up", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *process) lastDrill(ctx context.Context) error {
	found, _, err := p.acts.List(ctx, job.AuditQuery{Act: "drill"}, "", drillsSeen)
	if err != nil {
		return err
	}
	for _, e := range found {
		if e.Decision == "allowed" && e.Fields["passed"] == "1" {
			p.metrics.Drilled(e.At, true, "", nil)
			return nil
		}
	}
	return nil
}
