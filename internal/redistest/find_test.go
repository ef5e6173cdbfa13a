package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type runs func() int

func (r runs) Run() int { return r() }

func TestALeftGoroutineFailsTheRun(t *testing.T) {
	t.Setenv(sharedURL, os.Getenv(sharedURL)) // With changes it
	stay := make(chan struct{})
	defer close(stay)
	require.Equal(t, 0, With(runs(func() int { return 0 })).Run())
	require.Equal(t, 3, With(runs(func() int { return 3 })).Run())
	require.Equal(t, 1, With(runs(func() int { go func() { <-stay }(); return 0 })).Run())
}

func TestTheServerIsOfTheKindThatWasAskedFor(t *testing.T) {
	s := StartOwn(t, Options{})
	info, err := s.Client(t).Info(t.Context(), "server").Result()
	require.NoError(t, err)
	first := strings.Contains(info, "process_id:1\r\n") // as in a container of its own
	_, noBinary := exec.LookPath("redis-server")
	require.Equal(t, os.Getenv(EnvImage) != "" || noBinary != nil, first)
}

func TestNoRedisAnywhereSaysWhatToDo(t *testing.T) {
	t.Setenv(EnvImage, "")
	t.Setenv("PATH", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "docker.sock"))
	_, err := launch(t.Context(), Options{})
	require.ErrorIs(t, err, ErrNoRedis)
	require.ErrorContains(t, err, "make redis ")
}

func TestAnImageThatIsNotThereIsNotPulled(t *testing.T) {
	t.Setenv(EnvImage, "gavel-redis:no-such-tag")
	_, err := launch(t.Context(), Options{})
	require.ErrorContains(t, err, "tests do not pull")
}

func TestAnOldRedisIsRefused(t *testing.T) {
	require.NoError(t, newEnough("redis_version:7.0.15\r\n"))
	require.NoError(t, newEnough("redis_version:10.2.0\r\n"))
	require.ErrorContains(t, newEnough("redis_version:6.2.14\r\n"), "Redis 6.2.14")
	require.ErrorContains(t, newEnough("# Server"), "no redis_version")
}

func TestAServerThatDoesNotStartSaysWhy(t *testing.T) {
	bin := needBinary(t)
	_, err := startProcess(t.Context(), bin, Options{Config: []string{"--maxmemory", "lots"}})
	require.ErrorContains(t, err, "maxmemory")
}

// A stranger on the port must never be taken for the server of a test.
func TestAStrangerOnThePortIsNotTaken(t *testing.T) {
	bin := needBinary(t)
	stranger := StartOwn(t, Options{})
	_, port, err := net.SplitHostPort(stranger.Addr())
	require.NoError(t, err)
	p := &process{bin: bin, dir: t.TempDir()}
	p.port, err = strconv.Atoi(port)
	require.NoError(t, err)
	require.Error(t, p.start(t.Context()))
	require.NoError(t, stranger.Client(t).Ping(t.Context()).Err(), "the stranger lives on")
}

// holdEnv makes this test binary start a server, say where, and wait.
const holdEnv = "REDISTEST_HOLD"

// TestHoldsAServer is the process that the next test kills.
func TestHoldsAServer(t *testing.T) {
	if os.Getenv(holdEnv) == "" {
		return
	}
	fmt.Println("addr", StartOwn(t, Options{}).Addr())
	<-t.Context().Done()
}

func TestNoServerOutlivesItsTests(t *testing.T) {
	needBinary(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	tests := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHoldsAServer$", "-test.v")
	tests.Env = append(os.Environ(), holdEnv+"=1", EnvImage+"=")
	out, err := tests.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, tests.Start())
	addr := ""
	for lines := bufio.NewScanner(out); addr == "" && lines.Scan(); {
		addr, _ = strings.CutPrefix(lines.Text(), "addr ")
		if addr == lines.Text() {
			addr = ""
		}
	}
	require.NotEmpty(t, addr, "the other process started no server")
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	_ = c.Close()
	require.NoError(t, tests.Process.Kill())
	_ = tests.Wait() // killed, as it should be
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}, 5*time.Second, 5*time.Millisecond, "the server is still there")
}

// needBinary finds redis-server, which a machine that tests with containers
// alone need not have.
func needBinary(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("this is about servers that are processes, and there is no redis-server here")
	}
	return bin
}
