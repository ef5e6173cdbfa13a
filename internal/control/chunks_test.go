package control

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A walk takes as many jobs at once as Redis does in a few milliseconds.
func TestAChunkIsAsLargeAsItsTimeAllows(t *testing.T) {
	c := newChunks()
	settle := func(each time.Duration) int {
		for range 50 {
			n := c.size("sweep")
			c.took("sweep", n, time.Duration(n)*each)
		}
		return c.size("sweep")
	}
	require.InDelta(t, 40, settle(50*time.Microsecond), 2)
	require.Equal(t, mostChunk, settle(time.Microsecond))
	require.Equal(t, leastChunk, settle(10*time.Millisecond))
	require.Equal(t, firstChunk, c.size("scan"), "each script has its own")

	c.took("scan", 20, time.Second)
	require.Equal(t, 10, c.size("scan"), "one slow answer is no rule")
	c.took("scan", 20, 0)
	require.Equal(t, 26, c.size("scan"))
}
