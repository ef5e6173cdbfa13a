package kube

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	cost  = "controller.kubernetes.io/pod-deletion-cost"
	fleet = "fleet"
)

// installed is a server with the chart's own values, two pods of its workers, and
// one of its dispatchers.
func installed(t *testing.T) (s *server, first, second, door *core.Pod) {
	t.Helper()
	s = equipped(t)
	s.namespace(fleet)
	s.helm("install", "gavel", chart, "-n", fleet)
	made := func(name string) *core.Pod {
		d, err := s.AppsV1().Deployments(fleet).Get(t.Context(), name, meta.GetOptions{})
		require.NoError(t, err)
		p, err := s.create(pod(d.Spec.Template, fleet))
		require.NoError(t, err)
		return p
	}
	return s, made("gavel-worker"), made("gavel-worker"), made("gavel-dispatcher")
}

// token is what the kubelet would give a pod.
func (s *server) token(of *core.Pod) string {
	s.t.Helper()
	asked := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{BoundObjectRef: &authentication.BoundObjectReference{
		APIVersion: "v1", Kind: "Pod", Name: of.Name, UID: of.UID,
	}}}
	got, err := s.CoreV1().ServiceAccounts(of.Namespace).CreateToken(s.t.Context(), of.Spec.ServiceAccountName, asked, meta.CreateOptions{})
	require.NoError(s.t, err)
	return got.Status.Token
}

func (s *server) inPod(of *core.Pod) *kubernetes.Clientset {
	s.t.Helper()
	c, err := kubernetes.NewForConfig(s.as(s.token(of)))
	require.NoError(s.t, err)
	return c
}

func annotated(name, value string) map[string]any {
	return map[string]any{"metadata": map[string]any{"annotations": map[string]any{name: value}}}
}

func patch(t *testing.T, as *kubernetes.Clientset, name string, with map[string]any, sub ...string) error {
	t.Helper()
	body, err := json.Marshal(with)
	require.NoError(t, err)
	_, err = as.CoreV1().Pods(fleet).Patch(t.Context(), name, types.MergePatchType, body, meta.PatchOptions{}, sub...)
	return err
}

// The service account's right, and what the policy leaves of it, as the server
// itself judges them.
func TestAWorkerMayWriteItsOwnCostAndNothingElse(t *testing.T) {
	s, own, other, door := installed(t)
	w := s.inPod(own)
	require.Eventually(t, func() bool { // a policy is in force a moment after it is there
		return refused(patch(t, w, other.Name, annotated(cost, "0"), "status"))
	}, patience, looks, "the policy is not in force")

	require.NoError(t, patch(t, w, own.Name, annotated(cost, "25"), "status"))
	require.NoError(t, patch(t, w, own.Name, annotated(cost, "100"), "status"))
	is, err := s.CoreV1().Pods(fleet).Get(t.Context(), own.Name, meta.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "100", is.Annotations[cost])

	meddled := func(path ...string) map[string]any {
		with := map[string]any{path[len(path)-2]: path[len(path)-1]}
		for _, name := range slices.Backward(path[:len(path)-2]) {
			with = map[string]any{name: with}
		}
		return with
	}
	for what, err := range map[string]error{
		"another worker's cost":   patch(t, w, other.Name, annotated(cost, "0"), "status"),
		"a dispatcher's":          patch(t, w, door.Name, annotated(cost, "0"), "status"),
		"another annotation":      patch(t, w, own.Name, annotated("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"), "status"),
		"a label":                 patch(t, w, own.Name, meddled("metadata", "labels", "app.kubernetes.io/component", "dispatcher"), "status"),
		"its address":             patch(t, w, own.Name, meddled("status", "podIP", "10.0.0.9"), "status"),
		"its phase":               patch(t, w, own.Name, meddled("status", "phase", "Succeeded"), "status"),
		"the pod, not its status": patch(t, w, own.Name, annotated(cost, "0")),
		"to read its pod":         failure(w.CoreV1().Pods(fleet).Get(t.Context(), own.Name, meta.GetOptions{})),
		"to list pods":            failure(w.CoreV1().Pods(fleet).List(t.Context(), meta.ListOptions{})),
		"to delete its pod":       w.CoreV1().Pods(fleet).Delete(t.Context(), own.Name, meta.DeleteOptions{}),
		"to list secrets":         failure(w.CoreV1().Secrets(fleet).List(t.Context(), meta.ListOptions{})),
		"to make a token":         failure(w.CoreV1().ServiceAccounts(fleet).CreateToken(t.Context(), "gavel-dispatcher", &authentication.TokenRequest{}, meta.CreateOptions{})),
		"another namespace":       failure(w.CoreV1().Pods("default").List(t.Context(), meta.ListOptions{})),
		"the policy":              w.AdmissionregistrationV1().ValidatingAdmissionPolicies().Delete(t.Context(), fleet+".gavel-worker", meta.DeleteOptions{}),
	} {
		require.True(t, refused(err), "%s: %v", what, err)
	}
	everybodys := rights(t, s.account("nobody"))
	require.Equal(t, everybodys, rights(t, s.inPod(door)), "a dispatcher may nothing")
	require.ElementsMatch(t, append(everybodys, authorization.ResourceRule{
		Verbs: []string{"patch"}, APIGroups: []string{""}, Resources: []string{"pods/status"},
	}), rights(t, w))

	// A token that is nobody's pod's is not one of a worker.
	require.ErrorContains(t, patch(t, s.account("gavel-worker"), own.Name, annotated(cost, "0"), "status"), "its own pod and no other")
}

func failure[T any](_ T, err error) error { return err }

// refused says whether it was for want of a right, or by a policy.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy")
}

// account is who has a token of an account, bound to no pod; one that is not there
// is made.
func (s *server) account(name string) *kubernetes.Clientset {
	s.t.Helper()
	accounts := s.CoreV1().ServiceAccounts(fleet)
	_, err := accounts.Create(s.t.Context(), &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: name}}, meta.CreateOptions{})
	require.True(s.t, err == nil || apierrors.IsAlreadyExists(err), "%v", err)
	got, err := accounts.CreateToken(s.t.Context(), name, &authentication.TokenRequest{}, meta.CreateOptions{})
	require.NoError(s.t, err)
	c, err := kubernetes.NewForConfig(s.as(got.Status.Token))
	require.NoError(s.t, err)
	return c
}

func rights(t *testing.T, as *kubernetes.Clientset) []authorization.ResourceRule {
	t.Helper()
	got, err := as.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorization.SelfSubjectRulesReview{
		Spec: authorization.SelfSubjectRulesReviewSpec{Namespace: fleet},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	return got.Status.ResourceRules
}

// The worker's own code writes it, with the files that a kubelet mounts.
func TestAWorkerWritesItsCost(t *testing.T) {
	s, own, _, _ := installed(t)
	account := t.TempDir()
	for name, text := range map[string]string{"token": s.token(own), "namespace": fleet, "ca.crt": string(s.ca)} {
		require.NoError(t, os.WriteFile(filepath.Join(account, name), []byte(text), 0o600))
	}
	cmd := exec.Command("go", "test", "-count=1", "-run", "^TestARealServerTakesTheCost$", "./cmd/internal/pod", "-args",
		"-account="+account, "-server="+net.JoinHostPort("127.0.0.1", s.port), "-pod="+own.Name)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	is, err := s.CoreV1().Pods(fleet).Get(t.Context(), own.Name, meta.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "75", is.Annotations[cost])
}
