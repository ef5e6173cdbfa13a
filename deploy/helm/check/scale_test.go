package check

import (
	"encoding/json"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	admission "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// annotation is what a worker keeps of its pod.
const annotation = "controller.kubernetes.io/pod-deletion-cost"

// Workers are scaled on the jobs that may start and on those that hold a slot.
func TestKEDACountsJobsAndSlots(t *testing.T) {
	for name, selects := range map[string]string{"keda": `job="gavel-dispatcher"`, "full": `namespace="gavel",service="gavel-dispatcher-private"`} {
		all := objects(t, sets(t)[name])
		so := scaled(t, sets(t)[name])
		require.Len(t, so.Spec.Triggers, 1)
		ask := so.Spec.Triggers[0].Metadata
		require.Equal(t, `max(gavel_runnable{`+selects+`}) + sum(max by (state) (gavel_jobs{`+selects+`,state=~"running|killing"}))`, ask["query"])
		require.Equal(t, "false", ask["ignoreNullValues"], "a Prometheus that is away is not an idle fleet")
		w := one[*apps.Deployment](t, all, "-worker")
		require.Nil(t, w.Spec.Replicas, "an upgrade must not undo what the scaler did")
		require.Equal(t, w.Name, so.Spec.ScaleTargetRef.Name)
		for _, e := range w.Spec.Template.Spec.Containers[0].Env {
			if e.Name == "GAVEL_SLOTS" {
				require.Equal(t, e.Value, ask["threshold"])
			}
		}
	}
	require.NotNil(t, one[*apps.Deployment](t, objects(t, nil), "-worker").Spec.Replicas)
}

func TestTheDoorIsScaledAndKept(t *testing.T) {
	all := objects(t, nil)
	d := one[*apps.Deployment](t, all, "-dispatcher")
	hpa := one[*autoscaling.HorizontalPodAutoscaler](t, all, "-dispatcher")
	require.Nil(t, d.Spec.Replicas)
	require.Equal(t, d.Name, hpa.Spec.ScaleTargetRef.Name)
	require.GreaterOrEqual(t, *hpa.Spec.MinReplicas, int32(2))
	for _, part := range []string{"-dispatcher", "-worker"} {
		pdb := one[*policy.PodDisruptionBudget](t, all, part)
		require.Equal(t, one[*apps.Deployment](t, all, part).Spec.Selector, pdb.Spec.Selector)
	}
	require.EqualValues(t, 1, *one[*apps.Deployment](t, objects(t, sets(t)["minimal"]), "-dispatcher").Spec.Replicas)
}

// What monitors select is there, and reaches ports that pods have.
func TestMonitorsAndPoliciesReachThePods(t *testing.T) {
	all := objects(t, sets(t)["full"])
	for _, m := range some[*monitoring.ServiceMonitor](all) {
		selected := 0
		for _, s := range some[*core.Service](all) {
			if labels.SelectorFromSet(m.Spec.Selector.MatchLabels).Matches(labels.Set(s.Labels)) {
				selected++
				require.Equal(t, m.Spec.Endpoints[0].Port, s.Spec.Ports[0].Name)
			}
		}
		require.Equal(t, 1, selected, m.Name)
	}
	require.Len(t, some[*monitoring.ServiceMonitor](all), 2)
	for _, d := range some[*apps.Deployment](all) {
		ports := map[string]bool{}
		for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
			ports[p.Name] = true
		}
		for _, s := range some[*core.Service](all) {
			if labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) {
				require.True(t, ports[s.Spec.Ports[0].TargetPort.StrVal], s.Name)
			}
		}
		np := one[*networking.NetworkPolicy](t, all, strings.TrimPrefix(d.Name, "gavel"))
		require.True(t, labels.SelectorFromSet(np.Spec.PodSelector.MatchLabels).Matches(labels.Set(d.Spec.Template.Labels)))
		require.Len(t, np.Spec.PolicyTypes, 2)
		for _, in := range np.Spec.Ingress {
			require.True(t, ports[in.Ports[0].Port.StrVal])
		}
	}
	rules := one[*monitoring.PrometheusRule](t, all, "gavel")
	require.Greater(t, len(rules.Spec.Groups[1].Rules), 10)
	dashboard := one[*core.ConfigMap](t, all, "gavel-dashboard")
	require.Equal(t, "1", dashboard.Labels["grafana_dashboard"])
	var board struct{ UID string }
	require.NoError(t, json.Unmarshal([]byte(dashboard.Data["gavel.json"]), &board))
	require.Equal(t, "gavel", board.UID)
}

// A worker has no door: nobody but monitoring reaches it.
func TestNobodyReachesAWorker(t *testing.T) {
	in := one[*networking.NetworkPolicy](t, objects(t, nil), "-worker").Spec.Ingress
	require.Len(t, in, 1)
	require.Equal(t, "private", in[0].Ports[0].Port.StrVal)
	require.NotEmpty(t, in[0].From)
	require.Empty(t, one[*networking.NetworkPolicy](t, objects(t, sets(t)["no-monitoring"]), "-worker").Spec.Ingress)
}

