package clock

import "time"

// Instant is a moment on all three clocks. The zero Instant is infinitely long
// ago.
type Instant struct {
	at   time.Time // wall and monotonic
	boot time.Duration
}

// Now reads the three clocks.
func Now() Instant { return Instant{at: time.Now(), boot: bootTime()} }

// Zero reports whether the instant was never taken.
func (i Instant) Zero() bool { return i.at.IsZero() }

// Since is how long ago an instant was, by the clock that says the most.
func Since(i Instant) time.Duration { return between(i, Now()) }

func between(i, now Instant) time.Duration {
	if i.Zero() {
		return 1<<63 - 1
	}
	mono := now.at.Sub(i.at)
	wall := now.at.Round(0).Sub(i.at.Round(0))
	return max(mono, now.boot-i.boot, wall, 0)
}
