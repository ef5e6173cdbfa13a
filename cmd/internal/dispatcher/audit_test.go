package dispatcher

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rtfm-si/gavel/internal/audit"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheAuditIsSealedWithTheKeyOfTheFileAndNotWithout(t *testing.T) {
	log, err := audit.NewRedis(rediskit.Runner{}, rediskit.Partitions{Fleet: "f", Count: 1})
	require.NoError(t, err)
	dir := t.TempDir()
	key, export := filepath.Join(dir, "audit.key"), filepath.Join(dir, "audit.jsonl")
	_, err = audit.NewKey(key)
	require.NoError(t, err)
	parse := func(flags ...string) Config {
		cfg, err := Parse(append(flags, "--keys-file=none"), nil, io.Discard)
		require.NoError(t, err)
		return cfg
	}
	seen, logs := observer.New(zap.WarnLevel)
	s, err := newSealer(parse(), log, zap.New(seen))
	require.NoError(t, err)
	require.Nil(t, s)
	require.Equal(t, 1, logs.FilterMessageSnippet("not sealed").Len(), "a fleet without a key is told so")

	s, err = newSealer(parse("--audit-key-file="+key, "--audit-export="+export), log, zap.NewNop())
	require.NoError(t, err)
	require.NotNil(t, s)
	require.FileExists(t, export, "a file that cannot be written is found at the start")
	_, err = newSealer(parse("--audit-key-file="+key, "--audit-export=-"), log, zap.NewNop())
	require.NoError(t, err)

	_, err = newSealer(parse("--audit-export="+export), log, zap.NewNop())
	require.ErrorIs(t, err, errNoAuditKey)
	_, err = newSealer(parse("--audit-key-file="+key, "--audit-export="+filepath.Join(dir, "no", "where")), log, zap.NewNop())
	require.ErrorContains(t, err, "export the audit")
	require.NoError(t, os.Chmod(key, 0o644))
	_, err = newSealer(parse("--audit-key-file="+key), log, zap.NewNop())
	require.ErrorIs(t, err, audit.ErrKey)
}
