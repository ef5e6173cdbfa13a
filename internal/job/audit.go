package job

import (
	"strconv"
	"time"
)

// AuditQuery says which entries of the audit are wanted; what is zero does not
// filter.
type AuditQuery struct {
	Act string
	// About is the job, the order or the subject of an entry; entries of Order are
	// wanted beside it: the order that stopped the job, which does not name it.
	About, Order ID
	// Actor is who acted, or tried to.
	Actor string
	// Since and Until bound when, both included.
	Since, Until time.Time
}

// AuditRecord is an entry of the audit as its log holds it: all of it, in the
// form that its chain is computed over.
type AuditRecord struct {
	// ID is its place in the partition's stream, "milliseconds-sequence".
	ID     string
	Fields map[string]string
}

// N is the number the entry carries, 0 when it carries none.
func (r AuditRecord) N() uint64 {
	text := r.Fields["n"]
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0
	}
	return n
}

// AuditHead is a signed statement: the chain of a partition, up to entry N,
// comes to Hash. It holds text as it is stored, exported and signed.
type AuditHead struct {
	Fleet     string
	Partition int
	N         uint64
	ID        string // of entry N
	Hash      string // hex
	At        string // when it was signed, RFC 3339
	Key       string // the signer's public key, base64
	Signature string // base64
}

// AuditPage is a stretch of one partition's log, oldest first.
type AuditPage struct {
	Fleet      string
	Partitions int
	// Last is the number of the newest entry, by the partition's counter.
	Last uint64
	// LastID is the place of the newest entry, empty when there is none.
	LastID string
	// Head is how far the log is sealed; zero when it is not.
	Head    AuditHead
	Records []AuditRecord
}
