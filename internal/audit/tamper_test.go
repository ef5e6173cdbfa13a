package audit

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestWhatWasSealedVerifiesInRedisAndOutside(t *testing.T) {
	b := newBench(t, 1)
	b.sealed(3)
	b.sealed(2)
	for _, logs := range [][]Log{{b.live()}, {b.export()}, {b.live(), b.export()}} {
		v := b.holds(logs...)
		require.Equal(t, uint64(5), v.Entries)
		require.Equal(t, uint64(5), v.Signed)
		require.Equal(t, []string(trustIn(b.key)), v.Keys)
		require.NotEmpty(t, v.SignedAt)
	}
	b.act(1)
	v := b.holds(b.live(), b.export())
	require.Equal(t, uint64(6), v.Entries, "what is not sealed yet is counted, and is no break")
	require.Equal(t, uint64(5), v.Signed)
}

// Each case is what an administrator of Redis could do to the log there, and
// what is said of it: without an export, and beside one.
func TestTamperingInRedisIsCaughtAndNamed(t *testing.T) {
	del := func(i int) func(*bench) {
		return func(b *bench) {
			all, err := b.redis.XRange(t.Context(), b.key1("audit"), "-", "+").Result()
			require.NoError(t, err)
			require.NoError(t, b.redis.XDel(t.Context(), b.key1("audit"), all[i].ID).Err())
		}
	}
	edit := func(name, value string) func(*bench) {
		return func(b *bench) {
			b.rebuild(func(all []redis.XMessage) []redis.XMessage {
				all[2].Values[name] = value
				return all
			})
		}
	}
	for name, c := range map[string]struct {
		do        func(*bench)
		alone     Kind
		n         uint64
		beside    Kind
		m         uint64
		says, too string
	}{
		"a field is edited": {edit("reason", "nothing"), Edited, 1, Differs, 3, "one of the entries 1 to 5", `"nothing" there`},
		"a field is added":  {edit("more", "x"), Edited, 1, Differs, 3, "one of the entries 1 to 5", `its more is "" here, "x" there`},
		"an entry is gone":  {del(2), Missing, 3, Missing, 3, "entry 4 follows entry 2", "entry 4 follows entry 2"},
		"the first is gone": {del(0), Missing, 1, Missing, 1, "begins with entry 2", "begins with entry 2"},
		"the last is gone":  {del(4), Truncated, 5, Truncated, 5, "ends at entry 4", "ends at entry 4"},
		"the last is gone, and its number and seal with it": {func(b *bench) {
			del(4)(b)
			require.NoError(t, b.redis.Set(t.Context(), b.key1("audit_n"), 4, 0).Err())
			seal(b, b.key, 4)
		}, "", 0, Truncated, 5, "", "entry 5 was exported"},
		"two changed their contents": {func(b *bench) {
			b.rebuild(func(all []redis.XMessage) []redis.XMessage {
				all[1].Values, all[2].Values = all[2].Values, all[1].Values
				return all
			})
		}, Reordered, 2, Reordered, 2, "behind entry 3", "behind entry 3"},
		"two changed their contents and kept their numbers": {func(b *bench) {
			b.rebuild(func(all []redis.XMessage) []redis.XMessage {
				a, c := all[1].Values, all[2].Values
				a["n"], c["n"] = c["n"], a["n"]
				all[1].Values, all[2].Values = c, a
				return all
			})
		}, Edited, 1, Differs, 2, "one of the entries 1 to 5", "its at is"},
		"an entry comes again": {func(b *bench) {
			all, err := b.redis.XRange(t.Context(), b.key1("audit"), "-", "+").Result()
			require.NoError(t, err)
			require.NoError(t, b.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: b.key1("audit"), Values: all[4].Values}).Err())
		}, Reordered, 5, Reordered, 5, "behind entry 5", "behind entry 5"},
		"an entry that was not sealed yet is gone": {func(b *bench) {
			b.act(1)
			del(5)(b)
		}, Truncated, 6, Truncated, 6, "but 6 were written", "but 6 were written"},
		"an entry has no number": {edit("n", "03"), Edited, 3, Edited, 3, `the number "03"`, `the number "03"`},
		"a sealed hash is invented": {func(b *bench) {
			require.NoError(t, b.redis.HSet(t.Context(), b.key1("seal"), "hash", strings.Repeat("0", 64)).Err())
		}, Forged, 5, Forged, 5, "signature", "signature"},
		"the log is written anew and sealed by another key": {func(b *bench) {
			edit("reason", "nothing")(b)
			seal(b, keyOf("theirs"), 5)
		}, WrongKey, 5, Differs, 3, "not trusted", "its reason"},
		"the seal is gone": {func(b *bench) {
			require.NoError(t, b.redis.Del(t.Context(), b.key1("seal")).Err())
		}, Unsigned, 1, "", 0, "no signed head", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1)
			b.sealed(5)
			c.do(b)
			said(t, b, c.alone, c.n, c.says, b.live())
			said(t, b, c.beside, c.m, c.too, b.live(), b.export())
		})
	}
}

