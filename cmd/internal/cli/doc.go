// Package cli is the gavel command: what an operator, an owner or a script asks
// of a fleet, and the fleets of gavel dev and gavel demo.
//
// It is a client: apart from dev, demo, the making of keys, the reading of
// exported files and emergency, everything goes through package client to a
// dispatcher, which alone decides who may do what.
//
// # Exit codes
//
//	0  done as asked
//	1  failed: the job did not succeed, or something broke
//	2  usage: an argument, a file or a variable is wrong; nothing was asked
//	3  refused, or not found (somebody else's looks the same)
//	4  not over yet: the order is in force and not confirmed, the job still runs
//	5  unavailable: no dispatcher, no Redis, or the fleet is frozen; try later
//
// # Output
//
// For people: tables cut to the terminal, colours on a terminal only (NO_COLOR
// turns them off). With --json: one JSON document on standard output, or one
// per line for what is followed; errors are one JSON object on standard error.
//
// # When things fail
//
// Every error says what to do next. A submission whose answer was lost can be
// repeated under the idempotency key that the error names, and is never done
// twice.
//
// # Files
//
//	cli.go       the commands, their flags, one run
//	desk.go      what every command works with
//	config.go    the file that names fleets; which one is asked, with which key
//	login.go     writing it
//	completion.go  what a shell can complete
//	failure.go   errors, hints, exit codes
//	dev.go       gavel dev
//	compare.go   gavel compare
//	modelsim.go  gavel modelsim
//	demo.go      gavel demo
//	submit.go    a problem file becomes a job
//	run.go       run and watch: following a job
//	logs.go      a job's events as lines
//	jobs.go      ps, get, report
//	answer.go    answers to a job that asks its owner
//	checkpoints.go  list and read checkpoints
//	transcript.go  prompts and replies
//	kill.go      kill, kill-all
//	scope.go     which jobs an order is about; preview; following an order
//	blocks.go    block, blocks, lift
//	drill.go     a kill drill
//	emergency.go kill-all without a dispatcher
//	orders.go    orders, receipt, audit
//	audit.go     audit verify, export, follow, key
//	fleet.go     fleet, freeze, thaw
//	resume.go    resume a parked job, go on from one that is over
//	top.go       the fleet live: what keys and time do
//	topview.go   what of it is shown
//	spend.go     what is being spent, and by whom
//	budget.go    what may be spent
//	storedkeys.go  keys create, list, revoke
//	keys.go      keys new
package cli
