package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/cli"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// emergency is gavel emergency kill-all with a URL of Redis; it returns what it
// printed and its exit code.
func (f *fleet) emergency(url, fleet string) (string, int) {
	f.t.Helper()
	var out, errs bytes.Buffer
	err := cli.Run(f.t.Context(), cli.Process{
		Args: []string{
			"emergency", "kill-all", "--json", "--reason=the doors are gone", "--incident=inc-1", "--who=kim", "--fleet=" + fleet, "--yes=" + fleet,
			"--lease-renew=200ms", "--lease-trust=800ms", "--lease-take=1200ms",
		},
		Env: []string{"GAVEL_REDIS_URL=" + url}, In: &bytes.Buffer{}, Out: &out, Err: &errs,
	})
	if err == nil {
		return out.String(), 0
	}
	var coded interface{ ExitCode() int }
	require.ErrorAs(f.t, err, &coded)
	return out.String() + err.Error(), coded.ExitCode()
}

// In an emergency the dispatchers' user of Redis is the credential: it has every
// right that it takes, and nobody else's user has.
func TestAnEmergencyTakesTheDispatchersUserAndNoOther(t *testing.T) {
	f := startFleet(t)
	f.worker("only")
	id := f.submit(map[string]any{"steps": 1000, "step_ms": 100})
	f.becomes(id, client.Running)

	t.Setenv("GAVEL_REDIS_URL", f.url("dispatcher"))
	out, code := f.emergency(f.url("dispatcher"), "gavel")
	require.Zero(t, code, out)
	var r client.Receipt
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	require.Equal(t, client.Quiesced, r.Stage)
	require.Equal(t, int64(1), r.Tally.Stopped)
	require.Equal(t, "kim", r.Actor)
	require.Equal(t, "inc-1", r.Incident)
	require.True(t, r.Freeze)
	require.Equal(t, client.Killed, f.becomes(id, client.Killed).State)
	require.Empty(t, f.refused(t), "Redis refused what an emergency needs")
	reapers, err := f.admin.HKeys(context.WithoutCancel(t.Context()), rediskit.NewSlot("gavel", 0).Of("reapers")).Result()
	require.NoError(t, err)
	for _, name := range reapers {
		require.NotContains(t, name, "emergency", "it leaves nothing behind")
	}

	for name, url := range map[string]string{
		"worker": f.url("worker"), "observer": f.url("observer"), "a wrong password": "redis://dispatcher:wrong@" + f.Addr(), "nobody": "redis://" + f.Addr(),
	} {
		t.Setenv("GAVEL_REDIS_URL", url)
		said, code := f.emergency(url, "gavel")
		require.Equal(t, 3, code, "%s: %s", name, said)
		require.Contains(t, said, "Nothing was done", name)
	}
	t.Setenv("GAVEL_REDIS_URL", f.url("admin"))
	said, code := f.emergency(f.url("admin"), "gravel")
	require.Equal(t, 3, code, said)
	require.Contains(t, said, "no fleet of that name")
	orders, _, err := f.api.Orders(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, orders, 1)
}

func TestAnEmergencyWithoutRedisSaysSo(t *testing.T) {
	f := startFleet(t)
	t.Setenv("GAVEL_REDIS_URL", "redis://127.0.0.1:1")
	said, code := f.emergency("redis://127.0.0.1:1", "gavel")
	require.Equal(t, 5, code, said)
	require.Contains(t, said, "--lease-trust")
}
