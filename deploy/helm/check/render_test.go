package check

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	k8syaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const (
	root     = "../../.."
	chartDir = "../gavel"
)

// sets are the sets of values by name; those of the chart itself are "default".
func sets(t *testing.T) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{"default": {}}
	files, err := filepath.Glob(chartDir + "/ci/*-values.yaml")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		out[strings.TrimSuffix(filepath.Base(file), "-values.yaml")] = values(t, string(text))
	}
	for _, want := range []string{"full", "minimal", "sentinel", "cluster", "keda", "no-monitoring"} {
		require.Contains(t, out, want)
	}
	return out
}

func values(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &out))
	return out
}

// render is what helm template prints, by file, or why it does not.
func render(ctx context.Context, given map[string]any) (map[string]string, error) {
	return renderAs(ctx, "gavel", given)
}

func renderAs(ctx context.Context, name string, given map[string]any) (map[string]string, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: name, Namespace: "gavel", Revision: 1, IsInstall: true}
	vals, err := util.ToRenderValues(chart, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.RenderWithContext(ctx, chart, vals)
}

// documents are the objects of a rendered chart, as text, in order.
func documents(rendered map[string]string) (out []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		reader := k8syaml.NewYAMLReader(bufio.NewReader(strings.NewReader(rendered[name])))
		for {
			doc, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			var object map[string]any
			if err := yaml.Unmarshal(doc, &object); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if len(object) > 0 {
				out = append(out, string(bytes.TrimSpace(doc)))
			}
		}
	}
	return out, nil
}

// strict decodes into published types, and no field too many.
func strict(t *testing.T) runtime.Decoder {
	t.Helper()
	all := runtime.NewScheme()
	require.NoError(t, scheme.AddToScheme(all))
	require.NoError(t, monitoring.AddToScheme(all))
	return serializer.NewCodecFactory(all, serializer.EnableStrict).UniversalDeserializer()
}

// objects renders and decodes a set of values.
func objects(t *testing.T, given map[string]any) []runtime.Object {
	t.Helper()
	rendered, err := render(t.Context(), given)
	require.NoError(t, err)
	docs, err := documents(rendered)
	require.NoError(t, err)
	decoder := strict(t)
	out := make([]runtime.Object, 0, len(docs))
	for _, doc := range docs {
		if strings.Contains(doc, "\nkind: ScaledObject\n") {
			require.NoError(t, kedaTakes(t, doc))
			continue
		}
		o, _, err := decoder.Decode([]byte(doc), nil, nil)
		require.NoError(t, err, doc)
		out = append(out, o)
	}
	return out
}

// one is the only object of a type whose name ends so.
func one[T runtime.Object](t *testing.T, all []runtime.Object, suffix string) T {
	t.Helper()
	var found []T
	for _, o := range all {
		named, _ := o.(interface{ GetName() string })
		if o, ok := o.(T); ok && strings.HasSuffix(named.GetName(), suffix) {
			found = append(found, o)
		}
	}
	require.Len(t, found, 1, "a %T named …%s", *new(T), suffix)
	return found[0]
}

// some are all objects of a type.
func some[T runtime.Object](all []runtime.Object) (out []T) {
	for _, o := range all {
		if o, ok := o.(T); ok {
			out = append(out, o)
		}
	}
	return out
}

func TestTheChartIsWithoutFaultForHelm(t *testing.T) {
	for name, given := range sets(t) {
		found := lint.RunAll(chartDir, given, "gavel")
		for _, m := range found.Messages {
			// An icon is for people who browse charts.
			require.False(t, m.Severity >= support.WarningSev && !strings.Contains(m.Err.Error(), "icon"), "%s: %s", name, m)
		}
	}
}

// Every document is what its API takes, twice the same, in the namespace of the
// release, and named once.
func TestEveryDocumentIsWhatKubernetesTakes(t *testing.T) {
	for name, given := range sets(t) {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			for _, o := range objects(t, given) {
				named, ok := o.(interface {
					GetName() string
					GetNamespace() string
					GetLabels() map[string]string
				})
				require.True(t, ok)
				kind := o.GetObjectKind().GroupVersionKind().Kind
				id := kind + " " + named.GetName()
				require.False(t, seen[id], "%s is there twice", id)
				seen[id] = true
				require.Equal(t, !strings.HasPrefix(kind, "ValidatingAdmission"), named.GetNamespace() == "gavel", id)
				require.Equal(t, "gavel", named.GetLabels()["app.kubernetes.io/instance"], id)
			}
			require.NotEmpty(t, seen)
			first, err := render(t.Context(), given)
			require.NoError(t, err)
			again, err := render(t.Context(), given)
			require.NoError(t, err)
			require.Equal(t, first, again)
			notes := first["gavel/templates/NOTES.txt"]
			require.Contains(t, notes, "port-forward")
			require.NotContains(t, notes, "<no value>")
		})
	}
}

// Two releases in one namespace share nothing: no object, and no pod of a selector.
func TestReleasesDoNotMeet(t *testing.T) {
	given := sets(t)["full"]
	seen := map[string]bool{}
	for _, name := range []string{"gavel", "research", "research-with-a-name-that-is-nearly-as-long-as-one-may"} {
		rendered, err := renderAs(t.Context(), name, given)
		require.NoError(t, err)
		docs, err := documents(rendered)
		require.NoError(t, err)
		for _, doc := range docs {
			var o struct {
				Kind     string
				Metadata struct{ Name string }
			}
			require.NoError(t, yaml.Unmarshal([]byte(doc), &o))
			require.LessOrEqual(t, len(o.Metadata.Name), 63, o.Metadata.Name)
			require.False(t, seen[o.Kind+o.Metadata.Name], "%s %s is of two releases", o.Kind, o.Metadata.Name)
			seen[o.Kind+o.Metadata.Name] = true
			require.Contains(t, doc, "app.kubernetes.io/instance: "+name)
		}
	}
}

// The check itself is one: it refuses what Kubernetes would drop without a word.
func TestWhatKubernetesDoesNotKnowIsRefused(t *testing.T) {
	for _, doc := range []string{
		"apiVersion: apps/v1\nkind: Deployment\nspec: {replica: 1}",
		"apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 1, replicas: 2}",
		"apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: one}",
		"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nspec: {endpoint: []}",
		"apiVersion: apps/v2\nkind: Deployment",
	} {
		_, _, err := strict(t).Decode([]byte(doc), nil, nil)
		require.Error(t, err, doc)
	}
}
