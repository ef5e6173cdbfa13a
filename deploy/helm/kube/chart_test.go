package kube

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	scheduling "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const chart = "../gavel"

// equipped is a server that knows what the chart may ask for beyond Kubernetes.
func equipped(t *testing.T) *server {
	t.Helper()
	s := start(t)
	for _, path := range []string{
		filepath.Join(*keda, "config/crd/bases/keda.sh_scaledobjects.yaml"),
		filepath.Join(*operator, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
		filepath.Join(*operator, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
	} {
		for _, crd := range s.apply(path) {
			require.Eventually(t, func() bool {
				got, err := s.resource(crd.GroupVersionKind(), "").Get(t.Context(), crd.GetName(), meta.GetOptions{})
				return err == nil && established(got)
			}, patience, looks, crd.GetName())
		}
	}
	s.mapper.Reset()
	_, err := s.SchedulingV1().PriorityClasses().Create(t.Context(), &scheduling.PriorityClass{ObjectMeta: meta.ObjectMeta{Name: "system"}, Value: 1000}, meta.CreateOptions{})
	require.NoError(t, err, "the full values name it")
	return s
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		if c := c.(map[string]any); c["type"] == "Established" && c["status"] == "True" {
			return true
		}
	}
	return false
}

// namespace makes one whose pods must be restricted, in the latest meaning.
func (s *server) namespace(name string) {
	s.t.Helper()
	_, err := s.CoreV1().Namespaces().Create(s.t.Context(), &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest",
	}}}, meta.CreateOptions{})
	require.NoError(s.t, err)
}

// pod is what a controller would create from a template, without a name.
func pod(of core.PodTemplateSpec, namespace string) *core.Pod {
	return &core.Pod{ObjectMeta: meta.ObjectMeta{GenerateName: "p-", Namespace: namespace, Labels: of.Labels, Annotations: of.Annotations}, Spec: of.Spec}
}

func (s *server) create(p *core.Pod) (*core.Pod, error) {
	return s.CoreV1().Pods(p.Namespace).Create(s.t.Context(), p, meta.CreateOptions{FieldValidation: meta.FieldValidationStrict})
}

func (s *server) deployments(namespace string) []apps.Deployment {
	s.t.Helper()
	all, err := s.AppsV1().Deployments(namespace).List(s.t.Context(), meta.ListOptions{})
	require.NoError(s.t, err)
	return all.Items
}

// Every set of values is installed, its pods are let in where only restricted ones
// are, an upgrade that changes nothing rolls nothing, and nothing is left in the end.
func TestEverySetOfValuesIsTakenByAServer(t *testing.T) {
	s := equipped(t)
	files, err := filepath.Glob(chart + "/ci/*-values.yaml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 6)
	for _, file := range append(files, chart+"/values.yaml") {
		name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".yaml"), "-values")
		t.Run(name, func(t *testing.T) {
			s := s.of(t)
			s.namespace(name)
			say := s.helm("install", "gavel", chart, "-n", name, "-f", file)
			require.Contains(t, say, "STATUS: deployed")
			require.Len(t, s.deployments(name), 2)
			for _, d := range s.deployments(name) {
				created, err := s.create(pod(d.Spec.Template, name))
				require.NoError(t, err, d.Name)
				require.Equal(t, d.Spec.Template.Spec.PriorityClassName, created.Spec.PriorityClassName)
			}
			s.helm("upgrade", "gavel", chart, "-n", name, "-f", file)
			for _, d := range s.deployments(name) {
				require.EqualValues(t, 1, d.Generation, "%s: an upgrade that changes nothing rolls it", d.Name)
			}
			s.helm("upgrade", "gavel", chart, "-n", name, "-f", file, "--set", "log.level=warn")
			for _, d := range s.deployments(name) {
				require.EqualValues(t, 2, d.Generation, d.Name)
			}
			require.NotEmpty(t, s.left(name))
			s.helm("uninstall", "gavel", "-n", name)
			require.Empty(t, s.left(name))
		})
	}
}

