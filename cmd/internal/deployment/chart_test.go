package deployment

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/cmd/internal/dispatcher"
	pods "github.com/rtfm-si/gavel/cmd/internal/pod"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/cmd/internal/worker"
)

const chartDir = "../../../deploy/helm/gavel"

// Without a word of the operator, pods run on the binaries' own defaults.
func TestTheChartsDefaultsAreTheBinaries(t *testing.T) {
	objects := readObjects(t)
	bareWorker, err := worker.Parse(nil, nil, io.Discard)
	require.NoError(t, err)
	bareDoor, err := dispatcher.Parse([]string{"--keys-file=k"}, nil, io.Discard)
	require.NoError(t, err)

	w := workerUnder(t, objects["Deployment gavel-worker"].Spec.Template.Spec.Containers[0].env())
	for _, c := range []*worker.Config{&w, &bareWorker} { // what a pod is told of its place
		c.Address, c.Private, c.Listen, c.Pod, c.ModelKeyFile = settings.Address{}, settings.Private{}, "", "", ""
	}
	require.Equal(t, bareWorker, w)
	d := dispatcherUnder(t, objects["Deployment gavel-dispatcher"].Spec.Template.Spec.Containers[0].env())
	for _, c := range []*dispatcher.Config{&d, &bareDoor} {
		c.Address, c.Private, c.Listen, c.KeysFile = settings.Address{}, settings.Private{}, "", ""
	}
	require.Equal(t, bareDoor, d)
}

// What the values' settings take is what the binary reads and no template sets:
// nothing can be said twice, and nothing is out of reach.
func TestSettingsAreAllThatTheChartDoesNotSetItself(t *testing.T) {
	set := map[string]bool{"GAVEL_WORKER_ID": true} // it has to be unique
	name := regexp.MustCompile(`name: (GAVEL_[A-Z_]+)`)
	err := filepath.WalkDir(chartDir+"/templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			require.Contains(t, settings.Variables(), m[1], "%s: no binary reads it", path)
			set[m[1]] = true
		}
		return err
	})
	require.NoError(t, err)
	require.Greater(t, len(set), 30)
	text, err := os.ReadFile(chartDir + "/values.schema.json")
	require.NoError(t, err)
	var schema struct {
		Properties map[string]struct {
			Properties struct {
				Settings struct {
					PropertyNames struct{ Enum []string } `json:"propertyNames"`
				} `json:"settings"`
			} `json:"properties"`
		} `json:"properties"`
	}
	require.NoError(t, json.Unmarshal(text, &schema))
	for part, cfg := range map[string]any{"dispatcher": &dispatcher.Config{}, "worker": &worker.Config{}} {
		parser, err := kong.New(cfg)
		require.NoError(t, err)
		var want []string
		for _, flag := range parser.Model.Flags {
			for _, env := range flag.Envs {
				if !set[env] {
					want = append(want, env)
				}
			}
		}
		slices.Sort(want)
		require.Equal(t, want, schema.Properties[part].Properties.Settings.PropertyNames.Enum, part)
	}
}

// What the chart asks Prometheus, and what it lets a worker write, are what the
// processes have.
func TestTheChartKnowsMetricsAndCost(t *testing.T) {
	query, err := Scaling(chartDir + "/templates/worker/scale.yaml")
	require.NoError(t, err)
	require.Equal(t, `max(gavel_runnable{}) + sum(max by (state) (gavel_jobs{state=~"running|killing"}))`, query)
	have := exported(t)
	asked := regexp.MustCompile(`gavel_[a-z_]+`).FindAllString(query, -1)
	require.Len(t, asked, 2)
	for _, metric := range asked {
		require.Contains(t, have, metric)
	}
	account, err := os.ReadFile(chartDir + "/templates/worker/account.yaml")
	require.NoError(t, err)
	require.Contains(t, string(account), "'"+pods.Annotation+"'")
}
