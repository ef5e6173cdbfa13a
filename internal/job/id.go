package job

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrBadID is returned by [ParseID] for anything that is not an id. A caller
// at the door answers it exactly as it answers an unknown id.
var ErrBadID = errors.New("not an id: want a lower-case UUIDv7 like 0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00")

// ID names a job or an order: a lower-case UUIDv7 whose last byte is the
// partition all of its keys live in, so that an id alone is enough to find it.
type ID string

const idLen = 36

// ParseID checks the shape of an id. It accepts nothing that could not have
// been made here, so an ID is safe inside a key, a log line and a header.
func ParseID(s string) (ID, error) {
	if len(s) != idLen {
		return "", ErrBadID
	}
	for i := range len(s) {
		if !idByte(i, s[i]) {
			return "", ErrBadID
		}
	}
	return ID(s), nil
}

func idByte(i int, c byte) bool {
	switch i {
	case 8, 13, 18, 23:
		return c == '-'
	case 14:
		return c == '7'
	case 19:
		return c == '8' || c == '9' || c == 'a' || c == 'b'
	default:
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
	}
}

// Partition is the partition the id carries in its last byte. Whether the
// fleet has that many partitions is for the caller to check.
func (id ID) Partition() int {
	if len(id) != idLen {
		return -1
	}
	var b [1]byte
	if _, err := hex.Decode(b[:], []byte(id[idLen-2:])); err != nil {
		return -1
	}
	return int(b[0])
}

// WithPartition returns the UUIDv7 given as text with its last byte replaced
// by the partition p. It is how ids are made; see rediskit.Partitions.
func WithPartition(uuid string, p int) (ID, error) {
	if p < 0 || p > 255 {
		return "", fmt.Errorf("partition %d is outside 0–255", p)
	}
	id, err := ParseID(uuid)
	if err != nil {
		return "", err
	}
	return id[:idLen-2] + ID(fmt.Sprintf("%02x", p)), nil
}

func (id ID) String() string { return string(id) }
