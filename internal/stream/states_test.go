package stream_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/checkpoint/directory"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
	"github.com/rtfm-si/gavel/internal/stream"
)

// closed is a store that answers nothing.
type closed struct{ checkpoint.Store }

func (closed) Get(context.Context, string) ([]byte, error) { return nil, errors.New("closed") }
func (closed) Put(context.Context, string, []byte) error   { return errors.New("closed") }
func (closed) Remove(context.Context, string) error        { return errors.New("closed") }
func (closed) List(context.Context, string, string, int) ([]string, error) {
	return nil, errors.New("closed")
}

// shelf is a road whose jobs' states are in a directory.
type shelf struct {
	*stream.Redis

	server  *redistest.Server
	ps      rediskit.Partitions
	store   checkpoint.Store
	outside *checkpoint.Outside
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{server: redistest.Start(t), store: directory.New(t.TempDir())}
	s.ps = rediskit.Partitions{Fleet: s.server.Fleet, Count: 1}
	s.outside = &checkpoint.Outside{Store: s.store, Fleet: s.server.Fleet}
	road, err := stream.NewRedis(rediskit.Runner{Client: s.server.Client(t), Profile: rediskit.Server}, s.ps,
		stream.Config{Outside: s.outside, Retention: time.Nanosecond})
	require.NoError(t, err)
	s.Redis = road
	return s
}

// dead is a job that was killed with a state outside.
func (s *shelf) dead(t *testing.T) job.ID {
	t.Helper()
	done, err := s.Submit(t.Context(), submission("first"))
	require.NoError(t, err)
	packed, sum, err := checkpoint.Pack([]byte("its state"))
	require.NoError(t, err)
	place, err := s.outside.Put(t.Context(), done.ID, "1.a", checkpoint.Packed{Seq: 7, Sum: sum, Data: packed})
	require.NoError(t, err)
	c, slot := s.server.Client(t), s.ps.Slot(0)
	require.NoError(t, c.HSet(t.Context(), slot.Of("checkpoints", string(done.ID)), "7", sum+" node 5 1 "+place+"\n").Err())
	require.NoError(t, c.HSet(t.Context(), slot.Of("job", string(done.ID)), "state", "killed", "checkpoint", "7").Err())
	require.NoError(t, c.ZAdd(t.Context(), slot.Of("over"), redis.Z{Score: 1, Member: string(done.ID)}).Err())
	return done.ID
}

func (s *shelf) names(t *testing.T, id job.ID) (out []string) {
	t.Helper()
	all, err := s.store.List(t.Context(), s.server.Fleet+"/", "", 100)
	require.NoError(t, err)
	for _, name := range all {
		if strings.Contains(name, string(id)) {
			out = append(out, name)
		}
	}
	return out
}

func goOn(from job.ID, key string) job.Submission {
	sub := submission(key)
	sub.From, sub.FromSeq, sub.Who = from, 7, []byte(`{"subject":"ann"}`)
	return sub
}

func TestAJobThatGoesOnHasAStateOfItsOwnOutside(t *testing.T) {
	s := newShelf(t)
	old := s.dead(t)
	next, err := s.Submit(t.Context(), goOn(old, "second"))
	require.NoError(t, err)
	again, err := s.Submit(t.Context(), goOn(old, "second"))
	require.NoError(t, err)
	require.Equal(t, next.ID, again.ID)
	all, err := s.store.List(t.Context(), "", "", 100)
	require.NoError(t, err)
	require.Len(t, all, 2, "what the retry copied is removed: %v", all)

	n, err := s.Forget(t.Context(), 0, time.Now(), 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Empty(t, s.names(t, old), "with the record goes the state")
	kept, err := s.Checkpoint(t.Context(), next.ID, 7)
	require.NoError(t, err)
	require.Equal(t, "its state", string(kept.Data))
	list, err := s.Checkpoints(t.Context(), next.ID)
	require.NoError(t, err)
	require.True(t, list[0].Sound)
	require.Nil(t, list[0].Data)
	places, err := s.Places(t.Context(), next.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{s.names(t, next.ID)[0]: true}, places)
}

func TestARefusedResumptionLeavesNoCopy(t *testing.T) {
	s := newShelf(t)
	old := s.dead(t)
	require.NoError(t, s.server.Client(t).HSet(t.Context(), s.ps.Slot(0).Of("gate"), "frozen", "1").Err())
	_, err := s.Submit(t.Context(), goOn(old, "second"))
	var frozen *job.Frozen
	require.ErrorAs(t, err, &frozen)
	all, err := s.store.List(t.Context(), "", "", 100)
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestAStoreThatIsAwayIsUnavailableAndADamagedStateIsNot(t *testing.T) {
	s := newShelf(t)
	old := s.dead(t)
	s.outside.Store = closed{}
	for what, call := range map[string]func() error{
		"list":  func() error { _, err := s.Checkpoints(t.Context(), old); return err },
		"read":  func() error { _, err := s.Checkpoint(t.Context(), old, 7); return err },
		"go on": func() error { _, err := s.Submit(t.Context(), goOn(old, "second")); return err },
	} {
		err := call()
		require.ErrorIs(t, err, job.ErrUnavailable, what)
		require.ErrorIs(t, err, job.ErrStoreAway, what)
	}
	s.outside.Store = s.store
	require.NoError(t, s.store.Remove(t.Context(), s.names(t, old)[0]))
	list, err := s.Checkpoints(t.Context(), old)
	require.NoError(t, err)
	require.False(t, list[0].Sound)
	var damaged *job.DamagedCheckpoint
	_, err = s.Checkpoint(t.Context(), old, 7)
	require.ErrorAs(t, err, &damaged)
	_, err = s.Submit(t.Context(), goOn(old, "second"))
	require.ErrorAs(t, err, &damaged)

	s.outside.Store = closed{}
	n, err := s.Forget(t.Context(), 0, time.Now(), 10)
	require.Equal(t, 1, n, "the record goes all the same; what stays is swept")
	require.ErrorIs(t, err, checkpoint.ErrAway)
}
