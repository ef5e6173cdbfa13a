package keyring

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type bench struct {
	t     *testing.T
	redis *redis.Client
	keys  *Redis
	copy  *Copy
	now   time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := redistest.Start(t)
	b := &bench{t: t, redis: s.Client(t), now: noon}
	var err error
	b.keys, err = NewRedis(rediskit.Runner{Client: b.redis, Profile: rediskit.Server}, rediskit.Partitions{Fleet: s.Fleet, Count: 2})
	require.NoError(t, err)
	b.copy = b.another()
	return b
}

// another is the copy of one more dispatcher.
func (b *bench) another() *Copy {
	c := NewCopy(b.keys)
	c.now = func() time.Time { return b.now }
	return c
}

func (b *bench) permit(act access.Act) access.Permit {
	p, err := access.Authorize(access.Actor{Subject: "root", Roles: []access.Role{access.Admin}}, act, access.WholeFleet())
	require.NoError(b.t, err)
	return p
}

func (b *bench) create(like access.Key, key string) (access.IssuedKey, string) {
	b.t.Helper()
	k, secret, err := b.keys.Create(b.t.Context(), b.permit(access.CreateKey), like, b.now, key)
	require.NoError(b.t, err)
	return k, secret
}

func (b *bench) ask(c *Copy, secret string) (access.Actor, error) {
	return c.Authenticate(b.t.Context(), secret, b.now)
}

func alice() access.Key {
	return access.Key{Subject: "alice", Owner: "acme", Roles: []access.Role{access.Owner}}
}

func TestAKeyIsGoodOnEveryDispatcherUntilItIsRevoked(t *testing.T) {
	b := newBench(t)
	other := b.another()
	first, old := b.create(alice(), "k1")
	_, next := b.create(alice(), "k2")
	for _, c := range []*Copy{b.copy, other} {
		require.NoError(t, c.Refresh(t.Context()))
		for _, secret := range []string{old, next} {
			got, err := b.ask(c, secret)
			require.NoError(t, err, "two keys of one subject are good: that is how one is rotated")
			require.Equal(t, "acme", got.Owner)
			require.False(t, got.ByBreakGlass())
		}
		_, err := b.ask(c, old+"x")
		require.ErrorIs(t, err, access.ErrRefused)
	}
	require.NoError(t, b.keys.Revoke(t.Context(), b.permit(access.RevokeKey), first.ID, "leaked", "r1"))
	require.NoError(t, b.keys.Revoke(t.Context(), b.permit(access.RevokeKey), first.ID, "leaked", "r1"), "a retry")
	for _, c := range []*Copy{b.copy, other} {
		b.now = b.now.Add(Every)
		require.NoError(t, c.Refresh(t.Context()))
		_, err := b.ask(c, old)
		require.ErrorIs(t, err, access.ErrRefused)
		_, err = b.ask(c, next)
		require.NoError(t, err)
	}
	require.ErrorIs(t, b.keys.Revoke(t.Context(), b.permit(access.RevokeKey), first.ID, "again", "r2"), job.ErrUnknown)
}

// A dispatcher that cannot look believes nobody after Bound: a key that was
// revoked meanwhile is refused in time.
func TestACopyThatIsOldBelievesNobody(t *testing.T) {
	b := newBench(t)
	_, secret := b.create(alice(), "k")
	_, err := b.ask(b.copy, secret)
	require.ErrorIs(t, err, access.ErrUnasked, "nor does one that never looked")
	require.NoError(t, b.copy.Refresh(t.Context()))
	b.now = b.now.Add(Bound)
	_, err = b.ask(b.copy, secret)
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.copy.Refresh(gone), job.ErrUnavailable)
	b.now = b.now.Add(time.Second)
	_, err = b.ask(b.copy, secret)
	require.ErrorIs(t, err, access.ErrUnasked)
}

