package canary

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func FuzzACanaryGoesOnFromAStateOfItsOwn(f *testing.F) {
	for _, s := range []string{`{"step":3}`, `{"step":-1}`, `{}`, `null`, `[]`, `{"step":1e9}`, `{"step":"1"}`, ``} {
		f.Add([]byte(s), uint64(4))
	}
	f.Fuzz(func(t *testing.T, data []byte, seq uint64) {
		r := &run{}
		if err := r.resume(&job.Checkpoint{Seq: seq, Data: data}); err != nil {
			require.ErrorContains(t, err, "submit the job anew")
			require.Zero(t, r.seq)
			return
		}
		require.Equal(t, seq, r.seq)
		require.GreaterOrEqual(t, r.state.Step, 0)
	})
}
