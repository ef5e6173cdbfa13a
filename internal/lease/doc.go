// Package lease is the right to run a job: it is granted, renewed by beats,
// trusted for a while by its holder, released, and taken back from the silent.
//
// It is not the work (execution) and not the kill (control): it hears of a kill
// only as one of the answers to a renewal.
//
// # The formula of trust
//
// Three durations (beat.Timing), with H < S/2 and S < T:
//
//	H =  3 s  a worker renews all its leases of a partition in one script
//	S = 10 s  it trusts a lease until S after it SENT the last renewal that succeeded
//	T = 15 s  a reaper may take a lease that it has itself watched stand still for T
//
// A renewal that was sent at t and executed at Redis at t+d is trusted until
// t+S, and taken no earlier than t+d+T. With clock rates that differ by a factor
// below T/S the holder has stopped before anyone else starts. Counting from the
// send means that a slow success never stretches trust (client-go's leader
// election and the Chubby paper count the same way).
//
// # States of a holding
//
//	     Hold                     renewal: renewed
//	 ──────────────▶ TRUSTED ◀─────────────────────┐
//	                 │  │  └───────────────────────┘
//	renewal: killed  │  │  S since the last good send, or renewal: lost
//	                 ▼  ▼
//	            KILLED  LOST          Drop ends either, or TRUSTED
//
// A lease is lost to its holder when trust ends, whatever Redis would say: the
// job's context is cancelled with job.StopLeaseLost. After that the worker may
// still end the claim (finish, park, release); Redis refuses if somebody else
// has it by then.
//
// # When things fail
//
// A renewal that fails is tried again until trust has ended. A reply that was
// lost changes nothing: renew is idempotent, grant answers its retry by the
// nonce with the same jobs, finish, park and release answer theirs with the same
// success.
//
// # Files
//
//	keeper.go  trust: which claims are held, since when
//	redis.go   grant, renew, finish, retry, release, park, leave
//	reaper.go  taking back what stood still
//	lua/       the transitions
package lease