func TestNothingStoredGivesASecretAway(t *testing.T) {
	b := newBench(t)
	k, secret := b.create(alice(), "k")
	bare := strings.TrimPrefix(secret, access.Prefix)
	require.Equal(t, secret[:12], k.Shown)
	rows, err := b.redis.HGetAll(t.Context(), b.keys.slot.Of("keys")).Result()
	require.NoError(t, err)
	entries, err := b.redis.XRange(t.Context(), b.keys.slot.Of("audit"), "-", "+").Result()
	require.NoError(t, err)
	require.Len(t, entries, 1)
	for _, v := range rows {
		require.NotContains(t, v, bare[9:])
	}
	for _, v := range entries[0].Values {
		require.NotContains(t, v, bare[9:])
	}
	_, _, err = b.keys.Create(t.Context(), b.permit(access.CreateKey), alice(), b.now, "k")
	require.ErrorIs(t, err, access.ErrKeyMade, "a retry cannot show it again")
	require.NotContains(t, err.Error(), bare[9:])
}

func TestLastUseIsWrittenDownNowAndThen(t *testing.T) {
	b := newBench(t)
	k, secret := b.create(alice(), "k")
	gone, lost := b.create(alice(), "k2")
	require.NoError(t, b.copy.Refresh(t.Context()))
	for _, s := range []string{secret, lost} {
		_, err := b.ask(b.copy, s)
		require.NoError(t, err)
	}
	require.NoError(t, b.keys.Revoke(t.Context(), b.permit(access.RevokeKey), gone.ID, "leaked", "r"))
	require.NoError(t, b.copy.Refresh(t.Context()))
	b.copy.note(t.Context())
	listed, err := b.keys.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, listed, 1)
	require.Equal(t, k.ID, listed[0].ID)
	require.Equal(t, noon, listed[0].LastUsed)
	n, err := b.redis.HLen(t.Context(), b.keys.slot.Of("keys_used")).Result()
	require.NoError(t, err)
	require.Equal(t, int64(1), n, "nothing is kept of a key that is gone")
}

// A row that is damaged, or that somebody made a break-glass key, is passed over.
func TestBadRowsArePassedOver(t *testing.T) {
	b := newBench(t)
	_, secret := b.create(alice(), "k")
	forged := access.Hash("gvl_forged")
	for id, row := range map[string]string{
		"key-1": "half a li",
		"key-2": `{"id":"key-3","subject":"a","roles":["admin"],"hash":"` + forged + `"}`,
		"key-4": `{"id":"key-4","subject":"a","roles":["admin"],"hash":"` + forged + `","break_glass":true}`,
		"key-5": `{"id":"key-5","subject":"a","roles":["root"],"hash":"` + forged + `"}`,
	} {
		require.NoError(t, b.redis.HSet(t.Context(), b.keys.slot.Of("keys"), id, row).Err())
	}
	require.ErrorIs(t, b.copy.Refresh(t.Context()), access.ErrBadKey)
	_, err := b.ask(b.copy, secret)
	require.NoError(t, err)
	_, err = b.ask(b.copy, "gvl_forged")
	require.ErrorIs(t, err, access.ErrRefused)
}

func TestAPermitIsForItsAct(t *testing.T) {
	b := newBench(t)
	_, _, err := b.keys.Create(t.Context(), b.permit(access.RevokeKey), alice(), b.now, "")
	require.ErrorIs(t, err, ErrNoPermit)
	require.ErrorIs(t, b.keys.Revoke(t.Context(), b.permit(access.CreateKey), "key-1", "r", ""), ErrNoPermit)
	_, _, err = b.keys.Create(t.Context(), b.permit(access.CreateKey), access.Key{Subject: "x"}, b.now, "")
	require.ErrorIs(t, err, access.ErrBadKey)
}

func TestKeepFillsTheCopy(t *testing.T) {
	b := newBench(t)
	_, secret := b.create(alice(), "k")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	c := NewCopy(b.keys)
	go func() { defer close(done); c.Keep(ctx, func(error) {}) }()
	require.Eventually(t, func() bool { _, err := c.Authenticate(ctx, secret, time.Now()); return err == nil }, 10*time.Second, 5*time.Millisecond)
	cancel()
	<-done
}
