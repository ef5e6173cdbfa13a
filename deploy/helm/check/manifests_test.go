package check

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write deploy/kubernetes/gavel.yaml anew")

const header = `# The chart deploy/helm/gavel with its own values, as the release gavel in the
# namespace gavel, for those who have no Helm. Generated:
#
#   make chart UPDATE=-update
`

// There is one truth: the chart.
func TestManifestsAreTheChartRendered(t *testing.T) {
	rendered, err := render(t.Context(), nil)
	require.NoError(t, err)
	docs, err := documents(rendered)
	require.NoError(t, err)
	empty := regexp.MustCompile(`(?m)^[ \t]*\n`) // what a condition leaves
	want := header + "---\n" + empty.ReplaceAllString(strings.Join(docs, "\n---\n"), "") + "\n"
	path := root + "/deploy/kubernetes/gavel.yaml"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(have), "deploy/kubernetes/gavel.yaml is not the chart's any more: make chart UPDATE=-update")
}
