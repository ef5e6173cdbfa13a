package checkpoint

import (
	"bytes"
	"compress/gzip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// inRedis is where states are when nothing else is said.
var inRedis *Outside

func stored(t *testing.T, data string) string {
	t.Helper()
	packed, sum, err := Pack([]byte(data))
	require.NoError(t, err)
	return sum + " node 123 2\n" + string(packed)
}

func TestTheNewestCheckpointThatCanBeReadIsResumedFrom(t *testing.T) {
	all := map[string]string{"9": stored(t, "nine"), "10": stored(t, "ten"), "2": stored(t, "two")}
	c, damaged, err := inRedis.Newest(t.Context(), all)
	require.NoError(t, err)
	require.Equal(t, uint64(10), c.Seq, "by number, not by text")
	require.Equal(t, "ten", string(c.Data))
	require.Equal(t, "node", c.Node)
	require.Zero(t, damaged)
}

// bomb unpacks to several times what a state may have.
func bomb(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range 4 {
		_, err := z.Write(make([]byte, Max))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.String()
}

func TestADamagedCheckpointFallsBackToTheOneBefore(t *testing.T) {
	good := stored(t, "a good state")
	for name, bad := range map[string]string{
		"truncated":      good[:len(good)-4],
		"a bomb":         good[:bytes.IndexByte([]byte(good), '\n')+1] + bomb(t),
		"a bit flipped":  good[:len(good)-1] + string(good[len(good)-1]^1),
		"another's sum":  stored(t, "x")[:64] + good[64:],
		"no header":      "nothing",
		"empty":          "",
		"not compressed": good[:bytes.IndexByte([]byte(good), '\n')+1] + "plain",
	} {
		c, damaged, err := inRedis.Newest(t.Context(), map[string]string{"1": good, "2": bad})
		require.NoError(t, err)
		require.NotNil(t, c, name)
		require.Equal(t, uint64(1), c.Seq, name)
		require.Equal(t, 1, damaged, name)
	}
	c, damaged, err := inRedis.Newest(t.Context(), map[string]string{"1": "x", "y": "z"})
	require.NoError(t, err)
	require.Nil(t, c)
	require.Equal(t, 2, damaged)
}

// What is kept is listed by number, with who wrote it and whether it is sound.
func TestKeptCheckpointsAreListed(t *testing.T) {
	ten := stored(t, "ten")
	all, err := inRedis.All(t.Context(), map[string]string{"10": ten, "9": stored(t, "nine")[:80], "8": stored(t, "")})
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, []uint64{8, 9, 10}, []uint64{all[0].Seq, all[1].Seq, all[2].Seq})
	require.True(t, all[0].Sound)
	require.False(t, all[1].Sound)
	require.Nil(t, all[1].Data)
	require.Equal(t, "node", all[1].Node, "its header can still be read")
	require.Equal(t, job.Kept{
		Checkpoint: job.Checkpoint{Seq: 10, Node: "node", Data: []byte("ten")},
		At:         time.UnixMicro(123).UTC(), Grant: 2, Size: 3, Stored: len(ten), Sound: true,
	}, all[2])
}

// Those of a build that did not write by which run are read all the same.
func TestAHeaderWithoutAGrantIsRead(t *testing.T) {
	packed, sum, err := Pack([]byte("x"))
	require.NoError(t, err)
	k, err := Unpack("1", sum+" node 123\n"+string(packed))
	require.NoError(t, err)
	require.Zero(t, k.Grant)
}

func TestACheckpointThatIsTooLargeIsRefused(t *testing.T) {
	_, _, err := Pack(make([]byte, Max+1))
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "8388609 bytes; at most 8388608")
	packed, _, err := Pack(make([]byte, Max))
	require.NoError(t, err)
	require.Less(t, len(packed), Max/100, "it is stored compressed")
}

func FuzzUnpackNeverPanicsAndNeverLies(f *testing.F) {
	packed, sum, err := Pack([]byte("seed"))
	require.NoError(f, err)
	f.Add("1", sum+" n 1\n"+string(packed))
	f.Add("1", sum+" n 1 7\n"+string(packed))
	f.Add("", "")
	f.Add("1", "a b c\n\x1f\x8b")
	f.Fuzz(func(t *testing.T, seq, text string) {
		c, err := Unpack(seq, text)
		require.Equal(t, err == nil, c.Sound)
		if err == nil {
			require.Equal(t, digest(c.Data), text[:64])
		}
	})
}
