package rediskit

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

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

// refusals are how errors begin that a server gives before it executes anything.
func refusals() []string {
	return []string{
		"READONLY ", "LOADING ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN ", "NOREPLICAS ", "BUSY ", "NOSCRIPT ",
		"NOPERM ", "NOAUTH ", "WRONGPASS ", "OOM ", "MISCONF ", "MOVED ", "ASK ", "ERR max number of clients",
	}
}

// OutcomeOf classifies an error of a call. What a script ran into after it began
// may follow its first writes, whatever its error begins with.
func OutcomeOf(err error) Outcome {
	var said redis.Error
	if errors.As(err, &said) {
		msg := said.Error()
		if GateGone(err) {
			return NotExecuted
		}
		refused := slices.ContainsFunc(refusals(), func(r string) bool { return strings.HasPrefix(msg, r) })
		if refused && !strings.Contains(msg, "@user_script") {
			return NotExecuted
		}
		return Unknown
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return NotExecuted
	}
	return Unknown
}

// GateGone reports whether a script did nothing because the gate was begun and is
// not there: somebody deleted it. A dispatcher begins it again.
func GateGone(err error) bool {
	var said redis.Error
	return errors.As(err, &said) && strings.Contains(said.Error(), "GATEGONE")
}

// Unavailable wraps an error of Redis as [job.ErrUnavailable], and as
// [job.ErrOutcomeUnknown] beside it when the call may have happened, so that a
// room's callers need not know Redis. It keeps the cause for the log. nil and a
// fault of the caller's own code ([ErrScript]) stay as they are.
func Unavailable(err error) error {
	switch {
	case err == nil, errors.Is(err, job.ErrUnavailable), errors.Is(err, ErrScript):
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

// Forbidden reports whether Redis refused who asked, not what was asked: a wrong
// password, or a user without the right.
func Forbidden(err error) bool {
	var said redis.Error
	if !errors.As(err, &said) {
		return false
	}
	return slices.ContainsFunc([]string{"NOPERM ", "NOAUTH ", "WRONGPASS "}, func(r string) bool { return strings.HasPrefix(said.Error(), r) })
}
