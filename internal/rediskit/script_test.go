package rediskit

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// good is a script whose header agrees with its body; each case breaks it.
const good = `-- take: queued -> running
-- Anything may be said here.
-- KEYS:    job leases
-- READS:   beat
-- MAKES:   events
-- ARGV:    id more*
-- REPLY:   taken none
local _ = K.leases, K.beat, P.events, A.more
if A.id == '' then return 'none' end
redis.call('HSET', K.job, 'state', 'running')
return { 'taken' }
`

func load(text string) (*Script, error) {
	return Load(fstest.MapFS{"lua/take.lua": {Data: []byte(text)}}, "take")
}

func TestAScriptWhoseHeaderAgreesIsLoaded(t *testing.T) {
	s, err := load(good)
	require.NoError(t, err)
	require.Equal(t, Header{
		Moves: "queued -> running", Keys: []string{"job", "leases"}, Reads: []string{"beat"},
		Makes: []string{"events"}, Args: []string{"id", "more*"}, Replies: []string{"taken", "none"},
	}, s.Header)
	require.Len(t, s.Moves, 1)
}

func TestAHeaderThatDisagreesWithItsBodyIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"another name":            {"-- take:", "-- grab:", `the first line must be "-- take:"`},
		"no header":               {good, "return 'taken'", "the first line must be"},
		"no state":                {"queued -> running", "queued -> done", "no states"},
		"unknown word":            {"-- MAKES:", "-- WRITES:", "unknown header word WRITES"},
		"key not declared":        {"job leases", "leases", "KEYS/READS: the body uses job, the header does not declare it"},
		"key not used":            {"K.leases, ", "", "KEYS/READS: the header declares leases, the body does not use it"},
		"read not declared":       {"READS:   beat", "READS:", "the body uses beat"},
		"read not used":           {"K.beat, ", "", "declares beat"},
		"prefix not declared":     {"MAKES:   events", "MAKES:", "MAKES: the body uses events"},
		"prefix not used":         {"P.events, ", "", "MAKES: the header declares events"},
		"argument not declared":   {"ARGV:    id more*", "ARGV:    more*", "ARGV: the body uses id"},
		"argument not used":       {", A.more", "", "ARGV: the header declares more"},
		"rest in the middle":      {"id more*", "more* id", "only the last argument may take the rest"},
		"reply not declared":      {"taken none", "taken", `the body answers "none"`},
		"array reply undeclared":  {"taken none", "none", `the body answers "taken"`},
		"reply not given":         {"taken none", "taken none lost", `REPLY names "lost"`},
		"no reply":                {"-- REPLY:   taken none\n", "", "REPLY is empty"},
		"no key":                  {"job leases", "", "KEYS is empty"},
		"raw keys":                {"K.job", "KEYS[1]", "the body uses KEYS"},
		"raw arguments":           {"A.id ==", "ARGV[1] ==", "the body uses ARGV"},
		"a fragment nobody knows": {"-- REPLY:", "-- INCLUDE: magic\n-- REPLY:", "fragment magic"},
		"a fragment's key":        {"-- REPLY:", "-- INCLUDE: road\n-- REPLY:", "the body uses"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(replace(t, good, c.old, c.new))
			require.ErrorIs(t, err, ErrScript)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "take")
		})
	}
	_, err := load(strings.ReplaceAll(good, "leases", "secret"))
	require.ErrorContains(t, err, "key secret is not in the key table")
	_, err = load(strings.ReplaceAll(good, "beat", "calls"))
	require.ErrorContains(t, err, "READS: calls is not one per partition")
	_, err = Load(fstest.MapFS{}, "take")
	require.ErrorIs(t, err, ErrScript)
}

func TestNamesBecomePositions(t *testing.T) {
	s, err := load(good)
	require.NoError(t, err)
	const code = "local _ = KEYS[2], ARGV[1] .. 'beat', ARGV[1] .. 'events:', rest(3)\nif ARGV[2] == '' then"
	require.Contains(t, s.Header.bind("local _ = K.leases, K.beat, P.events, A.more\nif A.id == '' then"), code)

	keys, argv, err := s.values(Place{Slot: NewSlot("f", 3), Job: "J1"}, Args{"id": "x"}, []string{"a", "b"})
	require.NoError(t, err)
	require.Equal(t, []string{"{f:3}:job:J1", "{f:3}:leases"}, keys)
	require.Equal(t, []any{"{f:3}:", "x", "a", "b"}, argv)
}

func TestACallThatDoesNotFitTheHeaderIsRefused(t *testing.T) {
	s, err := load(good)
	require.NoError(t, err)
	at := Place{Slot: "{f:0}:", Job: "J1"}
	for name, c := range map[string]struct {
		at   Place
		args Args
		want string
	}{
		"missing":  {at, Args{}, "argument id is missing"},
		"too many": {at, Args{"id": "x", "ix": "y"}, "arguments the header does not name"},
		"no job":   {Place{Slot: "{f:0}:"}, Args{"id": "x"}, "needs the job"},
	} {
		_, _, err := s.values(c.at, c.args, nil)
		require.ErrorContains(t, err, c.want, name)
	}
	plain, err := load(replace(t, replace(t, good, " more*", ""), ", A.more", ""))
	require.NoError(t, err)
	_, _, err = plain.values(at, Args{"id": "x"}, []string{"a"})
	require.ErrorContains(t, err, "arguments the header does not name", "a rest that no name takes")
}

// The embedded Redis knows no #! line; a server must be told the flags by it.
func TestFlagsAreForTheServer(t *testing.T) {
	h := Header{Flags: []string{"allow-oom"}}
	require.Equal(t, "#!lua flags=allow-oom\n", h.shebang(Server))
	require.Equal(t, "#!lua\n", Header{}.shebang(Server), "without it a script is not refused at its start when memory is full")
	require.Empty(t, h.shebang(Embedded))
}

func TestAFragmentIsInlinedOnceAfterWhatItNeeds(t *testing.T) {
	text, err := inline([]string{"over", "record", "count"})
	require.NoError(t, err)
	for _, def := range []string{"local function gate()", "local function moved(", "local function over(", "local function record("} {
		require.Equal(t, 1, strings.Count(text, def), def)
	}
	require.Less(t, strings.Index(text, "local function gate()"), strings.Index(text, "local function moved("))
	require.Less(t, strings.Index(text, "local function moved("), strings.Index(text, "local function over("))
}

// replace changes a text, and fails when there was nothing to change.
func replace(t *testing.T, text, before, after string) string {
	t.Helper()
	require.Contains(t, text, before)
	return strings.Replace(text, before, after, 1)
}
