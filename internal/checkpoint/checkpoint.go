package checkpoint

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// Max is the largest state, before compression, in bytes.
const Max = 8 << 20

// Kept is how many of a job's checkpoints are kept, the last ones.
const Kept = 4

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

// Unpack reads what is stored under a number. For a damaged one it returns as
// much of its header as can be read, and an error wrapping [ErrDamaged].
func Unpack(seq, stored string) (job.Kept, error) {
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return job.Kept{}, fmt.Errorf("%w: number %q", ErrDamaged, seq)
	}
	k := job.Kept{Checkpoint: job.Checkpoint{Seq: n}, Stored: len(stored)}
	head, packed, ok := strings.Cut(stored, "\n")
	parts := strings.Fields(head)
	if !ok || len(parts) < 3 {
		return k, fmt.Errorf("%w: no header", ErrDamaged)
	}
	k.Node = parts[1]
	if us, err := strconv.ParseInt(parts[2], 10, 64); err == nil && us > 0 {
		k.At = time.UnixMicro(us).UTC()
	}
	if len(parts) > 3 {
		k.Grant, _ = strconv.Atoi(parts[3])
	}
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		return k, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, Max+1))
	if err != nil || len(data) > Max || digest(data) != parts[0] {
		return k, fmt.Errorf("%w: its sum does not match", ErrDamaged)
	}
	k.Data, k.Size, k.Sound = data, len(data), true
	return k, nil
}

// All reads every stored checkpoint, by number, damaged ones marked.
func All(stored map[string]string) []job.Kept {
	out := make([]job.Kept, 0, len(stored))
	for seq, text := range stored {
		k, _ := Unpack(seq, text)
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b job.Kept) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// Newest returns the checkpoint with the highest number that can be read, nil
// when there is none, and how many above it could not.
func Newest(stored map[string]string) (c *job.Kept, damaged int) {
	all := All(stored)
	for _, k := range slices.Backward(all) {
		if k.Sound {
			return &k, damaged
		}
		damaged++
	}
	return nil, damaged
}

// Word makes a step's name fit for the header of a stored checkpoint.
func Word(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Join(strings.Fields(s), "_")
}
