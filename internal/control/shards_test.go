package control

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// sharded is a fleet of four partitions on two servers: the even ones on the
// first, the odd ones on the second.
type sharded struct {
	*fleet

	shards [2]*redistest.Own
}

// byParity says on which server a partition is: {fleet:P}.
type byParity struct{}

func (byParity) Get(tag string) string {
	p, _ := strconv.Atoi(tag[strings.LastIndex(tag, ":")+1:])
	return strconv.Itoa(p % 2)
}

func newSharded(t *testing.T) *sharded {
	t.Helper()
	s := &sharded{fleet: newFleet(t, 4)}
	for i := range s.shards {
		s.shards[i] = redistest.StartOwn(t, redistest.Options{AOF: t.TempDir()})
	}
	s.connect(t)
	return s
}

// connect reaches both shards by connections that are new.
func (s *sharded) connect(t *testing.T) {
	t.Helper()
	ring := redis.NewRing(&redis.RingOptions{
		Addrs:      map[string]string{"0": s.shards[0].Addr(), "1": s.shards[1].Addr()},
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		HeartbeatFn:       func(context.Context, *redis.Client) bool { return true }, // a partition never moves
		NewConsistentHash: func([]string) redis.ConsistentHash { return byParity{} },
	})
	t.Cleanup(func() { require.NoError(t, ring.Close()) })
	s.runner.Client = ring
	s.Redis = s.dispatcher(t)
}

// restart brings a shard back, for the clerk by the connections that it has, for
// the test, which asks only once, by new ones.
func (s *sharded) restart(t *testing.T, shard int) {
	t.Helper()
	s.shards[shard].Restart()
	s.connect(t)
}

// dispatcher is one more, which has seen nothing yet.
func (s *sharded) dispatcher(t *testing.T) *Redis {
	t.Helper()
	c, err := NewRedis(s.runner, s.ps, 15*time.Second, zap.NewNop())
	require.NoError(t, err)
	return c
}

// populate puts a running and a queued job of one owner into each partition.
func (s *sharded) populate(t *testing.T) (running []held) {
	t.Helper()
	for p := range 4 {
		owner := s.ownerIn(p)
		s.mustSubmit(t, owner, "talk", `{}`)
		got, err := s.grant(t.Context(), p, "w1", "n1", 1)
		require.NoError(t, err)
		require.Len(t, got, 1)
		running = append(running, got...)
		s.mustSubmit(t, owner, "talk", `{}`)
	}
	return running
}

// ownerIn is one whose jobs are in the partition.
func (s *sharded) ownerIn(p int) string {
	for i := 0; ; i++ {
		if owner := "owner-" + strconv.Itoa(i); s.ps.Of(owner) == p {
			return owner
		}
	}
}

func wide(t *testing.T) map[string]access.Permit {
	t.Helper()
	return map[string]access.Permit{
		"fleet":    permit(t, access.KillFleet, access.WholeFleet()),
		"selector": permit(t, access.KillSelector, access.Selected(job.Selector{Kind: "talk"})),
	}
}

