package check

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
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

// What the chart does not have, a namespace and one Redis to begin with, is what
// Kubernetes takes too, and kustomize is told of every file.
func TestEveryManifestIsWhatKubernetesTakes(t *testing.T) {
	files, err := filepath.Glob(root + "/deploy/kubernetes/*.yaml")
	require.NoError(t, err)
	var named struct{ Resources []string }
	text, err := os.ReadFile(root + "/deploy/kubernetes/kustomization.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &named))
	require.Len(t, named.Resources, len(files)-1)
	decoder := strict(t)
	for _, name := range named.Resources {
		text, err := os.ReadFile(root + "/deploy/kubernetes/" + name)
		require.NoError(t, err)
		docs, err := documents(map[string]string{name: string(text)})
		require.NoError(t, err)
		require.NotEmpty(t, docs, name)
		for _, doc := range docs {
			_, _, err := decoder.Decode([]byte(doc), nil, nil)
			require.NoError(t, err, "%s: %s", name, doc)
		}
	}
}
