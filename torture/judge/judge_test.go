package judge

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/torture/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	jobA = "00000000-0000-7000-8000-0000000000a0"
	jobB = "00000000-0000-7000-8000-0000000000b0"
)

// world is a run that keeps every promise: A was granted twice and succeeded, B
// was killed as it ran. Times are µs.
type world struct {
	events []history.Event
	dump   history.Dump
	dir    string
	act    uint64

	replicated bool
	lost       map[string]int // as it was counted
}

func (w *world) add(at int64, e history.Event) {
	e.Mono, e.Wall, e.Proc = at*1000, at, "p"
	w.events = append(w.events, e)
}

// did is an act and its answer.
func (w *world) did(from, to int64, e history.Event, result any) {
	w.act++
	e.Act, e.Type = w.act, history.Invoke
	w.add(from, e)
	raw, _ := json.Marshal(result)
	e.Type, e.Result = history.OK, raw
	w.add(to, e)
}

func hash(pairs ...string) history.Value {
	v := history.Value{Type: "hash", Hash: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		v.Hash[pairs[i]] = pairs[i+1]
	}
	return v
}

func (w *world) stream(key string, entries ...map[string]string) {
	v := history.Value{Type: "stream"}
	for i, f := range entries {
		v.Stream = append(v.Stream, history.Entry{ID: fmt.Sprintf("1-%d", i), Fields: f})
	}
	w.dump[key] = v
}

func ev(kind string, at int, data string) map[string]string {
	return map[string]string{"type": kind, "at": fmt.Sprint(at), "data": data}
}

const (
	ms  = 1000
	sec = 1000 * ms
)

func good(t *testing.T) *world {
	w := &world{dump: history.Dump{}, dir: t.TempDir()}
	input := `{"checkpoint":true,"events":true}`
	submit := func(at int64, id, name string) {
		w.did(at, at+ms, history.Event{Op: "submit", Idem: name, Args: json.RawMessage(`{"labels":{"submit":"` + name + `"}}`)}, map[string]any{"id": id, "created": true})
	}
	submit(1*sec, jobA, "a-1")
	submit(1*sec+10, jobB, "b-1")
	w.dump["{f:0}:job:"+jobA] = hash("owner", "ann", "seq", "1", "state", "succeeded", "outcome", "succeeded", "labels", `{"submit":"a-1"}`,
		"created_at", "1000500", "ended_at", "6000000", "grants", "2", "spent", "7", "budget", "100", "reserved", "0", "input", input)
	w.stream("{f:0}:events:"+jobA, ev("job.queued", 1000500, "{}"), ev("job.started", 2*sec, `{"worker":"w1","epoch":"1.x","attempt":1}`),
		ev("step.done", 2*sec+1, `{"step":1}`), ev("job.released", 3*sec, `{}`), ev("job.started", 4*sec, `{"worker":"w2","epoch":"2.x","attempt":1}`),
		ev("step.done", 5*sec, `{"step":2}`), ev("job.succeeded", 6*sec, `{}`))
	w.dump["{f:0}:checkpoints:"+jobA] = hash("2", "sum step_2 5000000 2\n{}")
	w.dump["{f:0}:calls:"+jobA] = hash("s1-c1@1.x#0", "7 settled canary")
	w.did(2*sec+ms, 2*sec+2*ms, history.Event{Op: "call", Job: jobA, Worker: "w1", Status: 200, Args: json.RawMessage(`{"call":"s1-c1"}`)}, nil)

	w.dump["{f:0}:job:"+jobB] = hash("owner", "bob", "seq", "2", "state", "killed", "outcome", "killed", "labels", `{"submit":"b-1"}`, "order", "o1", "verdict", "stopped",
		"created_at", "1000600", "ended_at", "5100000", "grants", "1", "spent", "3", "budget", "100", "reserved", "0", "input", "{}")
	w.stream("{f:0}:events:"+jobB, ev("job.queued", 1000600, "{}"), ev("job.started", 2*sec, `{"worker":"w1","epoch":"1.y","attempt":1}`),
		ev("job.killing", 5*sec, `{"order":"o1"}`), ev("job.killed", 5*sec+100*ms, `{"order":"o1"}`))
	w.dump["{f:0}:calls:"+jobB] = hash("s1-c1@1.y#0", "3 aborted canary")
	w.act++
	call := history.Event{Act: w.act, Type: history.Invoke, Op: "call", Job: jobB, Worker: "w1", Args: json.RawMessage(`{"call":"s1-c1"}`)}
	w.add(4*sec, call)
	call.Type = history.Info
	w.add(5*sec+50*ms, call)
	w.dump["{f:0}:order:o1"] = hash("id", "o1", "scope", "job", "job", jobB, "owner", "bob", "at", "5000000", "quiesced_at", "5200000")
	w.dump["{f:0}:tally:o1"] = hash("targeted", "1", "waiting", "0", "stopped", "1")
	receipt := map[string]any{"order": "o1", "verdict": "waiting", "stage": "accepted", "scope": map[string]any{"kind": "job"}, "tally": map[string]any{"targeted": 1, "waiting": 1}}
	w.did(5*sec-ms, 5*sec+ms, history.Event{Op: "kill", Job: jobB, Idem: "k-1", Reason: "torture k-1"}, receipt)
	w.did(5*sec+300*ms, 5*sec+301*ms, history.Event{Op: "read", Job: jobB}, map[string]any{"state": "killed"})
	w.did(4*sec+300*ms, 4*sec+301*ms, history.Event{Op: "read", Job: jobA}, map[string]any{"state": "running"})
	w.dump["{f:0}:over"] = history.Value{Type: "zset", Scores: map[string]string{jobA: "6000000", jobB: "5100000"}}
	w.dump["{f:0}:alive"] = hash("running", "0")
	w.stream("{f:0}:audit", map[string]string{"n": "1", "at": "5000000", "act": "kill", "decision": "allowed", "rule": "", "who": `{"subject":"bob"}`, "reason": "torture k-1", "order": "o1", "verdict": "waiting"})
	return w
}

