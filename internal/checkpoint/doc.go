// Package checkpoint is the form in which a job's states are stored: compressed,
// with a checksum, and a line that says when and by which run.
//
// It knows neither Redis nor what is in a state. The worker packs and resumes
// from what it unpacks; the dispatcher, which cannot run a job, shows it.
//
// # The form
//
//	"sum node time grant\n" and the state, compressed with gzip
//
// The sum is SHA-256 over the state as it was before compression. Time and grant
// are written by the script that accepts it, in microseconds of Redis's clock; a
// checkpoint without a grant is of an older build.
//
// # When things fail
//
// A state above [Max] is refused with [ErrTooLarge], before anything is written.
// What cannot be read, or whose sum does not match, is [ErrDamaged]; [Newest]
// falls back to the one before it and counts what it passed over.
package checkpoint
