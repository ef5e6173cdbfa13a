package checkpoint_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/checkpoint"
	"github.com/rtfm-si/gavel/internal/checkpoint/bucket"
	"github.com/rtfm-si/gavel/internal/checkpoint/directory"
	"github.com/rtfm-si/gavel/internal/job"
)

const (
	anID    = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0100")
	otherID = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0200")
)

// s3 is an S3-compatible server that nobody here wrote. While down it answers 503.
func s3(t *testing.T, name string) (cfg bucket.Config, down *atomic.Bool) {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket(name))
	down = &atomic.Bool{}
	inner := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return bucket.Config{Endpoint: server.URL, Bucket: name, Prefix: "gavel", Region: "us-east-1", KeyID: "key", Secret: "secret"}, down
}

// stores are the ones there are, each with a way to take it away.
func stores(t *testing.T) map[string]func(*testing.T) (checkpoint.Store, func()) {
	t.Helper()
	return map[string]func(*testing.T) (checkpoint.Store, func()){
		"directory": func(t *testing.T) (checkpoint.Store, func()) {
			root := filepath.Join(t.TempDir(), "states")
			require.NoError(t, os.Mkdir(root, 0o750))
			return directory.New(root), func() { require.NoError(t, os.Rename(root, root+"-away")) }
		},
		"bucket": func(t *testing.T) (checkpoint.Store, func()) {
			cfg, down := s3(t, "states")
			s, err := bucket.New(cfg)
			require.NoError(t, err)
			t.Cleanup(s.Close)
			return s, func() { down.Store(true) }
		},
	}
}

// inStores runs a test on each of them.
func inStores(t *testing.T, test func(t *testing.T, s checkpoint.Store, away func())) {
	t.Helper()
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s, away := open(t)
			test(t, s, away)
		})
	}
}

func TestAStoreKeepsWhatItIsGiven(t *testing.T) {
	inStores(t, func(t *testing.T, s checkpoint.Store, _ func()) {
		ctx := t.Context()
		require.NoError(t, s.Check(ctx))
		_, err := s.Get(ctx, "f/a/1")
		require.ErrorIs(t, err, checkpoint.ErrGone)
		big := strings.Repeat("x", 6<<20)
		for name, data := range map[string]string{"f/a/1": "one", "f/a/2": "two", "f/b/1": big, "g/a/1": "another fleet's"} {
			require.NoError(t, s.Put(ctx, name, []byte(data)))
			require.NoError(t, s.Put(ctx, name, []byte(data)), "sent again it is the same")
			got, err := s.Get(ctx, name)
			require.NoError(t, err)
			require.Len(t, got, len(data))
			require.Equal(t, sha256.Sum256([]byte(data)), sha256.Sum256(got))
		}
		for _, c := range []struct {
			prefix, after string
			limit         int
			want          []string
		}{
			{"f/", "", 10, []string{"f/a/1", "f/a/2", "f/b/1"}},
			{"f/", "", 2, []string{"f/a/1", "f/a/2"}},
			{"f/", "f/a/2", 2, []string{"f/b/1"}},
			{"f/a/", "", 10, []string{"f/a/1", "f/a/2"}},
			{"f/", "f/b/1", 10, nil},
			{"h/", "", 10, nil},
		} {
			got, err := s.List(ctx, c.prefix, c.after, c.limit)
			require.NoError(t, err)
			require.Equal(t, c.want, got, "%+v", c)
		}
		require.NoError(t, s.Remove(ctx, "f/a/1"))
		require.NoError(t, s.Remove(ctx, "f/a/1"), "it is gone already")
		_, err = s.Get(ctx, "f/a/1")
		require.ErrorIs(t, err, checkpoint.ErrGone)
		require.NoError(t, s.Check(ctx))
		all, err := s.List(ctx, "", "", 100)
		require.NoError(t, err)
		require.Equal(t, []string{"f/a/2", "f/b/1", "g/a/1"}, all, "a check leaves nothing")
	})
}

