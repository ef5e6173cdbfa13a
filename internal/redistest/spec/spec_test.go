package spec

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestRunPlaysEveryCaseOfARoom(t *testing.T) { run(t, filepath.Join("testdata", "room")) }

// play runs one specification of the test room's scripts.
func play(t *testing.T, text string) error {
	t.Helper()
	f, err := parse("a.txtar", []byte(text))
	if err != nil {
		return err
	}
	b := newBench(t, rediskit.Server, redistest.Start(t).URL(), map[string]bool{})
	b.scripts, b.args = loader(filepath.Join("testdata", "room")), f.args
	for _, s := range f.cases {
		if err := b.play(t.Context(), f, s); err != nil {
			return err
		}
	}
	return nil
}

func TestASpecificationThatIsNotMetSaysWhereAndHow(t *testing.T) {
	t.Parallel()
	const queued = "-- c --\ngiven\n HSET job(J1) state queued\n"
	const taken = queued + "when take id=J1\nwant taken ...\n"
	for name, c := range map[string]struct{ text, want string }{
		"other word":      {queued + "when take id=J1\nwant none", `a.txtar:4: take answered [taken J1`},
		"too short":       {queued + "when take id=J1\nwant taken J1", "want 2 values"},
		"too long":        {queued + "when take id=J2\nwant none J1", "want at least 2 values"},
		"nested":          {queued + "when take id=J1 worker=w\nwant taken J1 [state *\n owner *] ...", `value 3: value 3: want "owner", have worker`},
		"field":           {queued + "when take id=J1\nwant taken J1 {state queued} ...", `state: want "queued", have running`},
		"field missing":   {queued + "when take id=J1\nwant taken J1 {nope *} ...", "name 1 of {} is missing"},
		"not an array":    {queued + "when take id=J1\nwant taken [J1] ...", "want an array, have J1"},
		"not that text":   {queued + "when take id=J1\nwant taken /^K/ ...", "want what matches ^K, have J1"},
		"read":            {taken + " HGET job(J1) state => queued", `a.txtar:6: HGET`},
		"read not nil":    {taken + " HGET job(J1) state => (nil)", "want nil, have running"},
		"read nil":        {taken + " HGET job(J1) nope => running", `want "running", have (nil)`},
		"read regexp":     {taken + " HGET job(J1) state ~ ^q", "want what matches ^q, have running"},
		"read fails":      {taken + " GET job(J1) => x", "WRONGTYPE"},
		"no such key":     {taken + " GET nokey => x", `no key "nokey" in the table`},
		"no such owner":   {taken + " GET beat(J1) => x", "belongs to no J1"},
		"whose":           {taken + " HGET job state => x", "needs the job"},
		"variable":        {taken + " HGET job(J1) state => $s", "$s was never let"},
		"let":             {taken + " let s = HGETALL job(J1)", "no single value"},
		"argument":        {queued + "when take id=J1 wroker=w\nwant taken ...", "no argument wroker"},
		"script":          {queued + "when grab id=J1\nwant taken ...", "no room of the house has a script grab"},
		"again":           {queued + "when again\nwant taken ...", "nothing was called yet"},
		"no error":        {queued + "when take id=J1\nwant (error) WRONGTYPE", `want an error with "WRONGTYPE", have taken`},
		"error":           {"-- c --\ngiven\n SET job(J1) x\nwhen take id=J1\nwant none", "WRONGTYPE"},
		"other error":     {"-- c --\ngiven\n SET job(J1) x\nwhen take id=J1\nwant (error) NOPE", `want an error with "NOPE"`},
		"given for all":   {"-- given --\n SET beat 1 => x\n" + taken, "a.txtar:2: SET"},
		"reads changed":   {"-- c --\nwhen reads\nwant done", "the script changed beat"},
		"key not in list": {"-- c --\nwhen stranger\nwant done", "not in the table"},
		"wrong move":      {queued + "when jump @job=J1\nwant done", `from "queued" to "killed"`},
		"no such start":   {"-- c --\nwhen jump @job=J1\nwant done", `from "" to "killed"`},
		"wrong type":      {"-- c --\nwhen kind\nwant done", "made leases a string; the table says zset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, play(t, c.text), c.want)
		})
	}
	require.NoError(t, play(t, taken))
	require.NoError(t, play(t, "-- c --\ngiven\n SET job(J1) x\nwhen take id=J1\nwant (error) WRONGTYPE"))
}

func TestASpecificationThatCannotBeReadSaysSo(t *testing.T) {
	t.Parallel()
	const call = "-- c --\nwhen take id=J1\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {"only words", "no case"},
		"no call":          {"-- c --\ngiven\n SET beat 1", "has no when"},
		"no want":          {call, "when without want"},
		"want first":       {"-- c --\nwant none", "want without when"},
		"want twice":       {call + "want none\nwant none", "want without when"},
		"want nothing":     {call + "want", "want what?"},
		"want any error":   {call + "want (error)", "needs a part of its text"},
		"stray":            {call + " SET beat 1", "under neither given nor want"},
		"given and more":   {"-- c --\ngiven SET beat 1", "stands alone"},
		"when what":        {"-- c --\nwhen", "when what?"},
		"no value":         {"-- c --\nwhen take J1\nwant none", "not name=value"},
		"twice":            {"-- c --\nwhen take id=1 id=2\nwant none", "id is given twice"},
		"no answer":        {call + "want none\n GET beat", "says what it answers"},
		"two answers":      {call + "want none\n GET beat => a b", "want one value"},
		"open":             {call + "want none [a", `no "]" closes`},
		"closed":           {call + "want none ]", `"]" closes nothing`},
		"odd":              {call + "want none {a}", "has no value"},
		"quote":            {call + "want 'none", "single quote is not closed"},
		"double quote":     {call + `want "none`, "double quote is not closed"},
		"regexp":           {call + "want none\n GET beat ~ (", "missing closing"},
		"let":              {call + "want none\n let x GET beat", "let name = command"},
		"call in given":    {"-- given --\nwhen take\nwant none\n" + call + "want none", "commands only"},
		"args":             {"-- args --\nid\n" + call + "want none", "not name=value"},
		"line after array": {call + "want none [\n a ]\n stray", "a.txtar:5: a command under want"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse("a.txtar", []byte(c.text))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestARoomMustSpecifyEachScriptAndNothingElse(t *testing.T) {
	t.Parallel()
	_, err := room(filepath.Join("testdata", "other"))
	require.ErrorContains(t, err, "lua/drop.lua has no specification")
	_, err = room(t.TempDir())
	require.ErrorContains(t, err, "no lua/*.lua here")

	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "room"))))
	_, err = room(dir)
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(dir, "lua", "take.lua"), filepath.Join(dir, "lua", "took.lua")))
	_, err = room(dir)
	require.ErrorContains(t, err, "take.txtar specifies no script of this room")
	require.ErrorContains(t, err, "lua/took.lua has no specification")
}

func TestAReplyWordThatNoCaseHearsIsFound(t *testing.T) {
	t.Parallel()
	files, err := room(filepath.Join("testdata", "room"))
	require.NoError(t, err)
	f := files[0]
	heard := map[string]bool{"take taken": true, "drop none": true}
	require.ErrorContains(t, f.covered(len(f.cases), heard), "testdata/take.txtar: no case hears none")
	require.NoError(t, f.covered(len(f.cases)-1, heard), "when only some cases ran")
	heard["take none"] = true
	require.NoError(t, f.covered(len(f.cases), heard))
}