// A shard is down while the order is given, the order's home too; the dispatcher
// that gave it dies; another completes it when the shard is back.
func TestAnOrderGivenWhileAShardIsDownIsCompletedByAnyDispatcher(t *testing.T) {
	t.Parallel()
	for name, p := range wide(t) {
		for away, missing := range [][]int{{0, 2}, {1, 3}} {
			t.Run(name+" without "+strconv.Itoa(away), func(t *testing.T) {
				t.Parallel()
				s := newSharded(t)
				running := s.populate(t)
				s.shards[away].Kill()
				r, err := s.KillAll(t.Context(), p, asked("all"), "k")
				require.NoError(t, err, "half a fleet stops at once; nobody is told that nothing was done")
				half := job.Tally{Targeted: 4, NotRunning: 2, Waiting: 2, Unbooked: r.Tally.Unbooked}
				require.Equal(t, job.Recording, r.Stage)
				require.Equal(t, missing, r.Missing)
				require.Equal(t, missing, r.Unread, "they may have it: nobody can know")
				require.Equal(t, half, r.Tally)
				require.Len(t, r.Open, 2, "those still held are named where they can be read")
				here := 1 - away
				got, err := s.grant(t.Context(), here, "w1", "n2", 5)
				require.NoError(t, err)
				require.Empty(t, got, "nothing starts where the order is in force")

				s.Redis = s.dispatcher(t) // the one that gave it is gone
				s.clerk(t)
				require.Eventually(t, func() bool { return s.receipt(t, r.Order.ID).Tally.Unbooked == 0 }, 10*time.Second, 10*time.Millisecond,
					"verdicts are booked also while the order is incomplete")
				for _, h := range running {
					if h.id.Partition()%2 == here {
						word, err := s.end(t.Context(), "finish", "w1", h)
						require.NoError(t, err)
						require.Equal(t, "killed", word)
					}
				}
				now := s.Redis
				require.Never(t, func() bool {
					open, err := now.OpenOrders(t.Context(), here)
					r, unread := now.Receipt(t.Context(), r.Order.ID)
					return err == nil && unread == nil && (len(open) != 1 || r.Stage != job.Recording)
				}, 200*time.Millisecond, 10*time.Millisecond, "let go of before every partition has it")

				s.restart(t, away)
				require.Eventually(t, func() bool {
					r := s.receipt(t, r.Order.ID)
					return len(r.Missing) == 0 && (r.Scan == nil || len(r.Scan.Open) == 0)
				}, 20*time.Second, 10*time.Millisecond)
				for _, h := range running {
					if h.id.Partition()%2 == away {
						word, err := s.end(t.Context(), "finish", "w1", h)
						require.NoError(t, err)
						require.Equal(t, "killed", word)
					}
				}
				require.Eventually(t, func() bool { return s.receipt(t, r.Order.ID).Stage == job.Quiesced }, 10*time.Second, 10*time.Millisecond)
				require.Equal(t, job.Tally{Targeted: 8, NotRunning: 4, Stopped: 4}, s.receipt(t, r.Order.ID).Tally)
				for p := range 4 {
					require.Eventually(t, func() bool {
						open, err := s.OpenOrders(t.Context(), p)
						return err == nil && len(open) == 0
					}, 10*time.Second, 10*time.Millisecond)
				}
				again, err := s.KillAll(t.Context(), wide(t)[name], asked("all"), "k")
				require.NoError(t, err)
				require.Equal(t, r.Order.ID, again.Order.ID, "a retry is the same order, whichever shard was there first")
				require.Equal(t, int64(8), again.Tally.Targeted)
			})
		}
	}
}

// killedWhole has a fleet of jobs under an order that every partition has taken,
// and a clerk who sees to it.
func killedWhole(t *testing.T, p access.Permit) (s *sharded, running []held, r job.Receipt) {
	t.Helper()
	s = newSharded(t)
	running = s.populate(t)
	r, err := s.KillAll(t.Context(), p, asked("all"), "")
	require.NoError(t, err)
	s.clerk(t)
	return s, running, r
}