// said holds logs to a break, or to none for "".
func said(t *testing.T, b *bench, kind Kind, n uint64, says string, logs ...Log) {
	t.Helper()
	if kind == "" {
		b.holds(logs...)
		return
	}
	require.Contains(t, b.breaks(kind, n, logs...).Error(), says)
}

// seal signs the log as it is now, up to entry n, as whoever has that key can.
func seal(b *bench, key []byte, n uint64) {
	page, err := b.log.Page(b.t.Context(), 0, "", batch)
	require.NoError(b.t, err)
	h := Genesis(page.Fleet, 0)
	head := job.AuditHead{Fleet: page.Fleet, N: n}
	for _, r := range page.Records[:n] {
		h = Link(h, 0, r)
		head.ID = r.ID
	}
	head.Hash = h.String()
	head = sign(head, key, someday)
	require.NoError(b.t, b.redis.HSet(b.t.Context(), b.key1("seal"), "n", head.N, "id", head.ID, "hash", head.Hash,
		"at", head.At, "key", head.Key, "signature", head.Signature).Err())
}

// Each case is what somebody could do to an exported file: entries are lines 0
// to 2, their head is line 3, then entries 4 and 5 and their head.
func TestTamperingWithAnExportIsCaughtAndNamed(t *testing.T) {
	swap := func(i, j int) func([]string) []string {
		return func(l []string) []string { l[i], l[j] = l[j], l[i]; return l }
	}
	replace := func(i int, old, by string) func([]string) []string {
		return func(l []string) []string {
			require.Contains(t, l[i], old)
			l[i] = strings.Replace(l[i], old, by, 1)
			return l
		}
	}
	without := func(i, j int) func([]string) []string {
		return func(l []string) []string { return slices.Delete(l, i, j) }
	}
	for name, c := range map[string]struct {
		do   func([]string) []string
		kind Kind
		n    uint64
		says string
	}{
		"a field is edited":        {replace(1, "stranger", "nobody"), Edited, 2, "line 2"},
		"the place is edited":      {replace(1, `"id":"1`, `"id":"2`), Edited, 2, "line 2"},
		"a line is gone":           {without(1, 2), Missing, 2, "entry 3 follows entry 1"},
		"the first line is gone":   {without(0, 1), Missing, 1, "begins with entry 2"},
		"two lines are swapped":    {swap(1, 2), Reordered, 2, "line 3"},
		"a head comes too early":   {swap(0, 3), Reordered, 1, "line 4"},
		"the last head is gone":    {without(6, 7), Unsigned, 4, "entries 4 to 5"},
		"a line is torn":           {func(l []string) []string { l[1] = l[1][:40] + "\n"; return l }, Missing, 2, "line 2"},
		"a key comes twice":        {replace(1, `"reason":`, `"reason":"x","reason":`), Missing, 2, "is not as Gavel writes it"},
		"a key has another case":   {replace(1, `"rule"`, `"Rule"`), Missing, 2, "is not as Gavel writes it"},
		"a field is unknown":       {replace(1, `"type"`, `"x":1,"type"`), Missing, 2, "unknown field"},
		"a number is not its own":  {replace(4, `"n":4,`, `"n":5,`), Edited, 4, `the number "4"`},
		"a signature is not good":  {replace(3, `"at":"2`, `"at":"1`), Forged, 3, "line 4"},
		"a head is another's":      {func(l []string) []string { l[3] = lineOf(t, sign(headOf(t, l[3]), keyOf("theirs"), someday)); return l }, WrongKey, 3, "not trusted"},
		"a head is of other lines": {func(l []string) []string { l[3] = lineOf(t, rehash(t, headOf(t, l[3]))); return l }, Edited, 1, "one of the entries 1 to 3"},
		"all hashes are made anew": {func(l []string) []string { return rechain(t, replace(1, "stranger", "nobody")(l)) }, Edited, 1, "one of the entries 1 to 3"},
		"a chain is cut in two":    {func(l []string) []string { return append(l[:4:4], rechain(t, l[4:])...) }, Unlinked, 4, "chained to another entry 3"},
		"a line of another fleet":  {replace(4, `"fleet":"`, `"fleet":"x`), Foreign, 4, "another"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1)
			b.sealed(3)
			b.sealed(2)
			b.rewrite(c.do)
			br := b.breaks(c.kind, c.n, b.export())
			if name == "a line of another fleet" {
				return
			}
			require.Contains(t, br.Error(), c.says)
		})
	}
}

