// Package access says who somebody is and what they may do.
//
// It is pure: a credential becomes an [Actor] (keys.go), and one function,
// [Authorize], turns an actor, an act and a target into a [Permit] or a
// [*Denied]. It knows neither HTTP nor Redis, and it writes no audit: the door
// and the scripts do.
//
// # Invariants
//
// A Permit that allows anything comes from Authorize only. It carries what the
// script behind the act must check again (MustOwn), because a record may be
// looked at only there. A denial says which rule it fell under; a door answers
// a denied job exactly as an unknown one.
//
// A break-glass credential is an ordinary key with a flag: it works when the
// identity provider does not, every use of it is logged loudly, and it starts
// no work.
//
// # When things fail
//
// A key file that cannot be read or is refused leaves the last good keys in
// force and says so; at the start it is an error.
//
// # Files
//
//	actor.go      who asks, and their roles
//	authorize.go  the rule: one table, one function
//	permit.go     the proof
//	keys.go       API keys: making, hashing, matching
//	keyfile.go    the file they live in, and its reload
//	front.go      which credential is whose to check
package access
