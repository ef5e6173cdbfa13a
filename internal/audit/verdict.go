package audit

import "fmt"

// Kind is what is wrong with a log.
type Kind string

// The ways in which a log is broken.
const (
	// Edited: an entry is not the one that was sealed.
	Edited Kind = "edited"
	// Differs: two copies of an entry are not the same.
	Differs Kind = "differs"
	// Missing: an entry is not there, and later ones are.
	Missing Kind = "missing"
	// Reordered: an entry is in another place than its number says.
	Reordered Kind = "reordered"
	// Truncated: entries that were sealed are gone from the end.
	Truncated Kind = "truncated"
	// Unlinked: an entry was chained to another one than the one before it.
	Unlinked Kind = "unlinked"
	// Forged: a head's signature is not good.
	Forged Kind = "forged"
	// WrongKey: a head is signed by a key that is not trusted.
	WrongKey Kind = "wrong key"
	// Foreign: a line belongs to another fleet.
	Foreign Kind = "foreign"
	// Unsigned: entries are covered by no head.
	Unsigned Kind = "unsigned"
	// Far: an entry repeats one of so long ago that they cannot be compared.
	Far Kind = "too far back"
)

// Break is the first thing that is wrong with a log. [Verify] returns it.
type Break struct {
	Kind      Kind
	Partition int
	// N is the number of the first broken entry.
	N uint64
	// Where is the place, for people: a line of a file, an entry of the stream.
	Where  string
	Detail string
}

func (b *Break) Error() string {
	return fmt.Sprintf("partition %d, entry %d: %s: %s (%s)", b.Partition, b.N, b.Kind, b.Detail, b.Where)
}

// Report is what has been verified.
type Report struct {
	Partitions []Verified
	// Skipped is how many lines of files were none: the rest of a line that a
	// crash cut off, before it was written again.
	Skipped int
}

// Verified is one partition of a log.
type Verified struct {
	Partition int
	// Entries is how many there are, numbered 1 to Entries.
	Entries uint64
	// Signed is the last one that a good head covers, SignedAt when it was made.
	Signed   uint64
	SignedAt string
	// Repeats is how many entries were there more than once, and the same.
	Repeats uint64
	// Keys are the public keys that signed.
	Keys []string
}
