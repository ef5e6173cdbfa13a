package deployment

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rule is one rule of Prometheus: a record, or an alert.
type Rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

// Rules are those of a rules file.
func Rules(file string) (all []Rule, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var f struct{ Groups []struct{ Rules []Rule } }
	if err := yaml.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", file, errors.New("it has no rules"))
	}
	return all, nil
}

// Scaling is what KEDA asks of Prometheus in the Helm chart, of every dispatcher
// there is.
func Scaling(template string) (string, error) {
	text, err := os.ReadFile(template)
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`query: \{\{ printf ("(?:[^"\\]|\\.)*")`).FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s: %w", template, errors.New("it asks nothing"))
	}
	query, err := strconv.Unquote(string(m[1]))
	if err != nil {
		return "", fmt.Errorf("%s: %w", template, err)
	}
	return strings.NewReplacer("{%s,", "{", "%s", "").Replace(query), nil
}

// Expressions are all that the rules and the dashboard ask of Prometheus, by
// where it stands.
func Expressions(rules, dashboard string) (map[string]string, error) {
	all, err := Rules(rules)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, r := range all {
		out["rule "+r.Record+r.Alert] = r.Expr
	}
	text, err := os.ReadFile(dashboard)
	if err != nil {
		return nil, err
	}
	var board struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				RefID string `json:"refId"`
				Expr  string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &board); err != nil {
		return nil, fmt.Errorf("%s: %w", dashboard, err)
	}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			out["panel "+p.Title+" "+q.RefID] = q.Expr
		}
	}
	return out, nil
}
