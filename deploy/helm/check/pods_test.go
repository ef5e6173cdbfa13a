package check

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// margin is what a process may take beside its own settings; deploy/README.md has
// the arithmetic.
const margin = 5 * time.Second

func containers(all []runtime.Object) (out []core.Container) {
	for _, d := range some[*apps.Deployment](all) {
		out = append(out, d.Spec.Template.Spec.Containers...)
	}
	return out
}

// told is what a pod is told.
func told(t *testing.T, c core.Container) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, e := range c.Env {
		require.NotContains(t, out, e.Name, "it is said twice")
		out[e.Name] = e.Value
		if e.ValueFrom != nil {
			require.Equal(t, "metadata.name", e.ValueFrom.FieldRef.FieldPath)
		}
	}
	return out
}

// seconds is a duration as a process reads it.
func seconds(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

func podOf(t *testing.T, all []runtime.Object, part string) core.PodSpec {
	t.Helper()
	return one[*apps.Deployment](t, all, "-"+part).Spec.Template.Spec
}

// A grace that is shorter than the drain would kill a worker in the middle of
// handing its jobs back; each would wait for its lease to run out.
func TestPodsAreGivenTheTimeTheyTakeToEnd(t *testing.T) {
	for name, given := range sets(t) {
		all := objects(t, given)
		p := podOf(t, all, "worker")
		env := told(t, p.Containers[0])
		want := margin
		for _, part := range []string{"GAVEL_DRAIN_FINISH", "GAVEL_DRAIN_GRACE", "GAVEL_DRAIN_SETTLE"} {
			want += seconds(t, env[part])
		}
		partitions, err := strconv.Atoi(env["GAVEL_PARTITIONS"])
		require.NoError(t, err)
		want += time.Duration(partitions-1) * time.Second
		require.Equal(t, want, time.Duration(*p.TerminationGracePeriodSeconds)*time.Second, name)
		live := p.Containers[0].LivenessProbe
		require.GreaterOrEqual(t, time.Duration(live.PeriodSeconds*live.FailureThreshold)*time.Second, seconds(t, env["GAVEL_KILL_PATIENCE"])+30*time.Second,
			"%s: a worker with deaf work must have the time to hand its other jobs back by itself", name)

		p = podOf(t, all, "dispatcher")
		want = seconds(t, told(t, p.Containers[0])["GAVEL_SHUTDOWN"]) + margin
		if l := p.Containers[0].Lifecycle; l != nil {
			want += time.Duration(l.PreStop.Sleep.Seconds) * time.Second
		}
		require.Equal(t, want, time.Duration(*p.TerminationGracePeriodSeconds)*time.Second, name)
	}
	full := podOf(t, objects(t, sets(t)["full"]), "worker")
	require.EqualValues(t, 600+20+7+5, *full.TerminationGracePeriodSeconds)
	cluster := podOf(t, objects(t, sets(t)["cluster"]), "worker")
	require.EqualValues(t, 30+10+5+5+15, *cluster.TerminationGracePeriodSeconds)
}

func TestPodsAreRestricted(t *testing.T) {
	for name, given := range sets(t) {
		all := objects(t, given)
		require.Len(t, containers(all), 2, name)
		for _, d := range some[*apps.Deployment](all) {
			s := d.Spec.Template.Spec
			require.False(t, s.HostNetwork || s.HostPID || s.HostIPC, name)
			require.True(t, *s.SecurityContext.RunAsNonRoot, name)
			require.EqualValues(t, 65532, *s.SecurityContext.RunAsUser, name)
			require.Equal(t, core.SeccompProfileTypeRuntimeDefault, s.SecurityContext.SeccompProfile.Type, name)
			require.NotEmpty(t, s.TopologySpreadConstraints, name)
			require.Equal(t, d.Spec.Selector.MatchLabels["app.kubernetes.io/component"], d.Spec.Template.Labels["app.kubernetes.io/component"])
			c := s.Containers[0]
			require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, name)
			require.False(t, *c.SecurityContext.AllowPrivilegeEscalation, name)
			require.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
			require.Empty(t, c.SecurityContext.Capabilities.Add, name)
			require.NotNil(t, c.ReadinessProbe, name)
			require.NotNil(t, c.LivenessProbe, name)
			require.False(t, c.Resources.Limits.Memory().IsZero(), name)
			token := strings.HasSuffix(d.Name, "-worker") && name != "minimal"
			require.Equal(t, token, *s.AutomountServiceAccountToken, "%s: %s", name, d.Name)
			for _, v := range s.Volumes {
				require.Nil(t, v.HostPath, name)
				if v.Secret != nil {
					require.EqualValues(t, 0o440, *v.Secret.DefaultMode, "%s: %s: the processes refuse a key that all may read", name, v.Name)
				}
			}
		}
	}
}

// Secrets come by reference, and as files: nothing of them is in a variable, in a
// ConfigMap, or in any other document.
func TestSecretsComeByReference(t *testing.T) {
	inline := regexp.MustCompile(`://[^/\s"]*:[^/\s"]*@`)
	for name, given := range sets(t) {
		all := objects(t, given)
		require.Empty(t, some[*core.Secret](all), name)
		rendered, err := render(t.Context(), given)
		require.NoError(t, err)
		for file, text := range rendered {
			require.NotRegexp(t, inline, text, "%s: %s", name, file)
		}
		for _, d := range some[*apps.Deployment](all) {
			mounts := map[string]string{}
			for _, m := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
				mounts[m.MountPath] = m.Name
				require.True(t, m.ReadOnly || m.Name == "tmp" || m.Name == "checkpoints", "%s: %s", name, m.Name)
			}
			require.Len(t, mounts, len(d.Spec.Template.Spec.Volumes), "%s: each volume is mounted once", name)
			for _, e := range d.Spec.Template.Spec.Containers[0].Env {
				require.False(t, e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil, name)
				if strings.HasPrefix(e.Value, "/etc/gavel/") {
					require.Contains(t, mounts, filepath.Dir(e.Value), "%s: %s", name, e.Name)
				}
			}
		}
	}
}

// The files that a worker gets are files that a worker reads.
func TestFilesOfAWorkerAreJSON(t *testing.T) {
	all := objects(t, sets(t)["full"])
	for file, text := range one[*core.ConfigMap](t, all, "-worker").Data {
		require.True(t, json.Valid([]byte(text)), file)
	}
	d := podOf(t, all, "dispatcher").Containers[0]
	for _, e := range d.Env {
		if e.Name == "GAVEL_KINDS" {
			require.Equal(t, "review,panel", e.Value, "the door takes what the workers' programs run")
		}
	}
}

// Sentinels that ask for a password are given their own, not Redis's.
func TestSentinelsAreGivenTheirPassword(t *testing.T) {
	for _, d := range some[*apps.Deployment](objects(t, sets(t)["sentinel"])) {
		pod := d.Spec.Template.Spec
		env := told(t, pod.Containers[0])
		require.Equal(t, "looker", env["GAVEL_REDIS_SENTINEL_USER"])
		require.Equal(t, "/etc/gavel/redis/sentinel", env["GAVEL_REDIS_SENTINEL_PASSWORD_FILE"])
		require.Contains(t, pod.Volumes[0].Secret.Items, core.KeyToPath{Key: "sentinel.password", Path: "sentinel"})
	}
}
