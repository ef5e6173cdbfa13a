package beat

import "time"

// sample is a beat and when its reply arrived.
type sample struct {
	beat int64
	at   time.Time
}

// Stillness turns samples into the right to take leases. It is pure: the caller
// gives the time, which must be monotonic.
type Stillness struct {
	after, gap time.Duration
	run        string
	samples    []sample
	ripe       int64
}

// NewStillness watches for leases that stand still for `after` (T), from
// samples taken every `every` (H).
func NewStillness(after, every time.Duration) *Stillness {
	return &Stillness{after: after, gap: 2 * every}
}

// Drop forgets everything seen so far.
func (s *Stillness) Drop() { s.run, s.samples, s.ripe = "", nil, 0 }

// Add takes a sample whose reply arrived at a time. It drops the earlier ones
// when they cannot be trusted with it.
func (s *Stillness) Add(run string, beat int64, at time.Time) {
	if n := len(s.samples); n > 0 {
		last := s.samples[n-1]
		if run != s.run || beat <= last.beat || at.Sub(last.at) > s.gap {
			s.Drop()
		}
	}
	s.run = run
	s.samples = append(s.samples, sample{beat: beat, at: at})
}

// Ripe returns the beat below which every lease has stood still for T at `now`.
// It is false while no sample is old enough, or when the newest one is so old
// that the watch itself has a gap.
func (s *Stillness) Ripe(now time.Time) (before int64, ok bool) {
	n := len(s.samples)
	if n == 0 || now.Sub(s.samples[n-1].at) > s.gap {
		return 0, false
	}
	old := 0
	for old < n && now.Sub(s.samples[old].at) >= s.after {
		s.ripe = s.samples[old].beat
		old++
	}
	s.samples = s.samples[min(old, n-1):]
	return s.ripe, s.ripe > 0
}