// What a partition did not say is not in the sums, and the sums are not said to
// be all.
func TestAReceiptNamesThePartitionsItCouldNotRead(t *testing.T) {
	t.Parallel()
	for name, p := range wide(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, running, r := killedWhole(t, p)
			for _, h := range running {
				_, err := s.end(t.Context(), "finish", "w1", h)
				require.NoError(t, err)
			}
			whole := job.Tally{Targeted: 8, NotRunning: 4, Stopped: 4}
			require.Eventually(t, func() bool {
				r := s.receipt(t, r.Order.ID)
				return r.Stage == job.Quiesced && r.Tally == whole
			}, 10*time.Second, 10*time.Millisecond)
			for away, missing := range [][]int{{0, 2}, {1, 3}} {
				s.shards[away].Kill()
				half := s.receipt(t, r.Order.ID)
				require.Equal(t, job.Recording, half.Stage)
				require.Equal(t, missing, half.Missing)
				require.Equal(t, missing, half.Unread)
				require.Equal(t, int64(4), half.Tally.Targeted)
				require.Equal(t, p.Scope().Kind, half.Order.Scope.Kind, "any partition says what the order is")
				s.restart(t, away)
				require.Eventually(t, func() bool {
					r := s.receipt(t, r.Order.ID)
					return r.Stage == job.Quiesced && r.Tally == whole && len(r.Missing) == 0
				}, 10*time.Second, 10*time.Millisecond)
			}
		})
	}
}

// An order goes only when it is over everywhere: whoever misses an open one would
// give it again, to jobs that came since.
func TestAnOrderIsNotRetiredWhileAnyPartitionIsAwayOrOpen(t *testing.T) {
	t.Parallel()
	for name, p := range wide(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, running, r := killedWhole(t, p)
			retire := func() (n int) {
				for p := range 4 {
					k, _ := s.Retire(t.Context(), p, time.Now().Add(time.Hour))
					n += k
				}
				return n
			}
			for _, h := range running[1:] {
				_, err := s.end(t.Context(), "finish", "w1", h)
				require.NoError(t, err)
			}
			for part := range 4 {
				require.Eventually(t, func() bool {
					open, err := s.OpenOrders(t.Context(), part)
					return err == nil && (len(open) == 0) == (part != running[0].id.Partition())
				}, 10*time.Second, 10*time.Millisecond)
			}
			require.Zero(t, retire(), "one still runs")
			_, err := s.end(t.Context(), "finish", "w1", running[0])
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				open, err := s.OpenOrders(t.Context(), running[0].id.Partition())
				return err == nil && len(open) == 0
			}, 10*time.Second, 10*time.Millisecond)
			s.shards[1].Kill()
			require.Zero(t, retire(), "nobody can ask the others")
			s.restart(t, 1)
			require.Eventually(t, func() bool { return s.receipt(t, r.Order.ID).Stage == job.Quiesced }, 10*time.Second, 10*time.Millisecond)
			require.Eventually(t, func() bool { return retire() == 1 }, 10*time.Second, 10*time.Millisecond)
			_, err = s.Receipt(t.Context(), r.Order.ID)
			require.ErrorIs(t, err, job.ErrUnknown)
			later := s.mustSubmit(t, s.ownerIn(1), "talk", `{}`)
			require.Never(t, func() bool {
				j, err := s.jobIn(t.Context(), later)
				return err == nil && j.State != job.Queued
			}, 200*time.Millisecond, 10*time.Millisecond, "the order came back")
		})
	}
}

// With every shard away nothing is said to have been ordered.
func TestAnOrderThatNoPartitionTookIsNoOrder(t *testing.T) {
	t.Parallel()
	for name, p := range wide(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSharded(t)
			for _, shard := range s.shards {
				shard.Kill()
			}
			_, err := s.KillAll(t.Context(), p, asked("all"), "k")
			require.ErrorIs(t, err, job.ErrUnavailable)
			id, err := s.orderID(0, p, "k")
			require.NoError(t, err)
			_, err = s.Receipt(t.Context(), id)
			require.ErrorIs(t, err, job.ErrUnavailable, "nobody can say that there is no such order")
		})
	}
}