// of is the same server for a test below.
func (s *server) of(t *testing.T) *server {
	t.Helper()
	other := *s
	other.t = t
	return &other
}

// left is what is there of a release, of every kind that the server knows.
func (s *server) left(namespace string) (out []string) {
	s.t.Helper()
	lists, err := s.Discovery().ServerPreferredResources()
	require.NoError(s.t, err)
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(s.t, err)
		for _, r := range list.APIResources {
			if !strings.Contains(r.Verbs.String(), "list") || !strings.Contains(r.Verbs.String(), "create") || r.Name == "pods" {
				continue
			}
			found, err := s.dynamic.Resource(version.WithResource(r.Name)).List(s.t.Context(), meta.ListOptions{LabelSelector: "app.kubernetes.io/instance=gavel"})
			require.NoError(s.t, err, r.Name)
			for _, o := range found.Items {
				if o.GetNamespace() == namespace || strings.HasPrefix(o.GetName(), namespace+".") {
					out = append(out, o.GetKind()+" "+o.GetName())
				}
			}
		}
	}
	return out
}

// The namespace is one that lets nobody else in: the test of the pods above bites.
func TestAPodThatIsNotRestrictedIsRefused(t *testing.T) {
	s := equipped(t)
	s.namespace("strict")
	s.helm("install", "gavel", chart, "-n", "strict")
	for _, d := range s.deployments("strict") {
		yes := true
		for what, spoil := range map[string]func(*core.Pod){
			"runAsNonRoot": func(p *core.Pod) {
				p.Spec.SecurityContext.RunAsNonRoot, p.Spec.Containers[0].SecurityContext.RunAsNonRoot = nil, nil
			},
			"allowPrivilegeEscalation":  func(p *core.Pod) { p.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = &yes },
			"unrestricted capabilities": func(p *core.Pod) { p.Spec.Containers[0].SecurityContext.Capabilities = nil },
			"seccompProfile": func(p *core.Pod) {
				p.Spec.SecurityContext.SeccompProfile, p.Spec.Containers[0].SecurityContext.SeccompProfile = nil, nil
			},
		} {
			p := pod(*d.Spec.Template.DeepCopy(), "strict")
			spoil(p)
			_, err := s.create(p)
			require.True(t, apierrors.IsForbidden(err), "%s: %v", what, err)
			require.ErrorContains(t, err, what)
		}
	}
}

// Those who have no Helm apply the same, and one Redis to begin with.
func TestTheManifestsAreTakenByAServer(t *testing.T) {
	s := start(t)
	for _, name := range []string{"namespace", "redis", "gavel"} {
		for _, o := range s.apply(root + "/deploy/kubernetes/" + name + ".yaml") {
			if o.GetKind() != "StatefulSet" {
				continue
			}
			var set apps.StatefulSet
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &set))
			p := pod(set.Spec.Template, "gavel")
			for _, claim := range set.Spec.VolumeClaimTemplates { // as its controller does
				p.Spec.Volumes = append(p.Spec.Volumes, core.Volume{Name: claim.Name, VolumeSource: core.VolumeSource{
					PersistentVolumeClaim: &core.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-0"},
				}})
			}
			s.defaultAccount("gavel")
			_, err := s.create(p)
			require.NoError(t, err, o.GetName())
		}
	}
	for _, d := range s.deployments("gavel") { // the accounts are there now
		_, err := s.create(pod(d.Spec.Template, "gavel"))
		require.NoError(t, err, d.Name)
	}
}

// defaultAccount makes the one that a controller makes in every namespace.
func (s *server) defaultAccount(namespace string) {
	s.t.Helper()
	_, err := s.CoreV1().ServiceAccounts(namespace).Create(s.t.Context(), &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: "default"}}, meta.CreateOptions{})
	require.NoError(s.t, err)
}
