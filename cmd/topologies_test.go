package cmd_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/redistest"
)

// topologies adds what runs on real clusters and sentinels.
var topologies = flag.Bool("topologies", false, "tell the stories on a cluster and on sentinels too")

func needsTopologies(t *testing.T) {
	t.Helper()
	if !*topologies {
		t.Skip("starts a cluster or sentinels; make cluster runs it")
	}
}

// onClusterParts is how many partitions a fleet has on a cluster: more than it
// has masters, so that some masters serve several.
const onClusterParts = 4

// calm is how long a silent node is waited for where nothing is to fail over:
// longer than a busy machine keeps one waiting.
const calm = 15 * time.Second

// inMemory spares a topology that nobody breaks the waits for a disk.
func inMemory() []string { return []string{"--appendonly", "no"} }

func TestStoriesOnACluster(t *testing.T) {
	needsTopologies(t)
	t.Parallel()
	c := redistest.StartCluster(t, redistest.HighOptions{Config: append(configured(t), inMemory()...), Patience: calm})
	tellIn(t, func(tb testing.TB, dir string) *fleet { return newFleetOn(tb, dir, onClusterParts, onCluster(c)) }, told(t, onClusterParts)...)
}

func TestStoriesOnSentinel(t *testing.T) {
	needsTopologies(t)
	t.Parallel()
	s := redistest.StartSentinel(t, redistest.HighOptions{Config: append(configured(t), inMemory()...), Patience: calm})
	tellIn(t, func(tb testing.TB, dir string) *fleet { return newFleetOn(tb, dir, 1, onSentinel(s)) }, told(t, 1)...)
}

// The stories of failovers break the topology that they are told on, so each has
// one for itself.
func TestFailoversOfACluster(t *testing.T) {
	needsTopologies(t)
	t.Parallel()
	tellIn(t, func(tb testing.TB, dir string) *fleet {
		c := redistest.StartCluster(tb, redistest.HighOptions{Config: configured(tb)})
		f := newFleetOn(tb, dir, onClusterParts, onCluster(c))
		f.nodes = &nodes{cluster: c, down: map[*redistest.Own]func(){}}
		return f
	}, "testdata/failover/*.txtar", "testdata/cluster/*.txtar")
}

func TestFailoversUnderSentinel(t *testing.T) {
	needsTopologies(t)
	t.Parallel()
	tellIn(t, func(tb testing.TB, dir string) *fleet {
		s := redistest.StartSentinel(tb, redistest.HighOptions{Config: configured(tb)})
		f := newFleetOn(tb, dir, 1, onSentinel(s))
		f.nodes = &nodes{sentinel: s, down: map[*redistest.Own]func(){}}
		return f
	}, "testdata/failover/*.txtar")
}

// told are the stories that can be told on a topology that others share.
func told(t *testing.T, partitions int) (files []string) {
	t.Helper()
	all, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	for _, file := range all {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if why := untold(filepath.Base(file), string(text), partitions); why != "" {
			t.Logf("%s is left out: %s", file, why)
			continue
		}
		files = append(files, file)
	}
	return files
}

// untold says why a story cannot be told on a topology; empty for one that can.
func untold(name, text string, partitions int) string {
	switch {
	case strings.Contains(text, "\nredis own"), strings.Contains(text, "\nredis aof"):
		return "it breaks its own single server; failover_test.go breaks nodes of a topology"
	case strings.Contains(text, "via="):
		return "a link stands before one server, and clients learn the addresses of the nodes past it"
	case partitions > 1 && strings.Contains(text, "{0}"):
		return "it writes into partition 0, where its jobs are only when there is no other"
	}
	return ""
}
