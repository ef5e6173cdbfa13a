package execution

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func stored(t *testing.T, data string) string {
	t.Helper()
	packed, sum, err := pack([]byte(data))
	require.NoError(t, err)
	return sum + " node 123\n" + string(packed)
}

func TestTheNewestCheckpointThatCanBeReadIsResumedFrom(t *testing.T) {
	all := map[string]string{"9": stored(t, "nine"), "10": stored(t, "ten"), "2": stored(t, "two")}
	c, damaged := newest(all)
	require.Equal(t, uint64(10), c.Seq, "by number, not by text")
	require.Equal(t, "ten", string(c.Data))
	require.Equal(t, "node", c.Node)
	require.Zero(t, damaged)
}

func TestADamagedCheckpointFallsBackToTheOneBefore(t *testing.T) {
	good := stored(t, "a good state")
	for name, bad := range map[string]string{
		"truncated":      good[:len(good)-4],
		"another's sum":  stored(t, "x")[:64] + good[64:],
		"no header":      "nothing",
		"empty":          "",
		"not compressed": good[:bytes.IndexByte([]byte(good), '\n')+1] + "plain",
	} {
		c, damaged := newest(map[string]string{"1": good, "2": bad})
		require.NotNil(t, c, name)
		require.Equal(t, uint64(1), c.Seq, name)
		require.Equal(t, 1, damaged, name)
	}
	c, damaged := newest(map[string]string{"1": "x", "y": "z"})
	require.Nil(t, c)
	require.Equal(t, 2, damaged)
}

func TestACheckpointThatIsTooLargeIsRefused(t *testing.T) {
	_, _, err := pack(make([]byte, MaxCheckpoint+1))
	require.ErrorIs(t, err, ErrCheckpointTooLarge)
	_, _, err = pack(make([]byte, MaxCheckpoint))
	require.NoError(t, err)
}

func FuzzUnpackNeverPanicsAndNeverLies(f *testing.F) {
	packed, sum, err := pack([]byte("seed"))
	require.NoError(f, err)
	f.Add("1", sum+" n 1\n"+string(packed))
	f.Add("", "")
	f.Add("1", "a b c\n\x1f\x8b")
	f.Fuzz(func(t *testing.T, seq, text string) {
		c, err := unpack(seq, text)
		if err == nil {
			require.Equal(t, digest(c.Data), text[:64])
		}
	})
}
