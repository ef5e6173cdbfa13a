package deployment

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/rtfm-si/gavel/cmd/internal/dispatcher"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/cmd/internal/worker"
)

const (
	composeFile = "../../../deploy/compose.yaml"
	kubernetes  = "../../../deploy/kubernetes"
	// margin is what a process may take beside its own settings: a call of Redis
	// that is under way, a blocking read that ends, leaving the table, the last
	// spans. Each further partition takes a second more.
	margin = 5 * time.Second
)

// compose is what is read of deploy/compose.yaml.
type compose struct {
	Services map[string]service
	Secrets  map[string]struct{ File string }
}

type service struct {
	Image       string
	User        string
	ReadOnly    bool          `yaml:"read_only"`
	CapDrop     []string      `yaml:"cap_drop"`
	SecurityOpt []string      `yaml:"security_opt"`
	StopGrace   time.Duration `yaml:"stop_grace_period"`
	Scale       int
	Environment map[string]string
	EnvFile     []string `yaml:"env_file"`
	Secrets     []string
	Healthcheck struct{ Test []string }
}

func readCompose(t *testing.T) compose {
	t.Helper()
	text, err := os.ReadFile(composeFile)
	require.NoError(t, err)
	var c compose
	require.NoError(t, yaml.Unmarshal(text, &c))
	return c
}

// object is what is read of a Kubernetes object.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Spec     struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
}

type pod struct {
	Grace         int64          `yaml:"terminationGracePeriodSeconds"`
	TokenMounted  *bool          `yaml:"automountServiceAccountToken"`
	Security      map[string]any `yaml:"securityContext"`
	Containers    []container
	InitContainer []container `yaml:"initContainers"`
}

// preStop is how long a pod waits before it is told to end.
func (p pod) preStop() time.Duration {
	return time.Duration(p.Containers[0].Lifecycle.PreStop.Sleep.Seconds) * time.Second
}

type container struct {
	Name, Image string
	Env         []struct {
		Name, Value string
		ValueFrom   struct {
			Secret struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	Security struct {
		Escalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnly   bool  `yaml:"readOnlyRootFilesystem"`
		Caps       struct{ Drop []string }
	} `yaml:"securityContext"`
	Resources struct{ Limits, Requests map[string]string }
	Lifecycle struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	Readiness *probe `yaml:"readinessProbe"`
	Liveness  *probe `yaml:"livenessProbe"`
}

type probe struct {
	HTTP     struct{ Path, Port string } `yaml:"httpGet"`
	Period   int                         `yaml:"periodSeconds"`
	Failures int                         `yaml:"failureThreshold"`
}

func readObjects(t *testing.T) map[string]object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(kubernetes, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	found := map[string]object{}
	for _, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var o object
			err := dec.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, path)
			found[o.Kind+" "+o.Metadata.Name] = o
		}
	}
	return found
}

// env is what a container sets itself.
func (c container) env() map[string]string {
	out := map[string]string{}
	for _, e := range c.Env {
		out[e.Name] = e.Value
	}
	return out
}

// under sets an environment for the rest of the test, as a process would see it,
// and returns it. Values from a .env file are their defaults.
func under(t *testing.T, env map[string]string) (list []string) {
	t.Helper()
	fallback := regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`)
	for k, v := range env {
		v = fallback.ReplaceAllString(v, "$1")
		if k == "GAVEL_REDIS_URL" {
			v = "redis://user:password@redis:6379/0" // from a secret
		}
		require.Contains(t, settings.Variables(), k, "no binary reads it")
		t.Setenv(k, v)
		list = append(list, k+"="+v)
	}
	return list
}

func workerUnder(t *testing.T, env map[string]string) worker.Config {
	t.Helper()
	cfg, err := worker.Parse(nil, under(t, env), io.Discard)
	require.NoError(t, err)
	require.NoError(t, cfg.Lease().Check())
	return cfg
}

func dispatcherUnder(t *testing.T, env map[string]string) dispatcher.Config {
	t.Helper()
	cfg, err := dispatcher.Parse(nil, under(t, env), io.Discard)
	require.NoError(t, err)
	return cfg
}

func drain(cfg worker.Config) time.Duration {
	return cfg.DrainFinish + cfg.DrainGrace + cfg.DrainSettle + margin
}

// A grace that is shorter than the drain would kill a worker in the middle of
// handing its jobs back; each would wait for its lease to run out.
func TestWorkersAreGivenTheTimeTheirDrainTakes(t *testing.T) {
	t.Run("compose", func(t *testing.T) {
		s := readCompose(t).Services["worker"]
		require.Equal(t, drain(workerUnder(t, s.Environment)), s.StopGrace)
	})
	t.Run("kubernetes", func(t *testing.T) {
		p := readObjects(t)["Deployment gavel-worker"].Spec.Template.Spec
		cfg := workerUnder(t, p.Containers[0].env())
		require.Equal(t, drain(cfg), time.Duration(p.Grace)*time.Second)
		live := p.Containers[0].Liveness
		require.Greater(t, time.Duration(live.Period*live.Failures)*time.Second, cfg.KillPatience,
			"a worker with deaf work must have the time to hand its other jobs back by itself")
	})
}

func TestDispatchersAreGivenTheTimeTheirShutdownTakes(t *testing.T) {
	t.Run("compose", func(t *testing.T) {
		s := readCompose(t).Services["dispatcher"]
		require.Equal(t, dispatcherUnder(t, s.Environment).Shutdown+margin, s.StopGrace)
	})
	t.Run("kubernetes", func(t *testing.T) {
		p := readObjects(t)["Deployment gavel-dispatcher"].Spec.Template.Spec
		require.Equal(t, p.preStop()+dispatcherUnder(t, p.Containers[0].env()).Shutdown+margin, time.Duration(p.Grace)*time.Second)
	})
}

func TestComposeIsAFleetOfNobodysRoot(t *testing.T) {
	c := readCompose(t)
	require.Equal(t, 2, c.Services["dispatcher"].Scale)
	require.Equal(t, 3, c.Services["worker"].Scale)
	for name, s := range c.Services {
		require.Regexp(t, `^\$\{GAVEL_[A-Z]+_IMAGE:-.+\}$`, s.Image, "%s: its image can be chosen", name)
		require.True(t, s.ReadOnly, name)
		require.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt, name)
		require.NotEmpty(t, s.Healthcheck.Test, name)
		require.NotZero(t, s.StopGrace, name)
		for k, v := range s.Environment {
			require.NotRegexp(t, `(?i)password|://.*@`, v, "%s: %s: secrets come from files", name, k)
		}
		if name != "redis" { // its image drops root by itself
			require.Regexp(t, `^\$\{GAVEL_UID:-65532\}:\$\{GAVEL_GID:-65532\}$`, s.User, name)
			require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		}
		for _, secret := range s.Secrets {
			require.Contains(t, c.Secrets, secret)
			require.Regexp(t, `^\$\{GAVEL_SECRETS:-\./secrets\}/`, c.Secrets[secret].File)
		}
	}
	require.Len(t, c.Services["dispatcher"].EnvFile, 1, "the address of redis holds a password")
	require.Len(t, c.Services["worker"].EnvFile, 1, "the address of redis holds a password")
}

