// Package execution takes one claim to one outcome.
//
// A Worker has a number of slots. It takes jobs from the road, runs each under a
// context of its own, hands the executor a runtime through which every paid
// call, event and checkpoint passes, and writes how the job ended. It hears of
// kills from hints and from renewals, and drains when it is told to leave.
//
// It is not the lease (who may run), not the order (what must stop) and not the
// work itself (a job.Executor); it meets them through the interfaces in doors.go.
//
// # A run
//
//	grant ─▶ hold ─▶ execute ─▶ returned ─▶ conclude ─▶ drop, slot free
//	                    ▲
//	                    └ stop: killed | draining | lease lost | deadline | no progress
//
// The slot stays taken until the work has returned: a context that is cancelled
// is a wish, a function that returned is a fact.
//
// # How a run is concluded
//
//	stopped by        and the work      the claim ends with
//	killed            anything          finish: killed wins; the result is kept as late
//	draining          succeeded         finish
//	draining          anything else     release: no attempt counted
//	lease lost        succeeded         finish, if redis still knows the claim
//	lease lost        anything else     release, if redis still knows the claim
//	deadline          anything else     finish: failed
//	no progress       anything else     retry: counted
//	nothing           succeeded         finish
//	nothing           a *job.Park       park
//	nothing           retryable, panic  retry: counted
//	nothing           another error     finish: failed
//
// Concluding is retried for as long as the process lives, with a context that
// nothing cancels; the lease is renewed meanwhile.
//
// # Drain
//
// Stop taking; keep renewing and listening; let jobs finish for DrainFinish;
// cancel with job.StopDraining; wait DrainGrace for the work to return; release;
// leave the table. Work that has not returned by then is flagged and not
// released, so it never runs twice at once. Hurry skips the waits.
//
// # Files
//
//	worker.go   slots, taking, the table of runs
//	run.go      one claim to one outcome
//	conclude.go how a run's end becomes a write
//	drain.go    leaving
//	runtime.go  what an executor may ask for
//	permit.go   the check before a paid call
//	doors.go    what this room asks of others
//	redis.go    events and checkpoints
package execution