func TestATruncatedExportIsSeenByTheFleetsSealAndByAnyLaterHead(t *testing.T) {
	b := newBench(t, 1)
	b.sealed(3)
	b.sealed(2)
	heads := b.path + ".heads"
	copyLines(t, b.path, heads, func(l string) bool { return strings.Contains(l, `"type":"head"`) })
	b.rewrite(func(l []string) []string { return l[:4] })

	require.Equal(t, uint64(3), b.holds(b.export()).Entries, "alone it looks like an earlier export")
	require.Contains(t, b.breaks(Truncated, 4, b.live(), b.export()).Error(), "the export ends at entry 3")
	require.Contains(t, b.breaks(Truncated, 4, b.export(), exportOf(t, heads)).Error(), "goes to entry 5")
}

func TestTheHeadsAloneShowThatRedisWasWrittenAnew(t *testing.T) {
	b := newBench(t, 1)
	b.sealed(3)
	heads := b.path + ".heads"
	copyLines(t, b.path, heads, func(l string) bool { return strings.Contains(l, `"type":"head"`) })
	b.rebuild(func(all []redis.XMessage) []redis.XMessage { all[1].Values["reason"] = "x"; return all })
	seal(b, b.key, 3) // by somebody who even has the key
	b.holds(b.live())
	b.breaks(Edited, 1, b.live(), exportOf(t, heads))
}

func TestNothingIsNoProof(t *testing.T) {
	b := newBench(t, 1)
	rep, err := Verify(t.Context(), nil, b.live())
	require.NoError(t, err, "an empty log has no break")
	require.Zero(t, rep.Partitions[0].Entries)
	b.act(1)
	b.breaks(Unsigned, 1, b.live())
	b.sink()
	_, err = Verify(t.Context(), nil, b.export())
	require.ErrorContains(t, err, "nothing to verify")
	b.sealed(1)
	empty := b.path + ".empty"
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	b.holds(b.export(), exportOf(t, empty))
	b.holds(b.live(), b.export(), exportOf(t, empty))
	b.breaks(Truncated, 1, b.live(), exportOf(t, empty))
	require.NoError(t, os.WriteFile(empty, []byte("hello\n"), 0o600))
	_, err = Verify(t.Context(), nil, exportOf(t, empty))
	require.ErrorContains(t, err, "holds no line of an audit: line 1")
}
