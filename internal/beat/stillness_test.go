package beat

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	testT = 15 * time.Second
	testH = 3 * time.Second
)

func at(s int) time.Time { return time.Unix(1000, 0).Add(time.Duration(s) * time.Second) }

func fill(s *Stillness, run string, from, to int) {
	for i := from; i <= to; i += 3 {
		s.Add(run, int64(i+100), at(i))
	}
}

func TestNothingIsRipeBeforeTHasPassedOnTheSamplersOwnClock(t *testing.T) {
	s := NewStillness(testT, testH)
	for i := 0; i < 15; i += 3 {
		s.Add("a", int64(i+100), at(i))
		_, ok := s.Ripe(at(i))
		require.False(t, ok, "after %d s", i)
	}
	s.Add("a", 115, at(15))
	before, ok := s.Ripe(at(15))
	require.True(t, ok)
	require.Equal(t, int64(100), before, "the beat of the sample that is T old, not of a younger one")
}

func TestRipenessGrowsWithTheSamples(t *testing.T) {
	s := NewStillness(testT, testH)
	fill(s, "a", 0, 30)
	before, ok := s.Ripe(at(30))
	require.True(t, ok)
	require.Equal(t, int64(115), before)
}

func TestWhatDropsEverySample(t *testing.T) {
	cases := map[string]func(*Stillness){
		"another server":        func(s *Stillness) { s.Add("b", 200, at(18)) },
		"a beat that went back": func(s *Stillness) { s.Add("a", 90, at(18)) },
		"a beat that stood":     func(s *Stillness) { s.Add("a", 115, at(18)) },
		"a gap of more than 2H": func(s *Stillness) { s.Add("a", 200, at(15+7)) },
		"an error":              func(s *Stillness) { s.Drop() },
	}
	for name, fault := range cases {
		t.Run(name, func(t *testing.T) {
			s := NewStillness(testT, testH)
			fill(s, "a", 0, 15)
			_, ok := s.Ripe(at(15))
			require.True(t, ok, "ripe before the fault")
			fault(s)
			_, ok = s.Ripe(at(22))
			require.False(t, ok, "nobody is robbed after it")
		})
	}
}

func TestAWatchThatSleptItselfTakesNothing(t *testing.T) {
	s := NewStillness(testT, testH)
	fill(s, "a", 0, 15)
	_, ok := s.Ripe(at(15 + 7))
	require.False(t, ok, "the newest sample is older than 2H: the sampler was away")
}

// Whatever the order of faults, a lease is never ripe before some sample of the
// same server, taken before its last beat was overtaken, is T old.
func TestRipeNeverNamesABeatYoungerThanT(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStillness(testT, testH)
		now, beat, run := at(0), int64(1), "a"
		taken := map[int64]time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 9).Draw(t, "gap")) * time.Second)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				run += "'"
				clear(taken)
			}
			beat += int64(rapid.IntRange(1, 5).Draw(t, "beats"))
			s.Add(run, beat, now)
			taken[beat] = now
			if before, ok := s.Ripe(now); ok {
				when, known := taken[before]
				require.True(t, known, "a beat this server gave")
				require.GreaterOrEqual(t, now.Sub(when), testT)
			}
		}
	})
}
