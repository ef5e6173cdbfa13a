package job

import (
	"errors"
	"fmt"
	"time"
)

// Kept is a checkpoint as it is stored.
type Kept struct {
	// Data is nil when it is damaged, and where it was not asked for.
	Checkpoint
	At time.Time
	// Grant is the how manieth grant of the job wrote it; 0 when that is not known.
	Grant int
	// Size is of the state, Stored of what it takes where it is kept, in bytes.
	Size, Stored int
	// Sound: it can be read and its checksum matches.
	Sound bool
}

// ErrStoreAway is wrapped, beside [ErrUnavailable], when it is not Redis that does
// not answer but the store that states are kept in.
var ErrStoreAway = errors.New("the store that states are kept in does not answer")

// NoCheckpoint is returned for a resume from a checkpoint that is not kept; Seq
// is 0 when the job has none that can be read.
type NoCheckpoint struct{ Seq uint64 }

func (n *NoCheckpoint) Error() string {
	if n.Seq == 0 {
		return "the job has no checkpoint to go on from; submit it again"
	}
	return fmt.Sprintf("checkpoint %d is not kept; list those that are", n.Seq)
}

// DamagedCheckpoint is returned for a checkpoint that is kept and cannot be
// read; another one may be.
type DamagedCheckpoint struct{ Seq uint64 }

func (d *DamagedCheckpoint) Error() string {
	return fmt.Sprintf("checkpoint %d is damaged; take one before it", d.Seq)
}
