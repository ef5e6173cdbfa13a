package worker

import (
	"context"
	"slices"
	"time"

	"github.com/rtfm-si/gavel/internal/execution"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

// traces follows runs.
type traces struct{ *telemetry.Tracing }

// Run implements [execution.Tracer].
func (t traces) Run(ctx context.Context, g job.Granted, asked time.Time) (context.Context, execution.Trail) {
	return t.Tracing.Run(ctx, g, asked)
}

// endings follows the scripts that end a claim. The others are too many, and
// what they do is in the run's own span.
func endings(ctx context.Context, script string, partition int) func(error) {
	if !slices.Contains([]string{"finish", "release", "park", "retry"}, script) {
		return func(error) {}
	}
	return telemetry.ScriptSpan(ctx, script, partition)
}
