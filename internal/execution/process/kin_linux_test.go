package process

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// below is every process that descends from this one.
func below(t *testing.T) (out []string) {
	t.Helper()
	for _, e := range descendants(table(), os.Getpid()) {
		args, _ := os.ReadFile("/proc/" + strings.Split(e.name(), ".")[0] + "/cmdline")
		out = append(out, e.name()+" "+string(e.state)+" "+strings.ReplaceAll(string(args), "\x00", " "))
	}
	return out
}

func TestNothingIsLeftOfWhateverAProgramStarts(t *testing.T) {
	for _, kids := range []string{"plain", "setsid", "setpgid", "setsid,bare", "plain,bare", "gone", "lost"} {
		for _, how := range []string{"succeeds", "crashes", "cancelled", "deaf"} {
			t.Run(kids+"/"+how, func(t *testing.T) {
				b := newBench(t, quick(), "parent", kids, kids, how)
				ctx, stop := stoppable(t)
				l := newLedger()
				l.onceReady(func() {
					if how == "cancelled" || how == "deaf" {
						stop(job.StopKilled)
					}
				})
				_, err := b.run(ctx, l)
				switch how {
				case "succeeds":
					require.NoError(t, err)
				case "crashes":
					require.ErrorIs(t, err, job.ErrRetryable)
				default:
					require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
				}
				require.Contains(t, l.eventTypes(), "ready")
			})
		}
	}
}

func TestOtherJobsAndOtherChildrenAreNotTouched(t *testing.T) {
	other := exec.Command("sleep", "60")
	require.NoError(t, other.Start())
	defer func() {
		require.NoError(t, other.Process.Signal(syscall.Signal(0)), "somebody else's child was ended")
		require.NoError(t, other.Process.Kill())
		require.Error(t, other.Wait())
	}()
	cfg := quick()
	self, err := os.Executable()
	require.NoError(t, err)
	cfg.Programs = map[string]Program{
		"long":  {Argv: []string{self, "program", "parent", "setsid", "lost", "cancelled"}, Env: []string{atOnce}},
		"short": {Argv: []string{self, "program", "parent", "setsid", "lost", "succeeds"}, Env: []string{atOnce}},
	}
	x := start(t, cfg)
	defer x.Close()
	ctx, stop := stoppable(t)
	long := newLedger()
	long.work.Kind = "long"
	ready, over := make(chan bool), make(chan error)
	long.onceReady(func() { close(ready) })
	go func() {
		_, err := x.run(ctx, long)
		over <- err
	}()
	<-ready
	require.Eventually(t, func() bool { return len(alive()) == 4 }, 10*time.Second, 5*time.Millisecond, "sleep, program, and two of its own")
	before := names(alive())

	short := newLedger()
	short.work.Kind = "short"
	_, err = x.run(t.Context(), short)
	require.NoError(t, err)
	require.Subset(t, names(alive()), before, "the other job goes on, with all it has started, even what is lost")
	require.LessOrEqual(t, len(alive()), len(before)+1, "only what is lost may stay of the short one")
	require.Len(t, below(t), len(alive()), "and no zombie")
	stop(job.StopKilled)
	require.ErrorIs(t, <-over, &job.Stop{Kind: job.StopKilled})
	require.Len(t, below(t), 1, "with the last job goes what could have been of either")
}

func names(entries []entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.name())
	}
	return out
}

func TestAProgramDiesWithItsWorkerAndTheRestWithTheNext(t *testing.T) {
	_, err := found()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	w := exec.Command(self, "program", "worker", "parent", "setsid", "plain", "deaf")
	out, err := w.StdoutPipe()
	require.NoError(t, err)
	stdin, err := w.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, w.Start())
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", said)
	require.Len(t, below(t), 4, "worker, program, and two of its own")

	require.NoError(t, w.Process.Kill())
	require.Error(t, w.Wait())
	_ = stdin.Close()
	require.Eventually(t, func() bool { return len(alive()) == 2 }, 10*time.Second, 5*time.Millisecond, "the program dies with its worker")

	b := newBench(t, quick(), "good")
	require.True(t, b.logged("ended what a killed worker had left behind"))
	require.Eventually(t, func() bool { return len(alive()) == 0 }, 10*time.Second, 5*time.Millisecond)
	reap(t)
}

// alive are the descendants that are no zombies; reap takes those that are.
func alive() (out []entry) {
	for _, e := range descendants(table(), os.Getpid()) {
		if !e.dead() {
			out = append(out, e)
		}
	}
	return out
}

func reap(t *testing.T) {
	t.Helper()
	for _, e := range descendants(table(), os.Getpid()) {
		_, err := syscall.Wait4(e.pid, nil, 0, nil)
		require.NoError(t, err)
	}
}

func TestALivingWorkersProgramsAreNotLeftovers(t *testing.T) {
	h, err := found()
	require.NoError(t, err)
	c := exec.Command("sleep", "60")
	_, _, err = h.bear(func(mark []string) (*os.Process, error) {
		c.Env = mark
		err := c.Start()
		return c.Process, err
	})
	require.NoError(t, err)
	require.Zero(t, leftovers())
	require.NoError(t, c.Process.Kill())
	require.Error(t, c.Wait())
}
