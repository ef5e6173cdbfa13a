package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	"github.com/rtfm-si/gavel/internal/job"
)

// Hash is a link of the chain: it stands for an entry and all before it.
type Hash [sha256.Size]byte

// String is the hash in hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// parseHash reads what [Hash.String] wrote, and nothing else.
func parseHash(s string) (Hash, error) {
	var h Hash
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(h) || hex.EncodeToString(raw) != s {
		return h, fmt.Errorf("%.80q is no hash: want %d hexadecimal digits, lower case", s, 2*len(h))
	}
	copy(h[:], raw)
	return h, nil
}

// Genesis is where the chain of a partition begins.
func Genesis(fleet string, partition int) Hash {
	c := canonical{sha256.New()}
	c.text("gavel audit genesis 1")
	c.text(fleet)
	c.number(uint64(partition)) //nolint:gosec // a partition is 0–255
	return c.sum()
}

// Link is the hash of an entry that follows prev. The encoding is injective:
// each text behind its length, fields by their names in byte order. So no two
// different entries are the same bytes.
func Link(prev Hash, partition int, r job.AuditRecord) Hash {
	c := canonical{sha256.New()}
	c.text("gavel audit entry 1")
	c.text(string(prev[:]))
	c.number(uint64(partition)) //nolint:gosec // a partition is 0–255
	c.number(r.N())
	c.text(r.ID)
	c.number(uint64(len(r.Fields)))
	for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
		c.text(name)
		c.text(r.Fields[name])
	}
	return c.sum()
}

// canonical is the encoding that is hashed and signed.
type canonical struct{ hash.Hash }

func (c canonical) number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, _ = c.Write(b[:]) // a hash takes everything
}

func (c canonical) text(s string) {
	c.number(uint64(len(s)))
	_, _ = c.Write([]byte(s))
}

func (c canonical) sum() (h Hash) {
	c.Sum(h[:0])
	return h
}
