package checkpoint

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/rtfm-si/gavel/internal/job"
)

// Max is the largest state, before compression, in bytes.
const Max = 8 << 20

// Kept is how many of a job's checkpoints are kept by default, the last ones;
// MostKept is how many may be.
const (
	Kept     = 4
	MostKept = 100
)

// ErrTooLarge is returned for a state above [Max]. The executor must keep less
// in it.
var ErrTooLarge = errors.New("checkpoint too large")

// ErrDamaged is returned for a checkpoint that is stored but cannot be read.
// Another one may be.
var ErrDamaged = errors.New("damaged checkpoint")

// Pack compresses a state; the sum is over what was compressed.
func Pack(data []byte) (packed []byte, sum string, err error) {
	if len(data) > Max {
		return nil, "", fmt.Errorf("%w: %d bytes; at most %d are allowed", ErrTooLarge, len(data), Max)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		return nil, "", fmt.Errorf("compress checkpoint: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, "", fmt.Errorf("compress checkpoint: %w", err)
	}
	return b.Bytes(), digest(data), nil
}

func digest(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// head is the line before a state.
type head struct {
	sum   string
	kept  job.Kept
	place string // where the state is, when it is not behind the line
}

// readHead reads as much of a stored checkpoint's line as can be read; ok is
// false when it is none.
func readHead(seq, stored string) (h head, packed string, ok bool) {
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return head{}, "", false
	}
	h.kept = job.Kept{Checkpoint: job.Checkpoint{Seq: n}, Stored: len(stored)}
	line, packed, ok := strings.Cut(stored, "\n")
	parts := strings.Fields(line)
	if !ok || len(parts) < 3 {
		return h, "", false
	}
	h.sum, h.kept.Node = parts[0], parts[1]
	if us, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
		h.kept.At, _ = job.Moment(us)
	}
	if len(parts) > 3 {
		h.kept.Grant, _ = strconv.Atoi(parts[3])
	}
	if len(parts) > 5 {
		h.place = parts[5]
		h.kept.Stored, _ = strconv.Atoi(parts[4])
	}
	return h, packed, true
}

// Unpack reads what is stored under a number, when the state is behind its line.
// For a damaged one it returns as much of its header as can be read, and an error
// wrapping [ErrDamaged].
func Unpack(seq, stored string) (job.Kept, error) {
	h, packed, ok := readHead(seq, stored)
	if !ok {
		return h.kept, fmt.Errorf("%w: no header", ErrDamaged)
	}
	return h.unpack(packed)
}

func (h head) unpack(packed string) (job.Kept, error) {
	k := h.kept
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		return k, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, Max+1))
	if err != nil || len(data) > Max || digest(data) != h.sum {
		return k, fmt.Errorf("%w: its sum does not match", ErrDamaged)
	}
	k.Data, k.Size, k.Sound = data, len(data), true
	return k, nil
}

// Word makes a step's name fit for the header of a stored checkpoint.
func Word(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Join(strings.Fields(s), "_")
}
