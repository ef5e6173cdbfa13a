package telemetry

import (
	"sync"
	"time"
)

// Recent counts what happened of late and knows the largest of it. The zero
// value is ready; it is safe for concurrent use.
type Recent struct {
	mu    sync.Mutex
	marks []mark
}

// maxRecent bounds what is kept; beyond it the oldest goes first.
const maxRecent = 4096

type mark struct {
	at    time.Time
	value time.Duration
}

// Add notes one thing with its measure.
func (r *Recent) Add(value time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.marks) == maxRecent {
		r.marks = append(r.marks[:0], r.marks[1:]...)
	}
	r.marks = append(r.marks, mark{time.Now(), value})
}

// Last is how many there were within a time, and the largest measure of them;
// what is older is forgotten.
func (r *Recent) Last(within time.Duration) (n int, largest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := 0
	for old < len(r.marks) && time.Since(r.marks[old].at) > within {
		old++
	}
	r.marks = append(r.marks[:0], r.marks[old:]...)
	for _, m := range r.marks {
		largest = max(largest, m.value)
	}
	return len(r.marks), largest
}
