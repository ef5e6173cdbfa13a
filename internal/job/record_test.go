package job_test

import (
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// record is a whole one, as scripts write it.
func record() map[string]string {
	return map[string]string{
		"id": anID, "owner": "ann", "submitter": "svc", "kind": "talk", "labels": `{"team":"red"}`, "input": `{"q":1}`,
		"state": "killed", "seq": "9007199254740993", "worker": "w1", "epoch": "3.abc", "attempts": "1", "max_attempts": "3",
		"grants": "3", "checkpoint": "12", "timeout": "90000", "budget": "5000000", "reserved": "0", "spent": "413200",
		"spent_at_order": "400000", "order": "0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0f07", "order_at": "1764000000000001",
		"order_by": "root", "order_reason": "loud", "outcome": "killed", "cause": "killed", "late_result": `{"a":1}`,
		"error": "gone", "killed_by": "root", "kill_reason": "loud", "verdict": "stopped", "created_at": "1764000000000000",
		"killed_at": "1764000000000001", "returned_at": "", "questions": `["why?"]`, "answers": `["so"]`, "park_reason": "",
		"blocked_by": "", "a_newer_build": "knows more",
	}
}

func TestARecordIsReadWhole(t *testing.T) {
	j, err := job.FromFields(record())
	require.NoError(t, err)
	require.Equal(t, job.ID(anID), j.ID)
	require.Equal(t, "ann", j.Owner)
	require.Equal(t, "svc", j.Submitter)
	require.Equal(t, map[string]string{"team": "red"}, j.Labels)
	require.Equal(t, job.Killed, j.State)
	require.Equal(t, uint64(9007199254740993), j.Seq, "no float in between")
	require.Equal(t, job.Claim{Worker: "w1", Epoch: "3.abc"}, j.Claim)
	require.Equal(t, 90*time.Second, j.Timeout)
	require.Equal(t, uint64(12), j.Checkpoint)
	require.Equal(t, job.MicroUSD(413_200), j.Spent)
	require.Equal(t, job.MicroUSD(400_000), j.SpentAtOrder)
	require.Equal(t, job.OrderMark{Actor: "root", Reason: "loud", At: time.UnixMicro(1764000000000001).UTC()}, j.OrderMark)
	require.Equal(t, job.Stopped, j.Verdict)
	require.JSONEq(t, `{"a":1}`, string(j.LateResult))
	require.Equal(t, time.UnixMicro(1764000000000000).UTC(), j.CreatedAt)
	require.True(t, j.ReturnedAt.IsZero(), "what did not happen has no time")
	require.True(t, j.DueAt.IsZero())
}

func TestTheLeastThatIsAJob(t *testing.T) {
	j, err := job.FromFields(map[string]string{"id": anID, "owner": "ann", "state": "queued", "seq": "1"})
	require.NoError(t, err)
	require.Equal(t, uint64(1), j.Seq)
	require.Equal(t, job.Queued, j.State)
	require.Nil(t, j.Labels)
	require.Empty(t, j.Order)
}

func TestARecordThatIsNoJobSaysWhichField(t *testing.T) {
	_, err := job.FromFields(nil)
	require.ErrorIs(t, err, job.ErrUnknown)
	for field, values := range map[string][]string{
		"id": {"", "J1", "{x}"}, "owner": {""}, "state": {"", "done", "killing", "QUEUED"},
		"seq":      {"x", "-1", "1.5", "1e3", "99999999999999999999"},
		"attempts": {"many"}, "max_attempts": {"1.0"}, "checkpoint": {"-3"}, "budget": {"0.1"}, "spent": {"NaN"},
		"labels": {"{", "[]", `{"a":1}`}, "order": {"O1"}, "blocked_by": {"x"}, "created_at": {"yesterday", "253402300800000000"},
	} {
		for _, v := range values {
			f := maps.Clone(record())
			f[field] = v
			_, err := job.FromFields(f)
			require.ErrorIs(t, err, job.ErrBadRecord, "%s=%q", field, v)
			require.ErrorContains(t, err, "field "+field, "%s=%q", field, v)
		}
	}
}
