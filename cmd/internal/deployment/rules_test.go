package deployment

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/telemetry"
)

const (
	rulesFile     = "../../../deploy/prometheus/rules.yml"
	dashboardFile = "../../../deploy/grafana/gavel.json"
	runbooks      = "../../../docs/runbooks"
	runbookURL    = "https://github.com/rtfm-si/gavel/blob/main/docs/runbooks/"
)

// exported are the names of all metrics of both processes, and the label names
// each of them has.
func exported(t *testing.T) map[string]string {
	t.Helper()
	desc := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	out := map[string]string{}
	for _, g := range []prometheus.Gatherer{
		telemetry.NewDispatcherMetrics("test", nil).Gather(),
		telemetry.NewWorkerMetrics("test", func() telemetry.WorkerState { return telemetry.WorkerState{} }).Gather(),
	} {
		registry, ok := g.(prometheus.Collector)
		require.True(t, ok, "a %T describes what it has", g)
		descs := make(chan *prometheus.Desc)
		go func() { defer close(descs); registry.Describe(descs) }()
		for d := range descs {
			if m := desc.FindStringSubmatch(d.String()); m != nil {
				out[m[1]] = m[2]
			}
		}
	}
	require.Contains(t, out, "gavel_kill_seconds")
	return out
}

// Every metric that an alert or the dashboard asks for is one that a process
// has, and every one that a process has is looked at by somebody.
func TestRulesAndDashboardKnowTheMetrics(t *testing.T) {
	have, used := exported(t), map[string]bool{}
	rules, err := Rules(rulesFile)
	require.NoError(t, err)
	for _, r := range rules {
		used["record "+r.Record] = r.Record != ""
	}
	expressions, err := Expressions(rulesFile, dashboardFile)
	require.NoError(t, err)
	metric := regexp.MustCompile(`gavel[_:][a-z_:]+`)
	for where, expr := range expressions {
		for _, name := range metric.FindAllString(expr, -1) {
			if used["record "+name] {
				continue
			}
			base := name
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, part)
			}
			require.Contains(t, have, base, "%s asks for it: %s", where, expr)
			used[base] = true
		}
	}
	for name := range have {
		if strings.HasPrefix(name, "gavel_") && !slices.Contains([]string{"gavel_worker_slots", "gavel_worker_running", "gavel_worker_deaf", "gavel_worker_no_progress", "gavel_jobs_granted_total"}, name) {
			require.True(t, used[name], "%s is exported, and neither an alert nor the dashboard shows it", name)
		}
	}
}

// What the operations page tells people to look at, and to set, is there.
func TestOperationsNameWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/operations.md")
	require.NoError(t, err)
	have := exported(t)
	rules, err := Rules(rulesFile)
	require.NoError(t, err)
	for _, r := range rules {
		have[r.Record] = ""
	}
	metrics := regexp.MustCompile("`(gavel[_:][a-z_:]+)`").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, metrics)
	for _, m := range metrics {
		require.Contains(t, have, m[1])
	}
	flags := regexp.MustCompile("`--([a-z-]+)`").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, flags)
	for _, f := range flags {
		require.Contains(t, settings.Variables(), "GAVEL_"+strings.ToUpper(strings.ReplaceAll(f[1], "-", "_")))
	}
}

// Helm takes files from its chart alone: alerts and dashboard are there twice, and the same.
func TestTheChartHasTheAlertsAndTheDashboard(t *testing.T) {
	for file, copied := range map[string]string{rulesFile: "rules.yml", dashboardFile: "dashboard.json"} {
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		have, err := os.ReadFile("../../../deploy/helm/gavel/files/" + copied)
		require.NoError(t, err)
		require.Equal(t, string(want), string(have), "cp %s deploy/helm/gavel/files/%s", file, copied)
	}
}

// Whoever is woken is told what to do.
func TestEveryAlertHasARunbook(t *testing.T) {
	told := map[string]bool{}
	rules, err := Rules(rulesFile)
	require.NoError(t, err)
	for _, r := range rules {
		if r.Alert == "" {
			continue
		}
		require.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.NotEmpty(t, r.Annotations["description"], r.Alert)
		book, ok := strings.CutPrefix(r.Annotations["runbook_url"], runbookURL)
		require.True(t, ok, "%s: %s", r.Alert, r.Annotations["runbook_url"])
		text, err := os.ReadFile(filepath.Join(runbooks, book))
		require.NoError(t, err, r.Alert)
		require.Contains(t, string(text), r.Alert, "%s says what the alert means", book)
		told[r.Alert] = true
	}
	tests, err := os.ReadFile(filepath.Join(filepath.Dir(rulesFile), "rules_test.yml"))
	require.NoError(t, err)
	for name := range told {
		require.GreaterOrEqual(t, strings.Count(string(tests), name), 2, "rules_test.yml has %s fire, and be silent", name)
	}
}
