package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const (
	wait = 20 * time.Second
	tick = 5 * time.Millisecond
)

// run runs a sealer until the test ends or it is stopped.
func run(t *testing.T, s *Sealer) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// sealedTo waits until the log is sealed up to its end, at entry n.
func (b *bench) sealedTo(n uint64) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		page, err := b.log.Page(b.t.Context(), 0, "", 1)
		return err == nil && page.Head.N == n
	}, wait, tick)
}

func TestASealerThatEndsSealsWhatIsThere(t *testing.T) {
	b := newBench(t, 2)
	s, err := NewSealer(b.log, SealerConfig{Key: b.key, Sink: b.sink(), Every: time.Hour})
	require.NoError(t, err)
	stop := run(t, s)
	require.Eventually(t, func() bool { return b.redis.Exists(t.Context(), b.log.partitions.Slot(1).Of("seal")).Val() == 1 }, wait, tick)
	b.act(batch + 1)
	stop()
	v := b.holds(b.live(), b.export())
	require.Equal(t, uint64(batch+1), v.Signed)
	require.Equal(t, uint64(batch+1), v.Repeats, "each is in Redis and in the export, in two batches")
}

func TestTwoSealersAtOnceMakeOneLog(t *testing.T) {
	b := newBench(t, 1)
	other := b.path + ".2"
	second, err := OpenSink(other, nil)
	require.NoError(t, err)
	one, two := b.sealer(b.key, b.sink()), b.sealer(b.key, second)
	run(t, one)
	run(t, two)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { b.act(150) })
	}
	// Each is robbed of its turn again and again.
	for range 100 {
		require.NoError(t, b.redis.HDel(t.Context(), b.key1("seal"), "who").Err())
	}
	wg.Wait()
	b.sealedTo(600)
	logs := []Log{b.live()}
	for _, path := range []string{b.path, other} {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			logs = append(logs, exportOf(t, path))
		}
	}
	v := b.holds(logs...)
	require.Equal(t, uint64(600), v.Entries)
	require.Equal(t, uint64(600), v.Signed)
	b.holds(logs[1:]...)
}

func TestTwoSealersMayShareAFile(t *testing.T) {
	b := newBench(t, 1)
	b.act(700)
	var wg sync.WaitGroup
	for range 2 { // neither knows of the other
		s := b.sealer(b.key, b.sink())
		wg.Go(func() {
			for range 20 {
				b.redis.HDel(t.Context(), b.key1("seal"), "who")
				_ = s.seal(t.Context(), 0)
			}
		})
	}
	wg.Wait()
	require.Equal(t, uint64(700), b.holds(b.live(), b.export()).Signed)
}

func TestACrashBetweenExportAndRecordRepeatsAndHarmsNothing(t *testing.T) {
	b := newBench(t, 1)
	b.sealed(3)
	b.act(2)
	crash := errors.New("the process dies")
	dying := b.sealer(b.key, sinkFunc(func(ctx context.Context, lines []byte) error {
		return errors.Join(b.sink().Append(ctx, lines), crash)
	}))
	require.NoError(t, b.redis.HDel(t.Context(), b.key1("seal"), "who").Err())
	require.ErrorIs(t, dying.seal(t.Context(), 0), crash)
	require.Equal(t, uint64(5), b.holds(b.export()).Entries, "exported")
	require.Equal(t, uint64(3), b.holds(b.live()).Signed, "and not recorded")

	b.sealed(1)
	rep, err := Verify(t.Context(), trustIn(b.key), b.export())
	require.NoError(t, err)
	require.Equal(t, Verified{Entries: 6, Signed: 6, Repeats: 2, SignedAt: rep.Partitions[0].SignedAt, Keys: trustIn(b.key)}, rep.Partitions[0])
	b.holds(b.live(), b.export())
}

