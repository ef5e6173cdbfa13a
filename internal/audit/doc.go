// Package audit is the log of control acts, allowed and denied.
//
// An entry is written by the script of the act itself, numbered without gaps in
// its partition, so that there is no act without an entry and no entry without
// an act. This room writes only what was denied at the door, before any script,
// and reads all of it.
//
// It is append-only: nothing here changes or removes an entry, and no worker
// may write one.
//
// # When things fail
//
// A denial that cannot be written is [job.ErrUnavailable]; the door refuses the
// act all the same and logs that its entry is missing.
//
// # Files
//
//	redis.go  denials and reading
//	cursor.go a position in several partitions
//	lua/      the entry of a denial
package audit
