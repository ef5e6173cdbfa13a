package stream_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// A list leaves out what is long and what only the job's own page shows, and
// nothing else: a field that is missing would read as "no".
func TestAListSaysOfAJobWhatItsRecordSays(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	done, err := s.Submit(t.Context(), submission("listed"))
	require.NoError(t, err)
	record := map[string]any{
		"state": "killed", "worker": "w1", "epoch": "3.abc", "attempts": 1, "grants": 3, "checkpoint": 12, "timeout": 90000, "reserved": 5, "spent": 413200,
		"spent_at_order": 400000, "order": string(done.ID), "order_at": 1764000000000001, "order_by": "root", "order_reason": "loud", "outcome": "killed",
		"cause": "killed", "error": "gone", "killed_by": "root", "kill_reason": "loud", "verdict": "stopped", "killed_at": 1764000000000001,
		"allow_resume": 1, "questions": `["why?"]`, "park_reason": "input", "short_of": "owner", "blocked_by": string(done.ID),
		"resumed_from": string(done.ID), "resumed_seq": 4, "granted_at": 1764000000000002, "due_at": 1764000000000003, "ended_at": 1764000000000004,
		"answers": `["so"]`, "result": `{"a":1}`, "late_result": `{"a":2}`, "trace": "00-x", "returned_at": 1764000000000005,
		"delivered_at": 1764000000000005, "cancelled_at": 1764000000000005, "transcript_full": 1,
	}
	require.NoError(t, s.server.Client(t).HSet(t.Context(), s.ps.Slot(0).Of("job", string(done.ID)), record).Err())
	want, err := s.Job(t.Context(), done.ID)
	require.NoError(t, err)
	require.True(t, want.AllowResume && want.TranscriptFull && len(want.Answers) > 0 && !want.ReturnedAt.IsZero(), "the whole record was read")

	want.Input, want.Result, want.LateResult, want.Answers = []byte{}, []byte{}, []byte{}, []byte{}
	want.Trace, want.TranscriptFull = "", false
	want.DeliveredAt, want.CancelledAt, want.ReturnedAt = time.Time{}, time.Time{}, time.Time{}
	page, err := s.List(t.Context(), job.Query{Owner: want.Owner, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []job.Job{want}, page.Jobs)
}
