package worker

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/beat"
)

// What the deployment's grace period and the bounds of a kill are reckoned from.
func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	cfg, err := Parse(nil, nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, beat.DefaultTiming(), cfg.Lease())
	require.Zero(t, cfg.DrainFinish)
	require.Equal(t, 5*time.Second, cfg.DrainGrace)
	require.Equal(t, 5*time.Second, cfg.DrainSettle)
	require.Equal(t, 30*time.Second, cfg.KillPatience)
}
