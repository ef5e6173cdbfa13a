package redistest_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestEachTestHasAFleetOfItsOwn(t *testing.T) {
	var mine, theirs string
	var c *redis.Client
	t.Run("two fleets", func(t *testing.T) {
		a, b := redistest.Start(t), redistest.Start(t)
		require.Equal(t, a.Addr(), b.Addr(), "one server per package")
		require.NotEqual(t, a.Fleet, b.Fleet)
		require.NoError(t, job.CheckName("fleet name", a.Fleet, 32))
		mine, theirs = "{"+a.Fleet+":0}:x", "{not-"+a.Fleet+":0}:x"
		c = redistest.Start(t).Client(t)
		require.NoError(t, c.MSet(t.Context(), mine, 1, theirs, 1).Err())
	})
	c = redistest.Start(t).Client(t)
	require.Zero(t, c.Exists(t.Context(), mine).Val(), "a fleet's keys leave with its test")
	require.EqualValues(t, 1, c.Exists(t.Context(), theirs).Val(), "another's keys stay")
	require.NoError(t, c.Del(t.Context(), theirs).Err())
}

func TestServerEvictsNothing(t *testing.T) {
	c := redistest.Start(t).Client(t)
	got, err := c.ConfigGet(t.Context(), "maxmemory-policy").Result()
	require.NoError(t, err)
	require.Equal(t, "noeviction", got["maxmemory-policy"])
}

func TestKilledServerForgetsWithoutAOF(t *testing.T) {
	s := redistest.StartOwn(t, redistest.Options{})
	c := s.Client(t)
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	s.Kill()
	require.Error(t, c.Get(t.Context(), "k").Err(), "nothing answers after a kill")
	s.Restart()
	require.ErrorIs(t, s.Client(t).Get(t.Context(), "k").Err(), redis.Nil)
}

func TestKilledServerComesBackOnItsPortWithItsAOF(t *testing.T) {
	dir := t.TempDir()
	s := redistest.StartOwn(t, redistest.Options{AOF: dir})
	c, at := s.Client(t), s.Addr()
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "the file is where a test can damage it")
	for range 3 {
		s.Kill()
		s.Restart()
		require.Equal(t, at, s.Addr())
		v, err := s.Client(t).Get(t.Context(), "k").Result()
		require.NoError(t, err)
		require.Equal(t, "v", v)
	}
}

func TestStoppedServerKeepsItsConnectionsAndAnswersNothing(t *testing.T) {
	s := redistest.StartOwn(t, redistest.Options{})
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	s.Stop()
	_, err = conn.Write([]byte("PING\r\n"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = conn.Read(make([]byte, 7))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	s.Cont()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = conn.Read(make([]byte, 7))
	require.NoError(t, err, "the reply comes once it goes on")
}

func TestOwnServerTakesItsConfiguration(t *testing.T) {
	s := redistest.StartOwn(t, redistest.Options{Config: []string{"--maxmemory", "8mb"}})
	got, err := s.Client(t).ConfigGet(t.Context(), "maxmemory").Result()
	require.NoError(t, err)
	require.Equal(t, "8388608", got["maxmemory"])
}
