// Package job holds the nouns of Gavel and their pure rules: the job and its
// states, the claim, the order and its receipt, the causes a context is
// cancelled with, and the seam between a worker and what it executes.
//
// It is what every other room speaks. It imports the standard library only,
// does no I/O, starts no goroutine and reads no clock.
//
// # States
//
// A live job is in exactly one place:
//
//	queued   on the road (the Redis stream), waiting for a worker
//	running  held by one claim, with a lease
//	delayed  waiting for its due time after a failed attempt
//	parked   put aside without worker or lease: input, budget, an operator, a standing order
//	held     waiting behind its owner's concurrency cap
//
// and ends exactly once as succeeded, failed or killed. The allowed moves are
// the table in state.go; a test holds the Lua scripts to it.
//
// # Files
//
//	id.go       the shape of an id, and the partition it carries
//	state.go    states and the table of moves
//	job.go      the job, a submission, a claim, and what moves between rooms
//	record.go   reading a job from its stored fields
//	views.go    what readers ask for and get
//	errors.go   what the rooms refuse with
//	cause.go    why a context was cancelled: a closed set
//	executor.go the seam: Executor, Runtime, events, calls, checkpoints
//	checkpoint.go  a checkpoint as it is stored
//	exchange.go one call, as a transcript keeps it
//	order.go    orders, scopes, verdicts
//	selector.go what a selector order asks for
//	preview.go  what an order would reach, and how far a walk has come
//	block.go    standing orders
//	answers.go  what an owner answers a job that asks
//	receipt.go  what an order did
//	audit.go    the audit as its chain is computed over it
//	money.go    micro-USD
//	spend.go    what is being spent, windows and limits
//	text.go     what a person may write into a reason, a label, a name
//	canary.go   the input of a job that does exactly what it is told
//	drill.go    what a kill drill measured
package job
