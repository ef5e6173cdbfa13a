package beat

import (
	"errors"
	"fmt"
	"time"
)

// ErrTiming is wrapped by [Timing.Check].
var ErrTiming = errors.New("lease timing refused")

// Timing is the three durations of the formula of trust.
type Timing struct {
	// Renew (H) is how often leases are renewed.
	Renew time.Duration
	// Trust (S) is how long a worker trusts a lease from the send of its last
	// good renewal.
	Trust time.Duration
	// Take (T) is how long a reaper must have watched a lease stand still.
	Take time.Duration
}

// DefaultTiming is 3 s, 10 s and 15 s.
func DefaultTiming() Timing {
	return Timing{Renew: 3 * time.Second, Trust: 10 * time.Second, Take: 15 * time.Second}
}

// Check refuses durations that break the formula.
func (t Timing) Check() error {
	switch {
	case t.Renew <= 0:
		return fmt.Errorf("%w: H (renew) is %v; it must be positive", ErrTiming, t.Renew)
	case t.Renew >= t.Trust/2:
		return fmt.Errorf("%w: H (renew) is %v; it must be below S/2 = %v, or one lost renewal ends trust", ErrTiming, t.Renew, t.Trust/2)
	case t.Trust*5 > t.Take*4:
		return fmt.Errorf("%w: S (trust) is %v; it must be at most 4/5 of T (take) = %v, to leave room for clocks that run at different rates",
			ErrTiming, t.Trust, t.Take*4/5)
	}
	return nil
}

// ReplicaLag is the largest min-replicas-max-lag under which a deposed master
// stops taking renewals before trust could outlive T: T - S - 2 s.
func (t Timing) ReplicaLag() time.Duration { return t.Take - t.Trust - 2*time.Second }
