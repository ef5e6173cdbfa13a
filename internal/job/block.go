package job

import (
	"fmt"
	"time"
)

// BlockedThing is what a standing order is on.
type BlockedThing string

// What can be blocked.
const (
	OnOwner BlockedThing = "owner"
	OnKind  BlockedThing = "kind"
	OnLabel BlockedThing = "label"
)

// MaxBlocks is how many standing orders a fleet has at most: every script reads
// them.
const MaxBlocks = 64

// Block is a standing order: until it is lifted, what it is on is neither
// admitted nor started. What runs already goes on.
type Block struct {
	ID ID
	On BlockedThing
	// Label is the label's key, for OnLabel.
	Label string
	// Value is the owner, the kind, or the label's value.
	Value                   string
	Actor, Reason, Incident string
	RecordedAt              time.Time
	// Missing are the partitions in which it does not stand: not yet, or no more.
	Missing []int
	// Lifted: it stands nowhere any more; what it had benched comes back.
	Lifted bool
}

// Check refuses a block that is on nothing.
func (b Block) Check() error {
	switch b.On {
	case OnOwner, OnKind:
		if b.Label != "" {
			return fmt.Errorf("%w: a block on an %s names no label", ErrBadScope, b.On)
		}
		return CheckName(string(b.On), b.Value, MaxName)
	case OnLabel:
		return CheckLabels(map[string]string{b.Label: b.Value})
	default:
		return fmt.Errorf("%w: a block is on an owner, a kind or a label, not on %q", ErrBadScope, b.On)
	}
}

// ErrTooManyBlocks is returned for a block beyond [MaxBlocks]. Lift one first.
var ErrTooManyBlocks = fmt.Errorf("there are %d standing orders already; lift one first", MaxBlocks)
