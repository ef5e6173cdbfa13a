package check

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	_ "github.com/kedacore/keda/v2/version" // the module whose definition is read
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// KEDA's Go types bring a controller's whole world to compile; its definition of
// a ScaledObject, in the same module, says the same.

// schema is what a definition says of a value.
type schema struct {
	Type                 string
	Properties           map[string]schema
	AdditionalProperties *schema
	Items                *schema
	Required             []string
	Enum                 []any
	IntOrString          bool `json:"x-kubernetes-int-or-string"`
}

// scaledObject is what is read of one.
type scaledObject struct {
	Spec struct {
		ScaleTargetRef struct{ Name string }
		Triggers       []struct{ Metadata map[string]string }
	}
}

func definition(t *testing.T) schema {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2").Output()
	require.NoError(t, err)
	text, err := os.ReadFile(strings.TrimSpace(string(dir)) + "/config/crd/bases/keda.sh_scaledobjects.yaml")
	require.NoError(t, err)
	var crd struct {
		Spec struct {
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &crd))
	require.Equal(t, "v1alpha1", crd.Spec.Versions[0].Name)
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// kedaTakes says what of a ScaledObject KEDA does not know.
func kedaTakes(t *testing.T, doc string) error {
	t.Helper()
	var o map[string]any
	if err := yaml.UnmarshalStrict([]byte(doc), &o); err != nil {
		return err
	}
	delete(o, "metadata") // as for every object
	return definition(t).check("", o)
}

func (s schema) check(where string, value any) error {
	if s.IntOrString {
		return nil
	}
	switch v := value.(type) {
	case map[string]any:
		return s.object(where, v)
	case []any:
		if s.Items == nil {
			return fmt.Errorf("%s: a list, want %s", where, s.Type)
		}
		for i, item := range v {
			if err := s.Items.check(fmt.Sprintf("%s[%d]", where, i), item); err != nil {
				return err
			}
		}
		return nil
	default:
		name := map[string]string{"string": "string", "float64": "integer number", "bool": "boolean"}[fmt.Sprintf("%T", value)]
		if !strings.Contains(name, s.Type) {
			return fmt.Errorf("%s: %v, want %s", where, value, s.Type)
		}
		return nil
	}
}

func (s schema) object(where string, fields map[string]any) error {
	if s.Type != "object" {
		return fmt.Errorf("%s: an object, want %s", where, s.Type)
	}
	for _, name := range s.Required {
		if _, ok := fields[name]; !ok {
			return fmt.Errorf("%s: %s is missing", where, name)
		}
	}
	for name, field := range fields {
		of, known := s.Properties[name]
		if s.AdditionalProperties != nil && !known {
			of, known = *s.AdditionalProperties, true
		}
		if !known {
			return fmt.Errorf("%s: KEDA knows no %s", where, name)
		}
		if err := of.check(where+"."+name, field); err != nil {
			return err
		}
	}
	return nil
}

// scaled is the ScaledObject of a set of values.
func scaled(t *testing.T, given map[string]any) (out scaledObject) {
	t.Helper()
	rendered, err := render(t.Context(), given)
	require.NoError(t, err)
	docs, err := documents(rendered)
	require.NoError(t, err)
	for _, doc := range docs {
		if strings.Contains(doc, "\nkind: ScaledObject\n") {
			require.NoError(t, yaml.Unmarshal([]byte(doc), &out))
			return out
		}
	}
	require.Fail(t, "nothing is scaled")
	return out
}

func TestWhatKEDADoesNotKnowIsRefused(t *testing.T) {
	const head = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\n"
	const target = "scaleTargetRef: {name: x}"
	for spec, want := range map[string]string{
		target: "triggers is missing",
		target + ", triggers: [], minReplicas: 1":                                "knows no minReplicas",
		target + ", triggers: [], minReplicaCount: one":                          "want integer",
		target + ", triggers: [{type: prometheus, metadata: {a: 1}}]":            "want string",
		target + ", triggers: [{type: prometheus, metadata: {a: b}, metric: x}]": "knows no metric",
		target + ", triggers: {}":                                                "want array",
		"scaleTargetRef: {name: x, nam: y}, triggers: []":                        "knows no nam",
	} {
		require.ErrorContains(t, kedaTakes(t, head+"spec: {"+spec+"}"), want, spec)
	}
}
