package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// bench is a fleet's audit on a real Redis, and the file it is exported to.
type bench struct {
	t      *testing.T
	redis  *redis.Client
	log    *Redis
	server *redistest.Server
	path   string
	key    ed25519.PrivateKey
}

func newBench(t *testing.T, partitions int) *bench {
	t.Helper()
	s := redistest.Start(t)
	b := &bench{t: t, server: s, redis: s.Client(t), path: filepath.Join(t.TempDir(), "audit.jsonl"), key: keyOf("ours")}
	var err error
	b.log, err = NewRedis(rediskit.Runner{Client: b.redis, Profile: rediskit.Server}, rediskit.Partitions{Fleet: s.Fleet, Count: partitions})
	require.NoError(t, err)
	return b
}

func keyOf(seed string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(seed))
	return ed25519.NewKeyFromSeed(sum[:])
}

func trustIn(keys ...ed25519.PrivateKey) (t Trust) {
	for _, k := range keys {
		t = append(t, encodeKey(publicOf(k)))
	}
	return t
}

// act writes entries, as denied acts do.
func (b *bench) act(entries int) {
	b.t.Helper()
	for i := range entries {
		require.NoError(b.t, b.log.Deny(b.t.Context(), job.AuditEntry{
			Act: "kill", Rule: "stranger", Who: []byte(`{"subject":"eve"}`),
			Fields: map[string]string{"scope": "job", "reason": fmt.Sprintf("because %d\xff", i)},
		}))
	}
}

func (b *bench) sink() Sink {
	b.t.Helper()
	s, err := OpenSink(b.path, nil)
	require.NoError(b.t, err)
	return s
}

func (b *bench) sealer(key ed25519.PrivateKey, sink Sink) *Sealer {
	b.t.Helper()
	s, err := NewSealer(b.log, SealerConfig{Key: key, Sink: sink, Every: time.Millisecond, Take: 2 * time.Millisecond})
	require.NoError(b.t, err)
	return s
}

// sealed seals everything there is, by a sealer that nobody hinders.
func (b *bench) sealed(entries int) {
	b.t.Helper()
	b.act(entries)
	require.NoError(b.t, b.redis.HDel(b.t.Context(), b.key1("seal"), "who").Err())
	require.NoError(b.t, b.sealer(b.key, b.sink()).seal(b.t.Context(), 0))
}

func (b *bench) key1(name string) string { return b.log.partitions.Slot(0).Of(name) }

func (b *bench) live() Log {
	b.t.Helper()
	f, err := OpenFleet(b.t.Context(), b.log)
	require.NoError(b.t, err)
	return f
}

func exportOf(t *testing.T, path string) Log {
	t.Helper()
	e, err := OpenExport(path)
	require.NoError(t, err)
	return e
}

func (b *bench) export() Log { return exportOf(b.t, b.path) }

// holds verifies logs that nothing is wrong with.
func (b *bench) holds(logs ...Log) Verified {
	b.t.Helper()
	rep, err := Verify(b.t.Context(), trustIn(b.key), logs...)
	require.NoError(b.t, err)
	require.NotEmpty(b.t, rep.Partitions)
	return rep.Partitions[0]
}

// breaks verifies logs, and says what is wrong with them.
func (b *bench) breaks(kind Kind, n uint64, logs ...Log) *Break {
	b.t.Helper()
	_, err := Verify(b.t.Context(), trustIn(b.key), logs...)
	return broken(b.t, err, kind, n)
}

func broken(t *testing.T, err error, kind Kind, n uint64) *Break {
	t.Helper()
	var br *Break
	require.ErrorAs(t, err, &br)
	require.Equal(t, kind, br.Kind, br.Error())
	require.Equal(t, n, br.N, br.Error())
	require.NotEmpty(t, br.Where)
	return br
}

// rebuild writes the stream anew, as an administrator of Redis could.
func (b *bench) rebuild(change func([]redis.XMessage) []redis.XMessage) {
	b.t.Helper()
	ctx := b.t.Context()
	all, err := b.redis.XRange(ctx, b.key1("audit"), "-", "+").Result()
	require.NoError(b.t, err)
	require.NoError(b.t, b.redis.Del(ctx, b.key1("audit")).Err())
	for _, m := range change(all) {
		require.NoError(b.t, b.redis.XAdd(ctx, &redis.XAddArgs{Stream: b.key1("audit"), ID: m.ID, Values: m.Values}).Err())
	}
}

// rewrite changes the lines of the exported file.
func (b *bench) rewrite(change func(lines []string) []string) {
	b.t.Helper()
	raw, err := os.ReadFile(b.path)
	require.NoError(b.t, err)
	lines := strings.SplitAfter(strings.TrimSuffix(string(raw), "\n"), "\n")
	lines[len(lines)-1] += "\n"
	require.NoError(b.t, os.WriteFile(b.path, []byte(strings.Join(change(lines), "")), 0o600))
}

// sinkFunc is a sink made of one function.
type sinkFunc func(context.Context, []byte) error

func (f sinkFunc) Append(ctx context.Context, lines []byte) error { return f(ctx, lines) }
