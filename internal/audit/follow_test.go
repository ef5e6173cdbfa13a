package audit

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
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
	list, _, err := b.log.List(t.Context(), job.AuditQuery{}, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, uint64(1), list[0].N)
	require.False(t, list[0].At.IsZero())
	require.Equal(t, "denied", list[0].Decision)
	require.JSONEq(t, `{"subject":"eve"}`, string(list[0].Who))
	require.Equal(t, map[string]string{"scope": "job", "reason": "because 0\xff"}, list[0].Fields)
	require.JSONEq(t, "null", string(entryOf(0, nil).Who))
}

func TestTheLogIsSearched(t *testing.T) {
	b := newBench(t, 2)
	b.act(2)
	const id = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0f00")
	require.NoError(t, b.log.Deny(t.Context(), job.AuditEntry{
		Act: "freeze", Rule: "role", Who: []byte(`{"subject":"mallory"}`), Fields: map[string]string{"scope": "job", "subject": string(id)},
	}))
	all, _, err := b.log.List(t.Context(), job.AuditQuery{}, "", 10)
	require.NoError(t, err)
	require.Len(t, all, 3)
	last := all[0].At
	for name, c := range map[string]struct {
		q    job.AuditQuery
		want int
	}{
		"act": {job.AuditQuery{Act: "kill"}, 2}, "actor": {job.AuditQuery{Actor: "mallory"}, 1}, "no such actor": {job.AuditQuery{Actor: "mall"}, 0},
		"about": {job.AuditQuery{About: id}, 1}, "since": {job.AuditQuery{Since: all[2].At}, 3}, "since the last": {job.AuditQuery{Since: last}, 1},
		"since then": {job.AuditQuery{Since: last.Add(time.Millisecond)}, 0}, "until": {job.AuditQuery{Until: last}, 3},
		"until before": {job.AuditQuery{Until: last.Add(-time.Microsecond)}, 2}, "until long before": {job.AuditQuery{Until: last.Add(-time.Hour)}, 0},
	} {
		got, _, err := b.log.List(t.Context(), c.q, "", 10)
		require.NoError(t, err, name)
		require.Len(t, got, c.want, name)
	}
	require.True(t, matches(job.AuditEntry{Fields: map[string]string{"order": "o"}}, job.AuditQuery{About: id, Order: "o"}),
		"the order that stopped a job is about it too")
	require.False(t, matches(job.AuditEntry{Fields: map[string]string{"order": ""}}, job.AuditQuery{About: id}))
}
