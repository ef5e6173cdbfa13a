package examples

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/internal/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryExampleIsAProblemThatIsAccepted(t *testing.T) {
	names, err := filepath.Glob("*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(names), 3)
	for _, name := range names {
		raw, err := Problem(strings.TrimSuffix(name, ".json"))
		require.NoError(t, err)
		_, err = problem.Parse(raw)
		require.NoError(t, err, name)
	}
	_, err = Problem("no-such")
	require.Error(t, err)
}
