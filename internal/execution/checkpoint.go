package execution

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

	"github.com/rtfm-si/gavel/internal/job"
)

// MaxCheckpoint is the largest checkpoint, before compression, in bytes.
const MaxCheckpoint = 8 << 20

// ErrCheckpointTooLarge is returned for a checkpoint above [MaxCheckpoint]. The
// executor must keep less in it.
var ErrCheckpointTooLarge = errors.New("checkpoint too large")

// ErrStaleCheckpoint is returned when a checkpoint's number is not above the
// last accepted one. The executor counts on from job.Work's checkpoint.
var ErrStaleCheckpoint = errors.New("stale checkpoint")

// errDamaged is a checkpoint that is stored but cannot be read.
var errDamaged = errors.New("damaged checkpoint")

// pack compresses a checkpoint; the sum is over what was compressed.
func pack(data []byte) (packed []byte, sum string, err error) {
	if len(data) > MaxCheckpoint {
		return nil, "", fmt.Errorf("%w: %d bytes; at most %d are allowed", ErrCheckpointTooLarge, len(data), MaxCheckpoint)
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

// unpack reads what is stored: "sum node time\n" and the compressed data.
func unpack(seq, stored string) (job.Checkpoint, error) {
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return job.Checkpoint{}, fmt.Errorf("%w: number %q", errDamaged, seq)
	}
	head, packed, ok := strings.Cut(stored, "\n")
	parts := strings.Fields(head)
	if !ok || len(parts) != 3 {
		return job.Checkpoint{}, fmt.Errorf("%w: no header", errDamaged)
	}
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		return job.Checkpoint{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxCheckpoint+1))
	if err != nil || len(data) > MaxCheckpoint || digest(data) != parts[0] {
		return job.Checkpoint{}, fmt.Errorf("%w: its sum does not match", errDamaged)
	}
	return job.Checkpoint{Seq: n, Node: parts[1], Data: data}, nil
}

// newest returns the checkpoint with the highest number that can be read, and
// how many above it could not.
func newest(all map[string]string) (c *job.Checkpoint, damaged int) {
	seqs := make([]string, 0, len(all))
	for s := range all {
		seqs = append(seqs, s)
	}
	slices.SortFunc(seqs, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a))
	})
	for _, s := range seqs {
		got, err := unpack(s, all[s])
		if err == nil {
			return &got, damaged
		}
		damaged++
	}
	return nil, damaged
}

// word makes a step's name fit for the header of a stored checkpoint.
func word(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Join(strings.Fields(s), "_")
}
