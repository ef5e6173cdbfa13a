package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// looked is a look that was sent now and answered with s.
func looked(m *memory, s sight) news {
	head, acts := m.before(0)
	return m.look(0, head, acts, s, time.Now())
}

func TestAGateIsKnownByItsHeadsAndItsActs(t *testing.T) {
	long := make([]string, 0, 40)
	for n := 99; n > 60; n-- {
		long = append(long, fmt.Sprintf("%d.%s", n, strings.Repeat("r", 26)))
	}
	cut := strings.Join(long, " ")[:1007]
	for _, c := range []struct {
		name string
		s    sight
		head string
		acts uint64
		want bool
	}{
		{"nothing was seen", sight{}, "", 0, true},
		{"the same", sight{number: "3.c", past: "3.c 2.b"}, "3.c", 0, true},
		{"it went on", sight{number: "3.c", past: "3.c 2.b 1.a"}, "1.a", 0, true},
		{"another of the same number", sight{number: "3.x", past: "3.x 2.b 1.a"}, "3.c", 0, false},
		{"it went back", sight{number: "2.b", past: "2.b 1.a"}, "3.c", 0, false},
		{"it went back and on", sight{number: "4.y", past: "4.y 3.x 2.b"}, "3.c", 0, false},
		{"it is gone", sight{}, "3.c", 0, false},
		{"acts are missing", sight{number: "3.c", past: "3.c", acts: 6}, "3.c", 7, false},
		{"older than all that is kept", sight{number: "99.r", past: cut}, "40.z", 0, true},
		{"within what is kept", sight{number: "99.r", past: cut}, "80.z", 0, false},
	} {
		require.Equal(t, c.want, c.s.knows(c.head, c.acts), c.name)
	}
}

func TestALossStandsUntilAGateIsAdoptedThatWasNotSeenBefore(t *testing.T) {
	m := newMemory()
	require.Equal(t, nothingNew, looked(m, sight{number: "5.e", past: "5.e", adopted: 10, frozen: true, reason: "r"}))
	m.remember(0, standingOrder{order: job.Order{ID: "O1"}, h: "9"})
	require.Empty(t, m.losses())

	require.Equal(t, dataLost, looked(m, sight{number: "2.b", past: "2.b", adopted: 7}))
	require.Len(t, m.losses(), 1)
	require.Equal(t, "5.e", m.losses()[0].Seen)
	o, lost := m.owed(0)
	require.True(t, lost)
	require.Len(t, o.orders, 1)
	require.Equal(t, "9", o.orders[0].h)
	require.Equal(t, "r", o.freeze.reason, "the gate was closed when it was last seen whole")
	m.told(0, "O1")
	m.told(0, "")
	o, _ = m.owed(0)
	require.Empty(t, o.orders)
	require.Nil(t, o.freeze)

	require.Equal(t, nothingNew, looked(m, sight{number: "3.c", past: "3.c 2.b", adopted: 7}), "an older adoption is part of what was restored")
	require.Len(t, m.losses(), 1)
	require.Equal(t, dataLost, looked(m, sight{}), "a second loss is noticed in the first")
	o, _ = m.owed(0)
	require.Len(t, o.orders, 1, "and everything is owed again")

	require.Equal(t, gateAdopted, looked(m, sight{number: "4.d", past: "4.d", adopted: 11}))
	require.Empty(t, m.losses())
	require.False(t, m.remembers(0, "O1"))
	require.Equal(t, nothingNew, looked(m, sight{number: "4.d", past: "4.d", adopted: 11}))
	o, late := m.owed(0)
	require.True(t, late, "what the adoption came before is said all the same")
	require.Len(t, o.orders, 1)
	require.Nil(t, o.freeze, "but for the freeze: whoever adopted may have thawed since")
	m.told(0, "O1")
	_, late = m.owed(0)
	require.False(t, late)
}

// An admin adopts what a failover left before a process has noticed it.
func TestAnAdoptionThatComesBeforeTheLossWasNoticedForgetsNoOrder(t *testing.T) {
	m := newMemory()
	looked(m, sight{number: "5.e", past: "5.e", adopted: 10, blocks: []job.Block{{ID: "B1"}}})
	m.remember(0, standingOrder{order: job.Order{ID: "O1"}, h: "9"})
	require.Equal(t, nothingNew, looked(m, sight{number: "4.d", past: "4.d 3.c", adopted: 11}))
	require.Empty(t, m.losses())
	o, late := m.owed(0)
	require.True(t, late)
	require.Len(t, o.orders, 1)
	require.Len(t, o.blocks, 1)

	again := newMemory()
	looked(again, sight{number: "5.e", past: "5.e", adopted: 10})
	again.remember(0, standingOrder{order: job.Order{ID: "O1"}, h: "9"})
	looked(again, sight{number: "6.d", past: "6.d 5.e", adopted: 11})
	_, late = again.owed(0)
	require.False(t, late, "a gate that knows all has lost nothing")
}

// A freeze of our own is remembered from its answer on, not from the next look.
func TestAGateThatWasClosedHereIsClosedAgainAfterALoss(t *testing.T) {
	m := newMemory()
	looked(m, sight{number: "5.e", past: "5.e"})
	m.closed(0, "6.f", "root", "runaway", "inc-1")
	require.Equal(t, dataLost, looked(m, sight{number: "5.e", past: "5.e"}))
	o, lost := m.owed(0)
	require.True(t, lost)
	require.NotNil(t, o.freeze)
	require.Equal(t, "runaway", o.freeze.reason)
	require.Equal(t, "root", o.freeze.actor)
}

func TestALookThatWasSentBeforeAnActIsNoLoss(t *testing.T) {
	m := newMemory()
	looked(m, sight{number: "5.e", past: "5.e"})
	head, acts := m.before(0)
	m.saw(0, "6.f")
	require.Equal(t, nothingNew, m.look(0, head, acts, sight{number: "5.e", past: "5.e"}, time.Now()))
	require.Equal(t, "6.f", m.head(0), "and it does not take back what was seen")
	require.Equal(t, dataLost, looked(m, sight{number: "5.e", past: "5.e"}))
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	m := newMemory()
	for i := range maxRemembered + 7 {
		m.remember(0, standingOrder{order: job.Order{ID: job.ID(fmt.Sprint(i))}})
	}
	require.Len(t, m.of(0).orders, maxRemembered)
	require.Len(t, m.of(0).known, maxRemembered)
	require.False(t, m.remembers(0, "6"))
	require.True(t, m.remembers(0, "7"))
}
