package judge

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/torture/history"
)

func (w *world) loss(from, to int64) {
	w.add(to, history.Event{Type: history.Note, Op: "loss", Args: json.RawMessage(fmt.Sprintf(`{"from":%d,"to":%d}`, from, to))})
}

// forget takes a job out of all that Redis holds.
func (w *world) forget(id string) {
	for _, kind := range []string{"job", "events", "checkpoints", "calls"} {
		delete(w.dump, "{f:0}:"+kind+":"+id)
	}
	delete(w.dump["{f:0}:over"].Scores, id)
}

func (w *world) judgeAt(t *testing.T, replicated bool) (broken []string, lost map[string]int) {
	t.Helper()
	w.replicated = replicated
	broken = w.judge(t)
	return broken, w.lost
}

// What was answered in the moment before a loss may be gone at local, is counted,
// and may not be gone at replicated.
func TestALostJobIsForgivenOnlyWhereNothingWasPromised(t *testing.T) {
	w := good(t)
	w.forget(jobA)
	w.loss(900*ms, 3*sec)
	broken, lost := w.judgeAt(t, false)
	require.Empty(t, broken)
	require.Equal(t, 1, lost["accepted jobs"])
	broken, _ = w.judgeAt(t, true)
	require.Contains(t, broken, "conservation")
}

// A loss forgives nothing that was answered at another time.
func TestALossForgivesOnlyItsMoment(t *testing.T) {
	w := good(t)
	w.forget(jobA)
	w.loss(20*sec, 21*sec)
	broken, _ := w.judgeAt(t, false)
	require.Contains(t, broken, "conservation")
}

// A kill that was answered is not undone, whatever was lost.
func TestAKillIsNeverForgiven(t *testing.T) {
	w := good(t)
	b := "{f:0}:job:" + jobB
	w.set(b, "state", "succeeded")
	w.set(b, "outcome", "succeeded")
	w.dump["{f:0}:events:"+jobB].Stream[3].Fields["type"] = "job.succeeded"
	w.loss(4*sec, 6*sec)
	broken, _ := w.judgeAt(t, false)
	require.Contains(t, broken, "killed")
}

// An order that was lost, and told to Redis again before anybody was answered, is
// over its jobs from then on.
func TestAnOrderThatIsSaidAgainCountsFromThen(t *testing.T) {
	w := good(t)
	w.set("{f:0}:order:o1", "at", "1500000") // before the job was granted
	broken, _ := w.judgeAt(t, true)
	require.Contains(t, broken, "killed")
	w.dump["{f:0}:audit"].Stream[0].Fields["rule"] = "again"
	w.loss(1*sec, 5*sec)
	broken, _ = w.judgeAt(t, true)
	require.NotContains(t, broken, "killed")
}
