package audit

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestACopyIsTheExport(t *testing.T) {
	b := newBench(t, 2)
	b.sealed(batch + 3)
	f, err := OpenFleet(t.Context(), b.log)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, Copy(t.Context(), &out, f))
	mine := b.path + ".copy"
	require.NoError(t, os.WriteFile(mine, out.Bytes(), 0o600))
	require.Equal(t, uint64(batch+3), b.holds(exportOf(t, mine)).Signed)
	v := b.holds(exportOf(t, mine), b.export(), b.live())
	require.Equal(t, uint64(2*(batch+3)), v.Repeats)

	b.rebuild(func(all []redis.XMessage) []redis.XMessage { return all[:5] })
	out.Reset()
	require.NoError(t, Copy(t.Context(), &out, f), "what is broken is copied, for others to look at")
	require.NoError(t, os.WriteFile(mine, out.Bytes(), 0o600))
	b.breaks(Truncated, 6, exportOf(t, mine))
}

func TestAFollowerSeesEachEntryOnce(t *testing.T) {
	b := newBench(t, 2)
	b.act(2)
	seen := func(f *Follower) (ns []uint64) {
		require.NoError(t, f.Look(t.Context(), func(r Record) error {
			require.Equal(t, "kill", EntryOf(r).Act)
			ns = append(ns, r.N)
			return nil
		}))
		return ns
	}
	all, next := Follow(b.log, true), Follow(b.log, false)
	require.Equal(t, []uint64{1, 2}, seen(all))
	require.Empty(t, seen(next))
	b.act(1)
	require.Equal(t, []uint64{3}, seen(all))
	require.Equal(t, []uint64{3}, seen(next))
	require.Empty(t, seen(all))

	full := errors.New("full")
	b.act(1)
	require.ErrorIs(t, all.Look(t.Context(), func(Record) error { return full }), full)
	require.Equal(t, []uint64{4}, seen(all), "what was not taken is given again")
}

func TestAnEntryIsListedAsItWasWritten(t *testing.T) {
	b := newBench(t, 1)
	b.act(1)
	list, _, err := b.log.List(t.Context(), "", "", "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, uint64(1), list[0].N)
	require.False(t, list[0].At.IsZero())
	require.Equal(t, "denied", list[0].Decision)
	require.JSONEq(t, `{"subject":"eve"}`, string(list[0].Who))
	require.Equal(t, map[string]string{"scope": "job", "reason": "because 0\xff"}, list[0].Fields)
	require.JSONEq(t, "null", string(entryOf(0, nil).Who))
}