func (w *world) judge(t *testing.T) []string {
	t.Helper()
	c := newCase(Terms{Fleet: "f", Partitions: 1, Permit: 250 * time.Millisecond, Trust: time.Second, Take: 2 * time.Second, Leave: 5 * time.Second, Slack: 100 * time.Millisecond, Slots: 4, Replicated: w.replicated}, w.events, w.dump, []string{w.seal(t)})
	broken := map[string]bool{}
	for _, b := range c.Judge() {
		t.Log(b.Checker, b.Text)
		broken[b.Checker] = true
	}
	w.lost = c.Figures.Lost
	return slices.Sorted(maps.Keys(broken))
}

// seal exports the audit with its chain, but for a head that is signed.
func (w *world) seal(t *testing.T) string {
	t.Helper()
	name := filepath.Join(w.dir, "audit.jsonl")
	prev := genesis("f", 0)
	var out []byte
	for i, e := range w.dump["{f:0}:audit"].Stream {
		l := sealed{Type: "entry", Fleet: "f", N: uint64(i + 1), ID: e.ID, Fields: e.Fields}
		prev = linked(prev, l)
		l.Hash = hex.EncodeToString([]byte(prev))
		for _, l := range []sealed{l, head(l)} {
			line, err := json.Marshal(l)
			require.NoError(t, err)
			out = append(append(out, line...), '\n')
		}
	}
	require.NoError(t, os.WriteFile(name, out, 0o600))
	return name
}

func TestARunThatKeepsEveryPromiseIsAcquitted(t *testing.T) {
	require.Empty(t, good(t).judge(t))
}

func (w *world) set(key, field, value string) { w.dump[key].Hash[field] = value }

func (w *world) log(key string, e map[string]string) {
	v := w.dump[key]
	v.Stream = append(v.Stream, history.Entry{ID: fmt.Sprintf("1-%d", len(v.Stream)), Fields: e})
	w.dump[key] = v
}

func (w *world) calls(at, end int64, job, worker, id string) {
	w.did(at, end, history.Event{Op: "call", Job: job, Worker: worker, Status: 500, Args: json.RawMessage(`{"call":"` + id + `"}`)}, nil)
}

