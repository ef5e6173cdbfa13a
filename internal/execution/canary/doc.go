// Package canary runs jobs whose behaviour is prescribed to the step: how long,
// how many paid calls, where they fail, park or turn a deaf ear. Drills kill
// them, stories tell of them, benches count them.
//
// It is not a simulation of the fleet: a canary holds a lease, pays and is
// killed as every job is, and sees no more of that than every executor does. Its
// input is job.Canary, so that the door can check it without knowing what runs.
//
// # A step
//
//	park? ─▶ fail? ─▶ calls ─▶ wait step_ms ─▶ event ─▶ checkpoint
//
// # Invariants
//
//   - A paid call is: connect, reserve, check the permit, send, settle. The check
//     is the last statement before the bytes go out; each call is settled once,
//     flagged as an estimate when it was cut off.
//   - Calls have the same ids in every attempt. A canary with checkpoints goes on
//     after the last one; one that is drained in the middle of a step also keeps
//     how many calls of it were paid, so that no settled call is made again.
//   - Cancelled, it closes its socket and returns at once, or when deaf_ms are
//     over: until then it goes on as if nothing had happened. It may even succeed,
//     too late; when the runtime refuses it something, it sits the time out.
//   - It says that it is alive once a step and at each call. A step that is longer
//     than the watchdog's patience is silent work, prescribed.
//   - call_url leads to this machine, or to a host that the worker's operator has
//     named; a job cannot send the worker elsewhere.
//
// # When things fail
//
// A witness that cannot be reached, or answers 408, 429 or 5xx, and a Redis out
// of reach are retryable; another status, a checkpoint that is not a canary's
// and a bad input are not.
//
// # Files
//
//	executor.go the steps
//	call.go     one paid call
//	witness.go  the outsider that counts them
package canary
