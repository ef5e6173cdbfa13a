package rediskit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestTheKeyTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Table() {
		require.False(t, seen[k.Name], "%s stands there twice", k.Name)
		seen[k.Name] = true
		require.Contains(t, []string{"", "job", "owner", "order", "worker", "idem", "bucket"}, k.Per, k.Name)
		require.Contains(t, []string{"string", "list", "hash", "set", "zset", "stream"}, k.Type, k.Name)
		require.NotEmpty(t, k.Ends, k.Name)
		require.NotEmpty(t, k.About, k.Name)
		for w := range strings.FieldsSeq(k.Writers) {
			require.Contains(t, []string{"dispatcher", "worker"}, w, k.Name)
		}
	}
}

// A worker's ACL holds only if no script that it runs writes what is the
// dispatcher's.
func TestAWorkersScriptsWriteNoKeyOfTheDispatcher(t *testing.T) {
	workers := []string{"grant", "renew", "finish", "retry", "release", "park", "leave", "reclaim", "event", "transcribe", "checkpoint", "reserve", "settle", "sample"}
	run := 0
	for _, s := range house(t) {
		for _, name := range append(s.Header.Keys, s.Header.Makes...) {
			row, ok := lookup(name)
			require.True(t, ok, name)
			if slices.Contains(workers, s.Name) {
				run++
				require.Contains(t, row.Writers, "worker", "%s writes %s", s.Name, name)
			} else {
				require.Contains(t, row.Writers, "dispatcher", "%s writes %s", s.Name, name)
			}
		}
	}
	require.Positive(t, run)
}

// Every key of the table is in some script, or is read and written by a plain
// command that is named here.
func TestNoKeyOfTheTableIsForgotten(t *testing.T) {
	used := map[string]bool{"meta": true, "absent": true}
	for _, s := range house(t) {
		for _, names := range [][]string{s.Header.Keys, s.Header.Makes, s.Header.Reads} {
			for _, n := range names {
				used[n] = true
			}
		}
	}
	for _, k := range Table() {
		require.True(t, used[k.Name], k.Name)
	}
}

func TestKeysOfOneSlotShareItsTag(t *testing.T) {
	s := NewSlot("fleet", 7)
	at := Place{Slot: s, Job: "J", Owner: "ann", Order: "O", Worker: "w", Idem: "i", Bucket: "7"}
	for _, k := range Table() {
		full, err := at.Key(k.Name)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(full, "{fleet:7}:"+k.Name), full)
		if k.Per != "" {
			require.True(t, strings.HasPrefix(full, s.Prefix(k.Name)), "%s is what a script builds from the prefix", full)
			_, err := Place{Slot: s}.Key(k.Name)
			require.ErrorContains(t, err, "needs the "+k.Per)
		}
	}
	_, err := at.Key("secret")
	require.ErrorContains(t, err, `no key "secret"`)
	require.Equal(t, "{fleet:7}:job:J", s.Of("job", "J"))
	require.Equal(t, "{fleet:7}:road", s.Of("road"))
}

func TestPartitions(t *testing.T) {
	ps := Partitions{Fleet: "f", Count: 5}
	require.NoError(t, ps.Check())
	require.Equal(t, []int{0, 1, 2, 3, 4}, ps.All())
	hit := map[int]int{}
	for i := range 1000 {
		owner := fmt.Sprintf("owner-%d", i)
		p := ps.Of(owner)
		require.Equal(t, p, ps.Of(owner), "an owner stays where it is")
		hit[p]++
	}
	for p := range 5 {
		require.Greater(t, hit[p], 100, "owners spread")
	}
	// Written down, because changing it would lose every job of a running fleet.
	require.Equal(t, 0, ps.Of("ann"))
	require.Equal(t, 4, ps.Of("bob"))

	for _, p := range ps.All() {
		id, err := ps.NewID(p)
		require.NoError(t, err)
		_, err = job.ParseID(string(id))
		require.NoError(t, err)
		require.Equal(t, p, id.Partition())
		slot, err := ps.SlotOf(id)
		require.NoError(t, err)
		require.Equal(t, ps.Slot(p), slot)
	}
	for _, id := range []job.ID{"", "x", "0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e05", "0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0eff"} {
		_, err := ps.SlotOf(id)
		require.ErrorIs(t, err, ErrNoPartition, string(id))
	}
	_, err := ps.NewID(256)
	require.Error(t, err)
}
