package settings

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/job"
)

func TestWhereStatesAreKeptIsTriedBeforeAnythingStarts(t *testing.T) {
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("states"))
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	key, bad := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(key, []byte("the-id\nthe-secret\n"), 0o600))
	require.NoError(t, os.WriteFile(bad, []byte("the-secret\n"), 0o600))
	dir := t.TempDir()
	s3 := func(place, keyFile string) Checkpoints {
		return Checkpoints{Place: place, Endpoint: server.URL, Region: "us-east-1", KeyFile: keyFile}
	}
	for _, c := range []struct {
		cfg  Checkpoints
		says string // empty: it opens
	}{
		{Checkpoints{Place: "dir:" + dir}, ""},
		{s3("s3://states/gavel/prod", key), ""},
		{s3("s3://states", key), ""},
		{Checkpoints{Place: "dir:states"}, "absolute path"},
		{Checkpoints{Place: "dir:" + dir + "/none"}, "no such file"},
		{Checkpoints{Place: "/var/lib/states"}, "want redis, dir:/path or s3://bucket/prefix"},
		{s3("s3://stats", key), `no bucket "stats"`},
		{s3("s3://", key), "bucket's name is missing"},
		{s3("s3://states", bad), "id and secret"},
		{s3("s3://states", bad+"s"), "no such file"},
		{Checkpoints{Place: "s3://states", Endpoint: "minio:9000", KeyFile: key}, "want https://host"},
		{Checkpoints{Place: "s3://states", Endpoint: "http://127.0.0.1:1", KeyFile: key, Region: "r"}, "refused"},
	} {
		out, err := c.cfg.Open(t.Context(), "prod")
		if c.says != "" {
			require.ErrorContains(t, err, c.says, "%+v", c.cfg)
			continue
		}
		require.NoError(t, err, "%+v", c.cfg)
		packed, sum, err := checkpoint.Pack([]byte("state"))
		require.NoError(t, err)
		place, err := out.Put(t.Context(), job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0100"), "1.a", checkpoint.Packed{Seq: 1, Sum: sum, Data: packed})
		require.NoError(t, err)
		k, err := out.Read(t.Context(), "1", sum+" n 1 1 "+place+"\n")
		require.NoError(t, err)
		require.Equal(t, "state", string(k.Data))
	}
	for _, none := range []string{"", "redis"} {
		out, err := Checkpoints{Place: none}.Open(t.Context(), "prod")
		require.NoError(t, err)
		require.Nil(t, out)
	}
}
