// Package stream is the road: the Redis stream on which queued jobs wait, and
// the places beside it, LATER (delayed) and BENCH (parked).
//
// It accepts jobs, reads their records and events, brings delayed and parked
// ones back to the road, and forgets those whose retention ended. It does not
// grant (that is lease) and does not kill (that is control); but each of its
// moves looks for an order first, and a job that an order covers goes to killed
// instead.
//
// # Invariants
//
// A live job has exactly one entry on the road or none, named by its record's
// `entry`. An idempotency key gives one job, whatever is retried. While the gate
// is frozen nothing is accepted.
//
// # When things fail
//
// Every write may be sent again and answers the same. [job.ErrUnavailable]
// means Redis did not answer; [ErrUnknownOutcome] that a submit may have been
// accepted: send it again with the same key.
//
// # Files
//
//	raise.go    resume by hand, with a raised budget
//	redis.go    submit, promote, resume, forget
//	answer.go   the owner's answers to a job that asked
//	read.go     one job
//	checkpoints.go  the states a job can be resumed from
//	list.go     pages over several partitions
//	lua/        the transitions
package stream
