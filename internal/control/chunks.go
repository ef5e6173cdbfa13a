package control

import (
	"sync"
	"time"
)

// chunks is how many jobs the scripts that walk over many take at once: as many
// as Redis can do in [chunkFor], by what the last ones took on their way. What
// else Redis has to do makes them take longer, and so smaller.
type chunks struct {
	mu sync.Mutex
	of map[string]int
}

// A script holds up everybody who asks Redis something: a chunk may hold them up
// for about so long.
const (
	chunkFor   = 2 * time.Millisecond
	firstChunk = 20
	leastChunk = 5
	mostChunk  = 200
)

func newChunks() *chunks { return &chunks{of: map[string]int{}} }

// size is how many jobs a script takes next.
func (c *chunks) size(script string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.of[script]; ok {
		return n
	}
	return firstChunk
}

// took learns from a chunk that was full.
func (c *chunks) took(script string, n int, d time.Duration) {
	next := int(float64(n) * float64(chunkFor) / float64(max(d, time.Microsecond)))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[script] = min(max(next, n/2, leastChunk), n+n/4+1, mostChunk) // one slow answer is no rule
}
