package rig

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drawn is which of the processes of four places are of the older version, ten
// one after the other at each.
func drawn(seed uint64) (first, later []bool) {
	r := &Rig{Config: Config{Bin: "/new", Older: "/old", Worker: "worker-with-clock", Seed: seed}}
	for _, place := range []string{"w1", "w2", "w3", "w4"} {
		m := &Member{rig: r, place: place, binary: "worker"}
		for m.n = 1; m.n <= 10; m.n++ {
			_, older := m.version()
			if m.n == 1 {
				first = append(first, older)
				continue
			}
			later = append(later, older)
		}
	}
	return first, later
}

func TestHalfOfTheProcessesAreOfTheOlderVersion(t *testing.T) {
	first, later := drawn(1)
	require.Equal(t, []bool{false, true, false, true}, first)
	require.Contains(t, later, true)
	require.Contains(t, later, false)
	_, again := drawn(1)
	require.Equal(t, later, again, "the same seed")
	_, other := drawn(2)
	require.NotEqual(t, later, other)
}

func TestWhichBinaryAProcessIs(t *testing.T) {
	m := &Member{rig: &Rig{Config: Config{Bin: "/new", Worker: "worker-with-clock"}}, place: "w2", binary: "worker", n: 1}
	path, older := m.version()
	require.Equal(t, "/new/worker-with-clock", path)
	require.False(t, older, "there is none")
	m.rig.Older = "/old"
	path, older = m.version()
	require.Equal(t, "/old/worker", path)
	require.True(t, older)
	d := &Member{rig: m.rig, place: "d1", binary: "dispatcher", n: 1}
	path, _ = d.version()
	require.Equal(t, "/new/dispatcher", path)
}
