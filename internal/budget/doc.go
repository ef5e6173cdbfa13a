// Package budget is the money: reserve before a paid call, settle after it, and
// tell what is being spent.
//
// A reservation is also the permission to make the call: it is refused once an
// order covers the job, so its round trip bounds how long after a kill a new
// call can begin. It does not know what a call costs (that is the executor's
// price table) and does not hold permits (that is execution).
//
// # Invariants
//
// spent + reserved never passes the job's budget. Each booking id is booked
// once. A reservation ends with its claim: what was never settled is booked as
// a flagged estimate, and put right if the true cost still comes.
//
// # When things fail
//
// [job.ErrUnavailable]: send it again, the answer will be the same.
// [job.ErrFenced]: the claim is gone; make no call. A [*job.Park] with reason
// "budget": the money is used up. A [*job.Stop]: an order stands.
//
// # Files
//
//	redis.go  reserve, settle, the clock, what a view reads
//	spend.go  what is being spent, and by whom
//	caps.go   limits: as scripts read them, set and told
//	clerk.go  what dispatchers do for the money
//	breaker.go  the breaker: when it trips, and what it stops
//	lua/      the transitions
package budget