func TestAStoreThatIsAwayIsNotTakenForAnEmptyOne(t *testing.T) {
	inStores(t, func(t *testing.T, s checkpoint.Store, away func()) {
		require.NoError(t, s.Put(t.Context(), "f/a/1", []byte("one")))
		away()
		_, err := s.Get(t.Context(), "f/a/1")
		require.Error(t, err)
		require.NotErrorIs(t, err, checkpoint.ErrGone)
		require.Error(t, s.Check(t.Context()))
		done, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, s.Put(done, "f/a/2", []byte("two")))
	})
}

// Whoever sees the same store reads the same mark, whatever it is called there;
// another store, an empty one in the same place included, has another.
func TestAStoreIsKnownByItsMark(t *testing.T) {
	inStores(t, func(t *testing.T, s checkpoint.Store, _ func()) {
		ctx := t.Context()
		see := func(fleet, place string) *checkpoint.Outside {
			o := &checkpoint.Outside{Store: s, Fleet: fleet, Place: place}
			require.NoError(t, o.Recognise(ctx))
			return o
		}
		a, b := see("f", "dir:/a"), see("f", "dir:/mnt/a")
		require.NotEmpty(t, a.Named().Mark)
		require.Equal(t, a.Named().Mark, b.Named().Mark)
		require.False(t, a.Named().Other(b.Named()))
		require.Equal(t, "dir:/mnt/a", b.Named().Place)
		require.NotEqual(t, a.Named().Mark, see("g", "dir:/a").Named().Mark)
		redis := (*checkpoint.Outside)(nil)
		require.True(t, redis.Named().Other(a.Named()))
		require.False(t, redis.Named().Other(redis.Named()))
		require.False(t, a.Named().Other(job.Store{}), "who does not say keeps it nowhere else")

		// Two that find the store empty at the same moment each leave a mark.
		require.NoError(t, s.Put(ctx, "f/store-00000", []byte("x")))
		require.NoError(t, a.Recognise(ctx))
		require.NoError(t, b.Recognise(ctx))
		require.Equal(t, "00000", a.Named().Mark)
		require.Equal(t, a.Named().Mark, b.Named().Mark)

		n, err := (&checkpoint.Sweeper{Outside: a, Records: &records{}, For: time.Nanosecond}).Sweep(ctx, time.Now())
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestEveryCallOfAStoreIsTold(t *testing.T) {
	inStores(t, func(t *testing.T, s checkpoint.Store, away func()) {
		ctx := t.Context()
		told, failed := map[string]int{}, map[string]int{}
		o := &checkpoint.Outside{Store: s, Fleet: "f", Within: time.Second, Told: func(call string, _ time.Duration, err error) {
			if told[call]++; err != nil {
				failed[call]++
			}
		}}
		packed, sum, err := checkpoint.Pack([]byte("a state"))
		require.NoError(t, err)
		place, err := o.Put(ctx, anID, "1.x", checkpoint.Packed{Seq: 1, Sum: sum, Data: packed})
		require.NoError(t, err)
		stored := sum + " node 0 1 " + place + "\n"
		_, err = o.Read(ctx, "1", stored)
		require.NoError(t, err)
		require.NoError(t, o.Forget(ctx, anID))
		_, err = o.Read(ctx, "1", stored)
		require.ErrorIs(t, err, checkpoint.ErrDamaged)
		require.Equal(t, map[string]int{"put": 1, "get": 2, "list": 1, "remove": 1}, told)
		require.Empty(t, failed, "a state that is gone is an answer")

		away()
		_, err = o.Put(ctx, anID, "1.x", checkpoint.Packed{Seq: 2, Sum: sum, Data: packed})
		require.ErrorIs(t, err, checkpoint.ErrAway)
		_, err = o.Read(ctx, "1", stored)
		require.ErrorIs(t, err, checkpoint.ErrAway)
		require.Equal(t, map[string]int{"put": 1, "get": 1}, failed)
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, err = o.Read(gone, "1", stored)
		require.Error(t, err)
		require.Equal(t, 1, failed["get"], "nobody waited for this one")
	})
}

func TestACheckSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.ErrorContains(t, directory.New(file).Check(t.Context()), "no directory")
	require.ErrorContains(t, directory.New(file+"s").Check(t.Context()), "no such file")
	require.Error(t, directory.New(t.TempDir()).Put(t.Context(), "../x", nil), "a name stays below the root")

	cfg, _ := s3(t, "states")
	cfg.Bucket = "stats"
	s, err := bucket.New(cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.ErrorContains(t, s.Check(t.Context()), `no bucket "stats"`)
	for _, endpoint := range []string{"", "minio:9000", "ftp://minio", "https://a:b@minio", "https://minio/path"} {
		_, err := bucket.New(bucket.Config{Endpoint: endpoint, Bucket: "b"})
		require.ErrorContains(t, err, "want https://host", endpoint)
	}
	_, err = bucket.New(bucket.Config{Endpoint: "https://minio"})
	require.ErrorContains(t, err, "bucket's name is missing")
}

// keep stores a state outside and returns its record as the script writes it.
func keep(t *testing.T, o *checkpoint.Outside, id job.ID, by string, seq uint64, data string) (record, name string) {
	t.Helper()
	packed, sum, err := checkpoint.Pack([]byte(data))
	require.NoError(t, err)
	place, err := o.Put(t.Context(), id, by, checkpoint.Packed{Seq: seq, Sum: sum, Data: packed})
	require.NoError(t, err)
	_, name, _ = strings.Cut(place, " ")
	return fmt.Sprintf("%s node 123 2 %s\n", sum, place), name
}

func TestAStateOutsideIsReadBackAndADamagedOneIsPassedOver(t *testing.T) {
	inStores(t, func(t *testing.T, s checkpoint.Store, away func()) {
		ctx := t.Context()
		o := &checkpoint.Outside{Store: s, Fleet: "prod/eu"}
		stored := map[string]string{}
		names := map[string]string{}
		for _, n := range []string{"9", "10", "11"} {
			var seq uint64
			_, err := fmt.Sscan(n, &seq)
			require.NoError(t, err)
			stored[n], names[n] = keep(t, o, anID, "1.a", seq, "state "+n)
			require.True(t, strings.HasPrefix(names[n], "prod+eu/"+string(anID)+"/"), names[n])
		}
		packed, sum, err := checkpoint.Pack([]byte("in redis"))
		require.NoError(t, err)
		stored["8"] = sum + " node 122 1\n" + string(packed)

		c, damaged, err := o.Newest(ctx, stored)
		require.NoError(t, err)
		require.Zero(t, damaged)
		require.Equal(t, "state 11", string(c.Data))
		require.Equal(t, uint64(11), c.Seq)
		require.Equal(t, 2, c.Grant)
		require.Positive(t, c.Stored)

		require.NoError(t, s.Put(ctx, names["11"], []byte("what somebody made of it")))
		require.NoError(t, s.Remove(ctx, names["10"]))
		c, damaged, err = o.Newest(ctx, stored)
		require.NoError(t, err)
		require.Equal(t, "state 9", string(c.Data))
		require.Equal(t, 2, damaged, "one with another sum, one that is gone")
		all, err := o.All(ctx, stored)
		require.NoError(t, err)
		require.Len(t, all, 4)
		require.Equal(t, []bool{true, true, false, false}, []bool{all[0].Sound, all[1].Sound, all[2].Sound, all[3].Sound})
		require.Equal(t, "in redis", string(all[0].Data), "those from before are read where they are")
		_, err = o.Read(ctx, "10", stored["10"])
		require.ErrorIs(t, err, checkpoint.ErrDamaged)

		away()
		_, _, err = o.Newest(ctx, map[string]string{"9": stored["9"]})
		require.ErrorIs(t, err, checkpoint.ErrAway, "nothing is said of a store that does not answer")
		_, err = o.All(ctx, stored)
		require.ErrorIs(t, err, checkpoint.ErrAway)

		var none *checkpoint.Outside
		_, _, err = none.Newest(ctx, stored)
		require.ErrorIs(t, err, checkpoint.ErrAway, "a process that was not told of the store")
		require.ErrorContains(t, err, "--checkpoints")
	})
}

func TestWhoWritesUnderAnotherClaimWritesBesideIt(t *testing.T) {
	inStores(t, func(t *testing.T, s checkpoint.Store, _ func()) {
		o := &checkpoint.Outside{Store: s, Fleet: "prod"}
		_, first := keep(t, o, anID, "1.a", 1, "same")
		_, second := keep(t, o, anID, "2.b", 1, "same")
		_, third := keep(t, o, anID, "2.b", 1, "other")
		require.Len(t, map[string]bool{first: true, second: true, third: true}, 3)
	})
}

// records are what jobs name.
type records struct {
	named map[string]bool
	fail  error
}

func (r *records) Places(context.Context, job.ID) (map[string]bool, error) { return r.named, r.fail }

func TestWhatNoRecordNamesIsSweptAfterItWasSeenTwice(t *testing.T) {
	inStores(t, func(t *testing.T, s checkpoint.Store, _ func()) {
		ctx := t.Context()
		o := &checkpoint.Outside{Store: s, Fleet: "prod"}
		_, named := keep(t, o, anID, "1.a", 1, "named")
		_, orphan := keep(t, o, anID, "1.a", 2, "its record never landed")
		_, late := keep(t, o, otherID, "1.a", 1, "its record lands late")
		for _, foreign := range []string{"prod/notes", "prod/a/b/c", "prod/" + string(anID) + "/x/y", "prod2/" + string(anID) + "/1"} {
			require.NoError(t, s.Put(ctx, foreign, []byte("x")))
		}
		r := &records{named: map[string]bool{named: true}}
		w := checkpoint.Sweeper{Outside: o, Records: r}
		sweep := func(after time.Duration) int {
			n, err := w.Sweep(ctx, time.Unix(0, 0).Add(after))
			require.NoError(t, err)
			return n
		}
		require.Zero(t, sweep(0))
		require.Zero(t, sweep(59*time.Minute))
		r.named[late] = true
		require.Equal(t, 1, sweep(61*time.Minute))
		left, err := s.List(ctx, "", "", 100)
		require.NoError(t, err)
		require.NotContains(t, left, orphan)
		require.Len(t, left, 6, "%v", left)

		delete(r.named, late)
		require.Zero(t, sweep(3*time.Hour), "it is seen without a record for the first time")
		r.fail = errors.New("redis is away")
		_, err = w.Sweep(ctx, time.Unix(0, 0).Add(9*time.Hour))
		require.Error(t, err)
		r.fail = nil
		require.Equal(t, 1, sweep(10*time.Hour))
	})
}

func TestAForgottenJobLeavesNothingBehind(t *testing.T) {
	inStores(t, func(t *testing.T, s checkpoint.Store, _ func()) {
		ctx := t.Context()
		o := &checkpoint.Outside{Store: s, Fleet: "prod"}
		for seq := range uint64(5) {
			keep(t, o, anID, "1.a", seq+1, "state")
		}
		record, _ := keep(t, o, anID, "1.a", 9, "begin here")
		_, kept := keep(t, o, otherID, "1.a", 1, "state")
		place, err := o.Copy(ctx, "9", record, otherID)
		require.NoError(t, err)
		require.NoError(t, o.Forget(ctx, anID))
		require.NoError(t, o.Forget(ctx, anID))
		left, err := s.List(ctx, "prod/", "", 100)
		require.NoError(t, err)
		_, copied, _ := strings.Cut(place, " ")
		require.Equal(t, slices.Sorted(maps.Keys(map[string]bool{copied: true, kept: true})), left, "what goes on from it has its own")
		k, err := o.Read(ctx, "9", "x node 1 1 "+place+"\n")
		require.ErrorIs(t, err, checkpoint.ErrDamaged, "another sum")
		require.False(t, k.Sound)
		head, _, _ := strings.Cut(record, " ")
		k, err = o.Read(ctx, "9", head+" node 1 1 "+place+"\n")
		require.NoError(t, err)
		require.Equal(t, "begin here", string(k.Data))
	})
}