// While a shard is away the fleet is still seen, closed and opened where it can
// be reached, and what cannot be is named.
func TestTheFleetIsSeenAndFrozenWhileAShardIsDown(t *testing.T) {
	t.Parallel()
	freeze, thaw := permit(t, access.Freeze, access.WholeFleet()), permit(t, access.Thaw, access.WholeFleet())
	for away, missing := range [][]int{{0, 2}, {1, 3}} {
		t.Run("without "+strconv.Itoa(away), func(t *testing.T) {
			t.Parallel()
			s := newSharded(t)
			s.populate(t)
			all, err := s.View(t.Context())
			require.NoError(t, err)
			require.Empty(t, all.Missing)
			require.Equal(t, map[job.State]int64{job.Running: 4, job.Queued: 4, job.Killing: 0}, all.Jobs)
			b, err := s.Block(t.Context(), permit(t, access.Block, access.WholeFleet()), job.Block{On: job.OnKind, Value: "walk", Reason: "r"}, "b")
			require.NoError(t, err)
			s.shards[away].Kill()

			half, err := s.View(t.Context())
			require.NoError(t, err)
			require.Equal(t, missing, half.Missing)
			require.Equal(t, map[job.State]int64{job.Running: 2, job.Queued: 2, job.Killing: 0}, half.Jobs)
			_, without, err := s.Orders(t.Context(), 10)
			require.NoError(t, err)
			require.Equal(t, missing, without)
			blocks, heads, err := s.Blocks(t.Context())
			require.NoError(t, err)
			require.Len(t, blocks, 1)
			require.Equal(t, b.ID, blocks[0].ID)
			require.Equal(t, missing, blocks[0].Missing)
			require.Empty(t, heads[missing[0]])

			g, err := s.Freeze(t.Context(), freeze, "look", "", "k")
			require.NoError(t, err)
			require.True(t, g.Frozen)
			require.Equal(t, missing, g.Missing)
			here := s.ownerIn(1 - away)
			_, refused, err := s.submit(t.Context(), here, "talk", `{}`)
			require.NoError(t, err)
			require.Equal(t, "frozen look", refused)
			g, err = s.Thaw(t.Context(), thaw, job.Thawing{Seen: strings.Join(g.Heads, ","), Reason: "r"}, "t1")
			require.NoError(t, err)
			require.False(t, g.Frozen)
			require.Equal(t, missing, g.Missing, "these stay as they are")
			s.mustSubmit(t, here, "talk", `{}`)
			g, err = s.Freeze(t.Context(), freeze, "look again", "", "k2")
			require.NoError(t, err)

			s.restart(t, away)
			require.Eventually(t, func() bool { g, err = s.State(t.Context()); return err == nil && len(g.Missing) == 0 }, 10*time.Second, 10*time.Millisecond)
			require.True(t, g.Frozen, "where it was taken it stands")
			s.mustSubmit(t, s.ownerIn(away), "talk", `{}`)
			g, err = s.Freeze(t.Context(), freeze, "look again", "", "k2")
			require.NoError(t, err)
			require.Empty(t, g.Missing)
			_, refused, err = s.submit(t.Context(), s.ownerIn(away), "talk", `{}`)
			require.NoError(t, err)
			require.Equal(t, "frozen look again", refused, "sent again it is done everywhere")
			_, err = s.Thaw(t.Context(), thaw, job.Thawing{Seen: strings.Repeat(",", 3), Reason: "r"}, "t2")
			var stale *job.StaleGate
			require.ErrorAs(t, err, &stale, "who saw nothing opens nothing")
		})
	}
}

// With no partition left there is nothing to show, and nothing was done.
func TestWithoutAnyShardNothingIsSaidToBeDone(t *testing.T) {
	t.Parallel()
	s := newSharded(t)
	s.shards[0].Kill()
	s.shards[1].Kill()
	_, err := s.View(t.Context())
	require.ErrorIs(t, err, job.ErrUnavailable)
	_, _, err = s.Orders(t.Context(), 10)
	require.ErrorIs(t, err, job.ErrUnavailable)
	_, _, err = s.Blocks(t.Context())
	require.ErrorIs(t, err, job.ErrUnavailable)
	_, err = s.Freeze(t.Context(), permit(t, access.Freeze, access.WholeFleet()), "r", "", "k")
	require.ErrorIs(t, err, job.ErrUnavailable)
}
