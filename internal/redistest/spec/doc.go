// Package spec runs the specifications of Lua scripts. It is the test of every
// room that has scripts, and of the embedded Redis against the real one.
//
// A room's test is one line, in the room's folder:
//
//	func TestScripts(t *testing.T) { spec.Run(t) }
//
// It is not a language to program in: no loops, no conditions. What does not
// fit is a Go test.
//
// # A specification
//
// lua/finish.lua is specified by testdata/finish.txtar. Each section is a case:
//
//	-- its claim ends a job --
//	given
//	  HSET job(J1) state running owner ann seq 7 worker w1 epoch 1.a
//	  ZADD leases 4 J1
//	when finish id=J1 worker=w1 epoch=1.a outcome=succeeded result='{"a": 1}'
//	want over succeeded
//	  HGET job(J1) state => succeeded
//	  ZCARD leases => 0
//	  HGET job(J1) ended_at ~ ^[0-9]{16}$
//	when again
//	want over succeeded
//
// A section called "given" holds commands that come before each case's own, one
// called "args" arguments that calls need not repeat.
//
// Commands name keys as the key table does: leases, job(J1), owned(ann). They
// are keys of a fresh fleet's partition 0.
//
// A call names its arguments; one it does not name is empty. A last argument
// that takes the rest is split at spaces. The keys of a job, owner, order,
// worker or idem are those of the argument of that name (for a job or order also
// id), or of @job=…, @owner=… and so on. Any script of the house may be called.
//
// A reply is written as words; [a b] is an array, {a b} an array of names and
// values with at least these, * any value, ... whatever follows, /re/ a regular
// expression, (nil) nil. want (error) text expects a failure. A reply goes on
// over lines that begin with a bracket, or while one is open.
//
// let x = HGET job(J1) entry keeps a value, in given or want; $x is its use.
// $run_id is the server's. A word in single quotes is taken as it stands.
//
// # What every case is held to
//
// Beyond what it says: keys are those of the table, with the table's types; a
// script changes only what its header names under KEYS and MAKES, and moves jobs
// only as its first line says; and over all cases of a script each reply word of
// its header occurs.
//
// # Both profiles
//
// Each case runs on a real Redis and on the embedded one, so that the demo's
// Redis is held to the same specifications.
//
// # Files
//
//	spec.go     Run, and what all cases together must cover
//	parse.go    a file's cases
//	words.go    a line's words
//	pattern.go  what a reply is compared with
//	call.go     running one case
//	keys.go     keys by their names in the table, and what became of them
package spec