func TestPodsAreRestricted(t *testing.T) {
	objects := readObjects(t)
	for _, want := range []string{"Namespace gavel", "StatefulSet redis", "Service redis", "Deployment gavel-dispatcher", "Service gavel-dispatcher", "PodDisruptionBudget gavel-dispatcher", "Deployment gavel-worker", "NetworkPolicy gavel-worker"} {
		require.Contains(t, objects, want)
	}
	for name, o := range objects {
		if o.Kind != "Deployment" && o.Kind != "StatefulSet" {
			continue
		}
		require.Equal(t, "gavel", o.Metadata.Namespace, name)
		p := o.Spec.Template.Spec
		require.Equal(t, o.Spec.Selector.MatchLabels, matching(o.Spec.Template.Metadata.Labels, o.Spec.Selector.MatchLabels), name)
		require.NotNil(t, p.TokenMounted, name)
		require.Equal(t, name == "Deployment gavel-worker", *p.TokenMounted, "%s: the cost of deleting a worker's pod", name)
		require.Equal(t, true, p.Security["runAsNonRoot"], name)
		require.Equal(t, map[string]any{"type": "RuntimeDefault"}, p.Security["seccompProfile"], name)
		require.Len(t, p.Containers, 1, name)
		c := p.Containers[0]
		require.True(t, c.Security.ReadOnly, name)
		require.NotNil(t, c.Security.Escalation, name)
		require.False(t, *c.Security.Escalation, name)
		require.NotNil(t, c.Readiness, name)
		require.NotNil(t, c.Liveness, name)
		require.NotEmpty(t, c.Resources.Limits["memory"], name)
		for _, e := range c.Env {
			require.NotRegexp(t, `://[^/]*:[^/]*@`, e.Value, "%s: %s: secrets come by reference", name, e.Name)
			require.NotRegexp(t, `(?i)(secret|password|key)$`, e.Name, "%s: secrets come as files", name)
		}
	}
	require.Equal(t, "/readyz", objects["Deployment gavel-dispatcher"].Spec.Template.Spec.Containers[0].Readiness.HTTP.Path)
	require.Equal(t, "/healthz", objects["Deployment gavel-worker"].Spec.Template.Spec.Containers[0].Liveness.HTTP.Path)
}

// matching are the labels that a selector names.
func matching(labels, selector map[string]string) map[string]string {
	out := map[string]string{}
	for k := range selector {
		out[k] = labels[k]
	}
	return out
}

// The configuration of Redis is the one that Gavel demands at its start, and
// that faults demand.
func TestRedisKeepsWhatItAccepts(t *testing.T) {
	text, err := os.ReadFile("../../../deploy/redis/redis.conf")
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")
	for _, want := range []string{
		"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction", "aclfile /etc/gavel/users.acl", "stream-node-max-bytes 1024",
		"auto-aof-rewrite-min-size 1gb",
	} {
		require.True(t, slices.Contains(lines, want), "redis.conf does not say %q", want)
	}
}

// stages are the stages of a Dockerfile by name, without where a binary is from.
func stages(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	found := map[string]string{}
	for _, part := range strings.Split(string(text), "\nFROM ")[1:] {
		head, body, _ := strings.Cut(part, "\n")
		found[head[strings.LastIndex(head, " ")+1:]] = strings.TrimSpace(strings.ReplaceAll(body, "--from=build /out/", ""))
	}
	return found
}

func TestPackedImagesAreTheBuiltOnes(t *testing.T) {
	built, packed := stages(t, "../../../deploy/Dockerfile"), stages(t, "../../../deploy/packed.Dockerfile")
	require.Contains(t, built["build"], "go mod download")
	delete(built, "build")
	require.Equal(t, built, packed)
	require.Contains(t, built["base"], "USER 65532:65532")
	require.Len(t, built, 5)
}
