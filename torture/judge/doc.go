// Package judge says whether a history of a tortured fleet keeps what the fleet
// promises. It shares nothing with the product: it reads JSON, knows the keys
// and fields by their documented names, and has its own tables of what may
// follow what, its own arithmetic and its own chain of hashes. A fault that the
// product's code and its tests have in common does not pass here.
//
// # Checkers
//
//	conservation  what was accepted is there, over, and in one place
//	idempotency   one key is one job, whatever was retried
//	moves         a job's events follow each other as they may, and end once
//	claims        epochs grow, one claim at a time, no attempt counted for a drain
//	single        who calls holds the claim; no call outlives it
//	killed        what an order covers ends killed and does not start again
//	bound         no new paid call later than a permit is good for
//	cut           calls under way are cut within S
//	confirmed     nothing after the confirmation of a kill
//	freeze        nothing is admitted and nothing starts while frozen
//	receipts      every receipt sums up, and the last one is what happened
//	register      what clients saw of each job is linearizable (porcupine)
//	checkpoints   a checkpoint is written under a claim, and resumed from
//	audit         one entry for each act, numbered and chained
//	money         what was booked is what the witness saw
//	residue       nothing is left of what has gone
//	exits         who was asked to leave left in time and with code 0
//	answers       no answer is garbled or an internal error
//	growth        who has nothing left to do has what one has that never had
//
// # Slack
//
// The witness and Redis are told the time by one clock, but a busy machine lets
// each wait before it looks. The rig measures how long its own goroutines are
// kept waiting; a bound in time is judged with Slack and twice the longest
// such stall around it.
//
// # Files
//
//	judge.go    the case, and all checkers
//	acts.go     what was asked and what came back
//	records.go  what Redis held: jobs, orders, claims
//	jobs.go     conservation, idempotency, moves, claims
//	calls.go    single, bound, cut, confirmed
//	orders.go   killed, freeze, receipts
//	register.go register
//	audit.go    audit
//	chain.go    the chain of hashes
//	money.go    money, checkpoints
//	lost.go     what Redis may have lost
//	left.go     residue, exits, answers
//	growth.go   growth
package judge
