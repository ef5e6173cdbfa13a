package job_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// A record that is read is a job: with an id, an owner, a state, and numbers
// that a worker may rely on. Anything else is an error that says so.
func FuzzWhatIsReadFromARecordIsAJob(f *testing.F) {
	for _, change := range []func(map[string]string){
		func(map[string]string) {},
		func(r map[string]string) { delete(r, "owner") },
		func(r map[string]string) { r["state"] = "killing" },
		func(r map[string]string) { r["seq"] = "-1" },
		func(r map[string]string) { r["budget"] = "1e9" },
		func(r map[string]string) { r["labels"] = `{"a":{"b":1}}` },
		func(r map[string]string) { r["created_at"] = "99999999999999999999" },
	} {
		r := record()
		change(r)
		raw, err := json.Marshal(r)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var fields map[string]string
		if json.Unmarshal(raw, &fields) != nil {
			return
		}
		j, err := job.FromFields(fields)
		if len(fields) == 0 {
			require.ErrorIs(t, err, job.ErrUnknown)
			return
		}
		if err != nil {
			require.ErrorIs(t, err, job.ErrBadRecord)
			require.Empty(t, j)
			return
		}
		_, err = job.ParseID(string(j.ID))
		require.NoError(t, err)
		require.NotEmpty(t, j.Owner)
		require.Contains(t, job.States(), j.State)
	})
}

func FuzzACanaryIsUnderstoodOrRefused(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"steps":3,"step_ms":10,"checkpoint":true,"events":true}`, `{"calls_per_step":1,"call_url":"http://127.0.0.1:1/x","call_micro_usd":5}`,
		`{"steps":1,"steps":2}`, `{"Steps":1}`, `{"fail":"panic","fail_at":2}`, `{"park_at":1,"deaf_ms":3600001}`, `{"steps":1e3}`, `{} {}`, `{"call_url":"http://u:p@h/"}`, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := job.ParseCanary(data)
		if err != nil {
			require.ErrorIs(t, err, job.ErrBadCanary)
			require.Empty(t, c)
			return
		}
		require.True(t, json.Valid(data))
		require.Positive(t, c.Steps)
		require.LessOrEqual(t, c.Steps, job.MaxCanarySteps)
		require.LessOrEqual(t, max(c.FailAt, c.ParkAt), c.Steps)
		require.GreaterOrEqual(t, int64(c.Cost), int64(0))
		require.False(t, c.Step < 0 || c.Deaf < 0 || c.Calls < 0)
	})
}