func TestACrashInTheMiddleOfALineHarmsNothing(t *testing.T) {
	b := newBench(t, 1)
	b.sealed(2)
	f, err := os.OpenFile(b.path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"v":1,"type":"ent`)
	require.NoError(t, errors.Join(err, f.Close()))
	b.sealed(1)
	rep, err := Verify(t.Context(), trustIn(b.key), b.export())
	require.NoError(t, err)
	require.Equal(t, 1, rep.Skipped)
	require.Equal(t, uint64(3), rep.Partitions[0].Signed)
}

func TestAnotherSealerTakesOverOnlyWhatItSawStandStill(t *testing.T) {
	b := newBench(t, 1)
	one := b.sealer(b.key, nil)
	require.NoError(t, one.seal(t.Context(), 0))
	two, err := NewSealer(b.log, SealerConfig{Key: b.key, Every: time.Minute, Take: time.Hour})
	require.NoError(t, err)
	b.act(1)
	require.NoError(t, two.seal(t.Context(), 0))
	require.Zero(t, b.head(), "it is not its turn")
	two.views[0].watch.since = two.views[0].watch.since.Add(-2 * time.Hour)
	require.NoError(t, one.seal(t.Context(), 0), "the first one is alive")
	b.act(1)
	require.NoError(t, two.seal(t.Context(), 0))
	require.Equal(t, uint64(1), b.head(), "what it watched has moved")
	two.views[0].watch.since = two.views[0].watch.since.Add(-2 * time.Hour)
	require.NoError(t, two.seal(t.Context(), 0))
	require.Equal(t, uint64(2), b.head())
	b.holds(b.live())
}

func (b *bench) head() uint64 {
	b.t.Helper()
	page, err := b.log.Page(b.t.Context(), 0, "", 1)
	require.NoError(b.t, err)
	return page.Head.N
}

func TestAWatchCountsFromTheTurnItSaw(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var w watch
	require.Empty(t, w.still(at(100), time.Second), "nothing was seen")
	w.see("7", at(0))
	w.see("7", at(4))
	require.Empty(t, w.still(at(4), 5*time.Second))
	require.Equal(t, "7", w.still(at(5), 5*time.Second))
	w.see("8", at(6))
	require.Empty(t, w.still(at(10), 5*time.Second))
}

func TestASealerThatCannotExportLeavesTheTurnToOthers(t *testing.T) {
	b := newBench(t, 1)
	b.act(3)
	full := errors.New("no space left")
	seen, logs := observer.New(zap.WarnLevel)
	broken, err := NewSealer(b.log, SealerConfig{
		Key: b.key, Every: time.Millisecond, Take: time.Hour, Log: zap.New(seen),
		Sink: sinkFunc(func(context.Context, []byte) error { return full }),
	})
	require.NoError(t, err)
	for range 5 {
		broken.look(t.Context())
	}
	require.Len(t, logs.All(), 1, "said once")
	require.Equal(t, "1", b.redis.HGet(t.Context(), b.key1("seal"), "turn").Val(), "it does not renew its turn")
	require.Zero(t, b.head(), "what did not leave Redis is not called sealed")

	run(t, b.sealer(b.key, b.sink()))
	b.sealedTo(3)
	b.holds(b.live(), b.export())
}

func TestASealerThatWasPausedChangesNothing(t *testing.T) {
	b := newBench(t, 1)
	b.act(3)
	var once sync.Once
	paused := b.sealer(b.key, sinkFunc(func(ctx context.Context, lines []byte) error {
		once.Do(func() { b.sealed(4) }) // another one seals these and more
		return b.sink().Append(ctx, lines)
	}))
	require.NoError(t, paused.seal(t.Context(), 0))
	require.Equal(t, uint64(7), b.head())
	require.Equal(t, uint64(7), b.holds(b.live(), b.export()).Signed)
}

func TestALogWithAGapGoesOnLeavingRedis(t *testing.T) {
	b := newBench(t, 1)
	b.sealed(2)
	b.act(3)
	all, err := b.redis.XRange(t.Context(), b.key1("audit"), "-", "+").Result()
	require.NoError(t, err)
	require.NoError(t, b.redis.XDel(t.Context(), b.key1("audit"), all[3].ID).Err())
	seen, logs := observer.New(zap.WarnLevel)
	s, err := NewSealer(b.log, SealerConfig{Key: b.key, Sink: b.sink(), Log: zap.New(seen)})
	require.NoError(t, err)
	require.NoError(t, b.redis.HDel(t.Context(), b.key1("seal"), "who").Err())
	require.NoError(t, s.seal(t.Context(), 0))
	require.Equal(t, uint64(5), b.head())
	require.Equal(t, 1, logs.FilterMessageSnippet("gap").Len())
	b.breaks(Missing, 4, b.export())
	b.breaks(Missing, 4, b.live())
}

func TestAKeyMayChange(t *testing.T) {
	b := newBench(t, 1)
	b.sealed(2)
	old := b.key
	b.key = keyOf("new")
	b.sealed(2)
	rep, err := Verify(t.Context(), trustIn(old, b.key), b.live(), b.export())
	require.NoError(t, err)
	require.ElementsMatch(t, trustIn(old, b.key), rep.Partitions[0].Keys)
	b.breaks(WrongKey, 2, b.export())
}

func TestRedisAwayDelaysTheSealAndLosesNothing(t *testing.T) {
	b := newBench(t, 1)
	b.act(2)
	seen, logs := observer.New(zap.InfoLevel)
	s, err := NewSealer(b.log, SealerConfig{Key: b.key, Sink: b.sink(), Every: time.Millisecond, Log: zap.New(seen)})
	require.NoError(t, err)
	require.NoError(t, b.redis.Set(t.Context(), b.key1("seal"), "no hash", 0).Err())
	run(t, s)
	require.Eventually(t, func() bool { return logs.FilterMessage("the audit is not sealed").Len() == 1 }, wait, tick)
	require.NoError(t, b.redis.Del(t.Context(), b.key1("seal")).Err())
	b.sealedTo(2)
	require.Eventually(t, func() bool { return logs.FilterMessage("the audit is sealed again").Len() == 1 }, wait, tick)
	b.holds(b.live(), b.export())
}

func TestAPageIsBoundedAndItsCursorChecked(t *testing.T) {
	b := newBench(t, 1)
	b.act(3)
	page, err := b.log.Page(t.Context(), 0, "", 2)
	require.NoError(t, err)
	require.Len(t, page.Records, 2)
	require.Equal(t, uint64(3), page.Last)
	rest, err := b.log.Page(t.Context(), 0, page.Records[1].ID, 2)
	require.NoError(t, err)
	require.Len(t, rest.Records, 1)
	for _, after := range []string{"x", "1", "(1-1", "-"} {
		_, err = b.log.Page(t.Context(), 0, after, 2)
		require.ErrorIs(t, err, ErrBadCursor)
	}
	_, err = b.log.Page(t.Context(), 1, "", 2)
	require.ErrorIs(t, err, ErrBadCursor)
}

func TestASealerThatCannotWorkIsRefused(t *testing.T) {
	b := newBench(t, 1)
	_, err := NewSealer(b.log, SealerConfig{})
	require.ErrorIs(t, err, ErrKey)
	_, err = NewSealer(b.log, SealerConfig{Key: b.key, Every: time.Second, Take: time.Second})
	require.ErrorContains(t, err, "twice")
	_, err = OpenSink(filepath.Join(t.TempDir(), "no", "where"), nil)
	require.ErrorContains(t, err, "export the audit")
}

func TestTheStreamSinkWritesTheSameLines(t *testing.T) {
	b := newBench(t, 1)
	var out strings.Builder
	s, err := OpenSink(Stdout, &out)
	require.NoError(t, err)
	b.act(2)
	require.NoError(t, b.sealer(b.key, s).seal(t.Context(), 0))
	require.NoError(t, os.WriteFile(b.path, []byte(out.String()), 0o600))
	require.Equal(t, uint64(2), b.holds(b.export()).Signed)
}

func TestKeysAreWrittenReadAndRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.key")
	key, err := NewKey(path)
	require.NoError(t, err)
	read, err := ReadKey(path)
	require.NoError(t, err)
	require.Equal(t, key, read)
	_, err = NewKey(path)
	require.ErrorIs(t, err, os.ErrExist, "a key is never written over")

	public, err := Public(key)
	require.NoError(t, err)
	other, err := Public(keyOf("other"))
	require.NoError(t, err)
	pub := filepath.Join(dir, "audit.pub")
	require.NoError(t, os.WriteFile(pub, append(public, other...), 0o644))
	trust, err := ReadTrust(pub)
	require.NoError(t, err)
	require.Equal(t, trustIn(key, keyOf("other")), trust)

	_, err = ReadTrust(path)
	require.ErrorIs(t, err, ErrKey, "the private half is not what a verifier needs")
	_, err = ReadKey(pub)
	require.ErrorContains(t, err, "mode 0644")
	require.NoError(t, os.Chmod(pub, 0o600))
	_, err = ReadKey(pub)
	require.ErrorIs(t, err, ErrKey)
	_, err = ReadKey(filepath.Join(dir, "none"))
	require.ErrorContains(t, err, "gavel audit key")
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = ReadKey(empty)
	require.ErrorContains(t, err, "PEM")
	_, err = ReadTrust(empty)
	require.ErrorIs(t, err, ErrKey)
}
