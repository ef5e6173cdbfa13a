// Package checkpoint is the form in which a job's states are stored: compressed,
// with a checksum, and a line that says when and by which run; and where they are
// when they are not in Redis.
//
// It knows neither Redis nor what is in a state, and a directory or a bucket only
// as a [Store]. The worker packs and resumes from what it unpacks; the dispatcher,
// which cannot run a job, shows it.
//
// # The form
//
//	"sum node time grant\n" and the state, compressed with gzip
//
//	"sum node time grant size place\n"      for a state that is kept outside Redis
//
// The sum is SHA-256 over the state as it was before compression. Time and grant
// are written by the script that accepts it, in microseconds of Redis's clock; a
// checkpoint without a grant is of an older build.
//
// # Outside Redis
//
// The state goes outside first, under a name that only this claim writes; then the
// script records its sum and place under the claim, and only the record counts. So
// a stale worker's state is never read, and what was written without a record is
// an orphan. Orphans are removed with their job ([Outside.Forget]) or by the
// [Sweeper]. A job that goes on from another's state gets a copy of its own.
//
// # When things fail
//
// A state above [Max] is refused with [ErrTooLarge], before anything is written.
// What cannot be read, or whose sum does not match, is [ErrDamaged]; [Outside.Newest]
// falls back to the one before it and counts what it passed over. So is a state
// that is gone from its place. A store that does not answer says nothing of a
// state: that is [ErrAway], and another try may succeed.
//
// # Files
//
//	checkpoint.go  packing and unpacking
//	outside.go     the store, and states in it
//	mark.go        which store this is
//	sweep.go       what no record names
package checkpoint
