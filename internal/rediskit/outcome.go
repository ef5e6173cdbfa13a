package rediskit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rtfm-si/gavel/internal/job"
)

// Outcome is what a failed call may have left behind.
type Outcome int

const (
	// NotExecuted: Redis refused before it did anything.
	NotExecuted Outcome = iota
	// Unknown: the reply was lost; it may have happened, now or later.
	Unknown
)

// refusals are the errors a server gives before it executes anything.
var refusals = [...]string{
	"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY", "NOSCRIPT",
	"NOPERM", "NOAUTH", "WRONGPASS", "OOM", "MISCONF", "MOVED", "ASK", "ERR max number of clients",
}

// OutcomeOf classifies an error of a call.
func OutcomeOf(err error) Outcome {
	msg := err.Error()
	for _, r := range refusals {
		if strings.Contains(msg, r+" ") || strings.HasSuffix(msg, r) {
			return NotExecuted
		}
	}
	if strings.Contains(msg, "dial tcp") || strings.Contains(msg, "connect: connection refused") {
		return NotExecuted
	}
	return Unknown
}

// Unavailable wraps an error of Redis as [job.ErrUnavailable], and as
// [job.ErrOutcomeUnknown] beside it when the call may have happened, so that a
// room's callers need not know Redis. It keeps the cause for the log. nil stays
// nil.
func Unavailable(err error) error {
	switch {
	case err == nil || errors.Is(err, job.ErrUnavailable):
		return err
	case OutcomeOf(err) == Unknown:
		return fmt.Errorf("%w: %w: %w", job.ErrUnavailable, job.ErrOutcomeUnknown, err)
	default:
		return fmt.Errorf("%w: %w", job.ErrUnavailable, err)
	}
}

// Unread wraps an error of a read as [job.ErrUnavailable]: a read that was lost
// left nothing behind. nil stays nil.
func Unread(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", job.ErrUnavailable, err)
}
