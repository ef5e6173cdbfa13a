package job

import (
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
	// Size is of the state, Stored of what it takes in Redis, in bytes.
	Size, Stored int
	// Sound: it can be read and its checksum matches.
	Sound bool
}

// DamagedCheckpoint is returned for a checkpoint that is kept and cannot be
// read; another one may be.
type DamagedCheckpoint struct{ Seq uint64 }

func (d *DamagedCheckpoint) Error() string {
	return fmt.Sprintf("checkpoint %d is damaged; take one before it", d.Seq)
}