// The right to write the cost of a pod is one verb on one subresource, and the
// policy leaves of it the own pod's one annotation.
func TestAWorkerMayWriteItsOwnCostAndNothingElse(t *testing.T) {
	all := objects(t, nil)
	role := one[*rbac.Role](t, all, "-worker")
	require.Equal(t, []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods/status"}, Verbs: []string{"patch"}}}, role.Rules)
	require.Len(t, some[*rbac.Role](all), 1)
	require.Empty(t, some[*rbac.ClusterRole](all))
	binding := one[*rbac.RoleBinding](t, all, "-worker")
	require.Equal(t, one[*apps.Deployment](t, all, "-worker").Spec.Template.Spec.ServiceAccountName, binding.Subjects[0].Name)
	require.Empty(t, some[*rbac.Role](objects(t, sets(t)["minimal"])))

	guard := one[*admission.ValidatingAdmissionPolicy](t, all, "-worker")
	require.Equal(t, guard.Name, one[*admission.ValidatingAdmissionPolicyBinding](t, all, "-worker").Spec.PolicyName)
	before := `{"metadata":{"name":"w-1","labels":{"a":"b"},"annotations":{"x":"y"}},"spec":{"nodeName":"n"},"status":{"podIP":"10.0.0.1"}}`
	edit := func(old, replaced string) string { return strings.Replace(before, old, replaced, 1) }
	cost := `"annotations":{"x":"y","` + annotation + `":"25"}`
	for name, c := range map[string]struct {
		user, of, after string
		allowed         bool
	}{
		"the cost":             {"worker", "w-1", edit(`"annotations":{"x":"y"}`, cost), true},
		"another pod's":        {"worker", "w-2", edit(`"annotations":{"x":"y"}`, cost), false},
		"no pod's token":       {"worker", "", edit(`"annotations":{"x":"y"}`, cost), false},
		"another annotation":   {"worker", "w-1", edit(`"x":"y"`, `"x":"z"`), false},
		"one more":             {"worker", "w-1", edit(`"x":"y"`, `"x":"y","z":"z"`), false},
		"one less":             {"worker", "w-1", edit(`"annotations":{"x":"y"}`, `"annotations":{}`), false},
		"a label":              {"worker", "w-1", edit(`"a":"b"`, `"a":"c"`), false},
		"the address":          {"worker", "w-1", edit(`10.0.0.1`, `10.0.0.2`), false},
		"the spec":             {"worker", "w-1", edit(`"n"`, `"m"`), false},
		"somebody else's acts": {"kubelet", "", edit(`10.0.0.1`, `10.0.0.2`), true},
	} {
		require.Equal(t, c.allowed, admitted(t, guard, c.user, c.of, before, c.after), name)
	}
	bare := `{"metadata":{"name":"w-1"},"spec":{},"status":{}}`
	first := `{"metadata":{"name":"w-1","annotations":{"` + annotation + `":"0"}},"spec":{},"status":{}}`
	require.True(t, admitted(t, guard, "worker", "w-1", bare, first), "the first of a pod without annotations")
}

// admitted asks the policy's expressions as the API server would.
func admitted(t *testing.T, guard *admission.ValidatingAdmissionPolicy, user, of, before, after string) bool {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("request", cel.DynType), cel.Variable("object", cel.DynType),
		cel.Variable("oldObject", cel.DynType), cel.Variable("variables", cel.DynType))
	require.NoError(t, err)
	parse := func(text string) (out map[string]any) {
		require.NoError(t, json.Unmarshal([]byte(text), &out))
		return out
	}
	extra := map[string]any{}
	if of != "" {
		extra["authentication.kubernetes.io/pod-name"] = []any{of}
	}
	name := "system:serviceaccount:gavel:gavel-" + user
	vars := map[string]any{
		"object": parse(after), "oldObject": parse(before), "variables": map[string]any{},
		"request": map[string]any{"name": "w-1", "userInfo": map[string]any{"username": name, "extra": extra}},
	}
	ask := func(expression string) any {
		ast, issues := env.Compile(expression)
		require.NoError(t, issues.Err(), expression)
		program, err := env.Program(ast)
		require.NoError(t, err)
		out, _, err := program.Eval(vars)
		require.NoError(t, err, expression)
		return out.Value()
	}
	for _, c := range guard.Spec.MatchConditions {
		if ask(c.Expression) == false {
			return true // nobody whom the policy is about
		}
	}
	known := map[string]any{}
	for _, v := range guard.Spec.Variables {
		known[v.Name] = ask(v.Expression)
	}
	vars["variables"] = known
	for _, v := range guard.Spec.Validations {
		if ask(v.Expression) != true {
			return false
		}
	}
	return true
}