// TestEachBrokenPromiseIsSeenByItsChecker breaks the run in one place at a time.
func TestEachBrokenPromiseIsSeenByItsChecker(t *testing.T) {
	a, b := "{f:0}:job:"+jobA, "{f:0}:job:"+jobB
	for name, c := range map[string]struct {
		checker string
		spoil   func(*world)
	}{
		"a job is lost":    {"conservation", func(w *world) { delete(w.dump, a); delete(w.dump["{f:0}:over"].Scores, jobA) }},
		"a job never ends": {"conservation", func(w *world) { w.set(a, "state", "running") }},
		"a job is in two places": {"conservation", func(w *world) {
			w.dump["{f:0}:live"] = history.Value{Type: "zset", Scores: map[string]string{jobA: "1"}}
		}},
		"nobody's job": {"conservation", func(w *world) { w.set(a, "labels", `{"submit":"z-9"}`) }},
		"a key gave two jobs": {"idempotency", func(w *world) {
			w.did(2*sec, 3*sec, history.Event{Op: "submit", Idem: "a-1", Args: json.RawMessage(`{"labels":{"submit":"a-1"}}`)}, map[string]any{"id": jobB})
		}},
		"a key took two bodies": {"idempotency", func(w *world) {
			w.did(2*sec, 3*sec, history.Event{Op: "submit", Idem: "a-1", Args: json.RawMessage(`{"labels":{"submit":"b-1"}}`)}, map[string]any{"id": jobA})
		}},
		"created twice": {"idempotency", func(w *world) {
			w.did(2*sec, 3*sec, history.Event{Op: "submit", Idem: "a-1", Args: json.RawMessage(`{"labels":{"submit":"a-1"}}`)}, map[string]any{"id": jobA, "created": true})
		}},
		"over twice":             {"moves", func(w *world) { w.log("{f:0}:events:"+jobA, ev("job.failed", 7*sec, "{}")) }},
		"an event after the end": {"moves", func(w *world) { w.log("{f:0}:events:"+jobB, ev("step.done", 7*sec, `{"step":1}`)) }},
		"two claims at once":     {"claims", func(w *world) { w.dump["{f:0}:events:"+jobA].Stream[3].Fields["type"] = "step.none" }},
		"an epoch comes back": {"claims", func(w *world) {
			w.dump["{f:0}:events:"+jobA].Stream[4].Fields["data"] = `{"worker":"w2","epoch":"1.z","attempt":1}`
		}},
		"a drain counts": {"claims", func(w *world) {
			w.dump["{f:0}:events:"+jobA].Stream[4].Fields["data"] = `{"worker":"w2","epoch":"2.x","attempt":2}`
		}},
		"a call by another":         {"single", func(w *world) { w.calls(2*sec+500*ms, 2*sec+501*ms, jobA, "w3", "s1-c2") }},
		"a call outlives its claim": {"single", func(w *world) { w.calls(2*sec+500*ms, 4*sec+500*ms, jobA, "w1", "s1-c2") }},
		"it ended otherwise": {"killed", func(w *world) {
			w.set(b, "state", "succeeded")
			w.set(b, "outcome", "succeeded")
			w.dump["{f:0}:events:"+jobB].Stream[3].Fields["type"] = "job.succeeded"
		}},
		"it started again":      {"killed", func(w *world) { w.dump["{f:0}:events:"+jobB].Stream[1].Fields["at"] = "5000001" }},
		"killed by no order":    {"killed", func(w *world) { w.set(b, "order", "o9") }},
		"a call too late":       {"bound", func(w *world) { w.calls(5*sec+400*ms, 5*sec+401*ms, jobB, "w1", "s1-c2") }},
		"a call not cut":        {"cut", func(w *world) { w.calls(4*sec+400*ms, 6*sec+400*ms, jobB, "w1", "s1-c2") }},
		"a call after the end":  {"confirmed", func(w *world) { w.calls(8*sec, 8*sec+1, jobB, "w1", "s1-c2") }},
		"started while frozen":  {"freeze", func(w *world) { w.act0(t, "freeze", 3*sec+500*ms); w.act0(t, "thaw", 4*sec+500*ms) }},
		"admitted while frozen": {"freeze", func(w *world) { w.act0(t, "kill-fleet", 1*sec) }},
		"a receipt of nothing":  {"receipts", func(w *world) { w.shown(map[string]any{"targeted": 2, "waiting": 1}, "accepted") }},
		"a tally that is wrong": {"receipts", func(w *world) { w.set("{f:0}:tally:o1", "stopped", "2") }},
		"for ever waiting":      {"receipts", func(w *world) { w.set("{f:0}:tally:o1", "waiting", "1") }},
		"seen alive again": {"register", func(w *world) {
			w.did(6*sec, 6*sec+1, history.Event{Op: "read", Job: jobB}, map[string]any{"state": "running"})
		}},
		"an outcome that changes": {"register", func(w *world) {
			w.did(7*sec, 7*sec+1, history.Event{Op: "read", Job: jobA}, map[string]any{"state": "succeeded"})
			w.did(8*sec, 8*sec+1, history.Event{Op: "read", Job: jobA}, map[string]any{"state": "failed"})
		}},
		"a checkpoint of nobody":         {"checkpoints", func(w *world) { w.set("{f:0}:checkpoints:"+jobA, "2", "sum step_2 3500000 1\n{}") }},
		"a checkpoint of another's work": {"checkpoints", func(w *world) { w.set("{f:0}:checkpoints:"+jobA, "2", "sum step_2 4500000 2\n{}") }},
		"a checkpoint of no work":        {"checkpoints", func(w *world) { w.set("{f:0}:checkpoints:"+jobA, "2", "sum step_3 5500000 2\n{}") }},
		"a step is left out":             {"checkpoints", func(w *world) { w.dump["{f:0}:events:"+jobA].Stream[5].Fields["data"] = `{"step":4}` }},
		"an act without entry":           {"audit", func(w *world) { w.did(6*sec, 6*sec+1, history.Event{Op: "freeze", Reason: "torture f-1"}, nil) }},
		"an entry without act":           {"audit", func(w *world) { w.entry(6*sec, "2", "freeze", "torture f-2") }},
		"a gap in the numbers":           {"audit", func(w *world) { w.entry(6*sec, "3", "freeze", "otherwise") }},
		"an order entered twice":         {"audit", func(w *world) { w.dump["{f:0}:audit"].Stream[0].Fields["order"] = "o2" }},
		"spent and not booked":           {"money", func(w *world) { w.set(a, "spent", "8") }},
		"settled and not seen":           {"money", func(w *world) { w.set("{f:0}:calls:"+jobA, "s1-c1@2.x#0", "7 settled canary"); w.set(a, "spent", "14") }},
		"seen and not booked":            {"money", func(w *world) { delete(w.dump, "{f:0}:calls:"+jobA); w.set(a, "spent", "0") }},
		"over budget":                    {"money", func(w *world) { w.set(a, "budget", "6") }},
		"a lease is left": {"residue", func(w *world) {
			w.dump["{f:0}:leases"] = history.Value{Type: "zset", Scores: map[string]string{"x": "1"}}
		}},
		"a counter is off":       {"residue", func(w *world) { w.set("{f:0}:alive", "queued", "-1") }},
		"a drain takes for ever": {"exits", func(w *world) { w.note("left", `{"code":0,"ended":true,"calm":true,"ns":60000000000}`) }},
		"a drain fails":          {"exits", func(w *world) { w.note("left", `{"code":1,"ended":true,"calm":true,"ns":60000000}`) }},
		"a panic":                {"exits", func(w *world) { w.note("ended", `{"code":2}`) }},
		"an internal error":      {"answers", func(w *world) { w.did(6*sec, 6*sec+1, history.Event{Op: "read", Status: 500}, nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.spoil(w)
			slices.SortStableFunc(w.events, func(a, b history.Event) int { return int(a.Mono - b.Mono) })
			require.Contains(t, w.judge(t), c.checker)
		})
	}
}

func (w *world) note(op, args string) {
	w.add(6*sec, history.Event{Type: history.Note, Op: op, Worker: "w1", Args: json.RawMessage(args)})
}

func (w *world) shown(tally map[string]any, stage string) {
	w.did(6*sec, 6*sec+1, history.Event{Op: "receipt", Order: "o1"}, map[string]any{"order": "o1", "stage": stage, "tally": tally})
}

func (w *world) entry(at int, n, act, reason string) {
	w.log("{f:0}:audit", map[string]string{"n": n, "at": fmt.Sprint(at), "act": act, "decision": "allowed", "rule": "", "who": `{"subject":"x"}`, "reason": reason, "freeze": "1"})
}

// act0 is an entry of an act on the gate.
func (w *world) act0(t *testing.T, act string, at int) {
	t.Helper()
	w.entry(at, fmt.Sprint(len(w.dump["{f:0}:audit"].Stream)+1), act, "")
}

// What a process lets out as it wakes from a pause is counted and forgiven.
func TestACallAtWakingIsForgiven(t *testing.T) {
	w := good(t)
	w.note2(4*sec+900*ms, "stopped")
	w.note2(8*sec, "continued")
	w.calls(8*sec+ms, 8*sec+2*ms, jobB, "w1", "s1-c2")
	require.Empty(t, w.judge(t))
}

func (w *world) note2(at int64, op string) {
	w.add(at, history.Event{Type: history.Note, Op: op, Worker: "w1"})
}

// Who had hung up before the witness could look whose call it was is not said to
// have gone on until the witness was done.
func TestACallOfWhomTheWitnessDidNotSeeHasEnded(t *testing.T) {
	w := good(t)
	w.calls(2*sec+500*ms, 4*sec+500*ms, jobA, "w1", "s1-c2")
	require.Equal(t, []string{"single"}, w.judge(t))
	w = good(t)
	w.calls(2*sec+500*ms, 4*sec+500*ms, jobA, "", "s1-c2")
	require.Empty(t, w.judge(t))
}

// A stall of the machine gives as much slack as it lasted, and again.
func TestAStallOfTheMachineIsForgiven(t *testing.T) {
	w := good(t)
	w.calls(5*sec+400*ms, 5*sec+401*ms, jobB, "w1", "s1-c2")
	require.Equal(t, []string{"bound", "confirmed", "single"}, w.judge(t))
	w.add(5*sec+390*ms, history.Event{Type: history.Note, Op: "stall", Args: json.RawMessage(`{"ns":300000000}`)})
	require.Empty(t, w.judge(t))
}
