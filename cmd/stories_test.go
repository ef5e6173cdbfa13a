// Package cmd_test tells stories about fleets: real binaries, real signals, a
// real Redis. A story is a file in testdata; its words are in story_words_test.go.
package cmd_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rtfm-si/gavel/internal/redistest"
)

// nightly adds the stories that take minutes.
var nightly = flag.Bool("nightly", false, "tell the long stories too")

// raced has the processes look for races too, which takes two and a half times the CPU.
var raced = flag.Bool("raced", false, "build the processes of the stories with the race detector")

// deaths is for the proofs that count: as many deaths as they promise.
var deaths = flag.Bool("deaths", false, "as many deaths of workers and jobs as the proofs promise: 200 and 100")

// binaries is the folder with the binaries of this run.
var binaries string

func TestMain(m *testing.M) { redistest.Main(built{m}) }

// built runs the tests around a build of the binaries.
type built struct{ *testing.M }

// Run builds what the stories start. They wait more than they work, so more of
// them run at once than there are cores.
func (b built) Run() int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "gavel-stories-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the binaries of the stories:", err)
		return 1
	}
	binaries = dir
	if n, _ := strconv.Atoi(flag.Lookup("test.parallel").Value.String()); n < 6 {
		_ = flag.Set("test.parallel", "6")
	}
	return b.M.Run()
}

func build(dir string) error {
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if *raced {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "./dispatcher", "./worker", "./gavel", "./testdata/collector")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func TestStories(t *testing.T) {
	t.Parallel()
	tell(t, 1, "testdata/*.txtar")
}

// A few of them again in a fleet of four partitions, where what is said about
// the fleet is said by four slots.
func TestStoriesWithFourPartitions(t *testing.T) {
	t.Parallel()
	tell(t, 4, "testdata/submit_runs.txtar", "testdata/kill_by_owner.txtar", "testdata/kill_by_stranger.txtar",
		"testdata/kill_all.txtar", "testdata/emergency_kill_all.txtar", "testdata/many_jobs_at_once.txtar", "testdata/sigkill_is_reclaimed_from_checkpoint.txtar",
		"testdata/sigterm_drains_and_another_worker_resumes.txtar")
}

// The long ones keep the timings of production. They run alone: nobody else's
// noise may cost them a renewal.
func TestLongStories(t *testing.T) {
	if !*nightly {
		t.Skip("minutes long; make stories tells them, each has a shorter twin among the others")
	}
	tell(t, 1, "testdata/long/*.txtar")
}

func tell(t *testing.T, partitions int, patterns ...string) {
	t.Helper()
	tellIn(t, func(tb testing.TB, dir string) *fleet { return newFleet(tb, dir, partitions) }, patterns...)
}

// tellIn tells stories, each in a fleet of its own.
func tellIn(t *testing.T, fleetIn func(tb testing.TB, dir string) *fleet, patterns ...string) {
	t.Helper()
	var files []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil || len(found) == 0 {
			t.Fatalf("no story at %s (%v)", p, err)
		}
		files = append(files, found...)
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Cmds:  words(),
		Setup: func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return fmt.Errorf("a %T is no testing.TB", env.T())
			}
			f := fleetIn(tb, env.WorkDir)
			env.Values[fleetKey{}] = f
			env.Setenv("WITNESS", f.witness.url)
			env.Setenv("FLEET", f.name)
			env.Defer(f.end)
			return nil
		},
		RequireUniqueNames: true,
	})
}

type fleetKey struct{}
