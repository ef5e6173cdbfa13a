package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/torture/judge"
	"github.com/rtfm-si/gavel/torture/rig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ran leaves the figures of a run in a directory.
func ran(t *testing.T, name string, f figures) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Mkdir(dir, 0o750))
	require.NoError(t, f.write(dir))
	return dir
}

func TestRunsAreAddedUp(t *testing.T) {
	storm := ran(t, "storm", figures{
		Settings: settings{Seed: 1, Topology: rig.Cluster, Durability: "replicated"}, Lasted: 30 * time.Minute, Operations: 90, Unknown: 9, Jobs: 7,
		Faults: map[string]*strikes{"a": {Struck: 4, Bit: 3, Bites: 30}, "b": {Struck: 1}}, Points: map[string]int{"worker after grant": 2}, Outcomes: map[string]int{"killed": 5, "failed": 2},
		Verdicts: map[string]int{"stopped": 5}, Orders: map[string]int{"fleet": 2}, Late: time.Millisecond, Lost: map[string]int{"claims": 1}, Losses: 1,
	})
	calm := ran(t, "calm", figures{
		Settings: settings{Seed: 2, Topology: rig.Single, Only: []string{"none"}}, Lasted: 30 * time.Minute, Operations: 10, Jobs: 3,
		Faults: map[string]*strikes{}, Points: map[string]int{"worker after grant": 1, "worker before park": 1}, Outcomes: map[string]int{"killed": 3}, Verdicts: map[string]int{"fenced": 1}, Orders: map[string]int{"fleet": 1}, Late: 9 * time.Millisecond,
		Growth: map[string]judge.Grown{"worker": {For: time.Hour, What: map[string]judge.Growth{"goroutines": {PerHour: 1.5}}}}, Emptied: true,
	})
	var out bytes.Buffer
	code, err := run(t.Context(), []string{"sum", storm, calm, filepath.Join(t.TempDir(), "cut off")}, &out)
	require.NoError(t, err)
	require.Zero(t, code)
	for _, want := range []string{
		"2 runs in 1h0m0s, 1 of them calm, 0 broke a promise, 1 were not judged: 1 cluster replicated, 1 single, calm",
		"operations: 100 (9.0 % with", "faults: 5 struck, 3 bit, of 2 kinds; never bit: b",
		"workers killed at their calls to Redis: 4, at 2 of", "dispatchers killed at their calls to Redis: 0, at 0 of", "jobs: 10 (2 failed, 8 killed)",
		"orders: 3 fleet; kills: 6 (1 fenced, 5 stopped)", "1 claims, in 1 moments", "9ms at worst", "worker goroutines        least +1.5, most +1.5",
		"no key of it left: 1", "1.0 of 24 hours, 10 of 1000000 jobs, 5 of 2000 faults, 3 of 300 kill-alls",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestARunThatBrokeAPromiseFailsTheSum(t *testing.T) {
	dir := ran(t, "run", figures{Settings: settings{Seed: 7, Topology: rig.Single}, Broken: map[string]int{"money": 2}})
	var out bytes.Buffer
	code, err := run(t.Context(), []string{"sum", dir}, &out)
	require.NoError(t, err)
	require.Equal(t, 1, code)
	require.Contains(t, out.String(), "BROKEN: seed 7 (single) broke money, in "+dir)
}
