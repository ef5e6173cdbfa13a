// Package keyring keeps the API keys that are made through the API: their hashes
// in Redis, a copy of them in each dispatcher.
//
// It is not where break-glass keys are: those, and the first keys of a fleet, are
// in the dispatcher's file, which needs no Redis.
//
// # Invariants
//
// A secret is in no key of Redis, no log and no audit entry; it leaves once, in
// the answer to whoever made it. Making and revoking a key and their audit
// entries are one script each. A subject may have several keys: make the next,
// change to it, revoke the last.
//
// A revoked key is refused within [Bound] by every dispatcher: each looks every
// two seconds whether the keys changed, and one that could not look for so long
// believes none of them.
//
// When a key was last used is written once a minute for all of them together.
//
// # When things fail
//
// Redis away: the copy is good until Bound has passed, then
// [access.ErrUnasked]. A row that cannot be read is passed over and reported.
//
// # Files
//
//	redis.go  keys made, revoked, listed; when they were used
//	copy.go   a dispatcher's copy: authenticates, is kept up to date
package keyring
