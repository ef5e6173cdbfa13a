package beat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimingThatBreaksTheFormulaOfTrustIsRefused(t *testing.T) {
	require.NoError(t, DefaultTiming().Check())
	require.Equal(t, 3*time.Second, DefaultTiming().ReplicaLag())
	s := time.Second
	for name, bad := range map[string]Timing{
		"H is zero":          {0, 10 * s, 15 * s},
		"H is negative":      {-s, 10 * s, 15 * s},
		"H is half of S":     {5 * s, 10 * s, 15 * s},
		"S is too near T":    {3 * s, 13 * s, 15 * s},
		"S is longer than T": {3 * s, 20 * s, 15 * s},
	} {
		require.ErrorIs(t, bad.Check(), ErrTiming, name)
	}
}
