package stream

import (
	"encoding/json"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

// A position that is read lies in a partition of the fleet, below a number.
func FuzzAPositionLiesInTheFleet(f *testing.F) {
	for _, seed := range []string{"", "0.1", "3.18446744073709551615", "4.1", "-1.1", "0.-1", "0.0x10", "0", ".", "0.1.2", "+0.1", "0.18446744073709551616"} {
		f.Add(seed)
	}
	s := &Redis{partitions: rediskit.Partitions{Fleet: "gavel", Count: 4}}
	f.Fuzz(func(t *testing.T, cursor string) {
		p, below, err := s.position(job.Query{Cursor: cursor})
		if err != nil {
			require.ErrorIs(t, err, ErrBadCursor)
			return
		}
		require.Contains(t, s.partitions.All(), p)
		if cursor != "" {
			require.Regexp(t, `^[0-9]{1,20}$`, below, "it goes into a Redis command")
		}
	})
}

// A stored record that is listed has its id, whatever it holds besides.
func FuzzAListedRecordHasItsID(f *testing.F) {
	f.Add("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00", "ann", "queued", "7", `{"a":"b"}`, "")
	f.Add("x", "", "nothing", "-1", `[`, `[{"rule":"horizon","seq":"9","owner":"","order":"x"}]`)
	f.Add("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00", "ann", "running", "7", ``, `[{"rule":"horizon","seq":9}]`)
	f.Fuzz(func(t *testing.T, id, owner, state, seq, labels, rules string) {
		values := make([]any, len(listed))
		for i, name := range listed {
			values[i] = map[string]string{"id": id, "owner": owner, "state": state, "seq": seq, "labels": labels}[name]
		}
		j := decode(id, values, rules)
		if id+owner+state+seq+labels == "" {
			require.Nil(t, j)
			return
		}
		require.Equal(t, job.ID(id), j.ID)
	})
}

// What a job's own events say is not this fleet's word, but whoever reads them
// gets JSON.
func FuzzAnEventIsJSONWhateverWasStored(f *testing.F) {
	f.Add("1-0", "contribution", "admin", "1764000000000000", `{"text":"so"}`)
	f.Add("", "", "", "-1", `{`)
	f.Add("1-0", "a\nb", "x", "99999999999999999999", "")
	f.Fuzz(func(t *testing.T, id, kind, audience, at, data string) {
		for _, m := range []redis.XMessage{
			{ID: id, Values: map[string]any{"type": kind, "audience": audience, "at": at, "data": data}},
			{ID: id, Values: map[string]any{"type": kind, "audience": audience, "data": 7}},
		} {
			e := streamEvent(m)
			require.Equal(t, id, e.ID)
			require.Equal(t, kind, e.Type)
			require.Equal(t, audience, e.Audience, "who may see it is as it was written")
			require.True(t, json.Valid(e.Data))
			require.False(t, !e.At.IsZero() && e.At.Unix() < 0)
			_, err := json.Marshal(job.Transcribed{ID: e.ID, At: e.At, Data: e.Data})
			require.NoError(t, err)
		}
	})
}
