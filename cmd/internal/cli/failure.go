package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/show"
)

// The exit codes, see the package's documentation.
const (
	codeFailed      = 1
	codeUsage       = 2
	codeRefused     = 3
	codeNotOver     = 4
	codeUnavailable = 5
)

// Failure is how a command ends that did not do what it was asked.
type Failure struct {
	Code int    `json:"exit"`
	Text string `json:"error"`
	// Hint says what to do next.
	Hint string `json:"hint,omitempty"`
	// Problem is the stable type of a dispatcher's refusal.
	Problem client.ProblemType `json:"type,omitempty"`
	Request string             `json:"request_id,omitempty"`

	asJSON bool
	cause  error
}

func (f *Failure) Error() string {
	if f.asJSON {
		if raw, err := json.Marshal(f); err == nil {
			return string(raw)
		}
	}
	text := "gavel: " + show.Clean(f.Text)
	if f.Hint != "" {
		text += "\n       " + strings.ReplaceAll(show.CleanBlock(f.Hint), "\n", "\n       ")
	}
	return text
}

// Unwrap is what went wrong.
func (f *Failure) Unwrap() error { return f.cause }

// ExitCode is what the process ends with.
func (f *Failure) ExitCode() int { return f.Code }

func usage(format string, args ...any) *Failure {
	return &Failure{Code: codeUsage, Text: fmt.Sprintf(format, args...)}
}

func notOver(hint, format string, args ...any) *Failure {
	return &Failure{Code: codeNotOver, Text: fmt.Sprintf(format, args...), Hint: hint}
}

func failed(format string, args ...any) *Failure {
	return &Failure{Code: codeFailed, Text: fmt.Sprintf(format, args...)}
}

// failureOf turns any error of a command into how it ends.
func (d *desk) failureOf(err error) *Failure {
	var f *Failure
	var p *client.Problem
	switch {
	case errors.As(err, &f): // said already
		f.asJSON = d.JSON
		return f
	case errors.As(err, &p):
		f = ofProblem(p)
	case errors.Is(err, context.Canceled):
		f = &Failure{Code: codeNotOver, Text: "interrupted before the answer"}
	case errors.As(err, new(noAnswer)):
		f = &Failure{
			Code: codeUnavailable, Text: fmt.Sprintf("no dispatcher answers at %s: %v", d.URL, rootOf(err)),
			Hint: "Start a fleet with: " + d.self + " dev\nor name another with --url, GAVEL_URL or --target.",
		}
	default:
		f = failed("%v", strings.TrimPrefix(err.Error(), "gavel: "))
	}
	f.asJSON, f.cause = d.JSON, err
	return f
}

// noAnswer is an error of the network.
type noAnswer interface {
	error
	Timeout() bool
}

// rootOf is the innermost error: "connection refused" without the way there.
func rootOf(err error) error {
	for {
		next := errors.Unwrap(err)
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			next = all.Unwrap()[len(all.Unwrap())-1]
		}
		if next == nil {
			return err
		}
		err = next
	}
}

// ofProblem is a dispatcher's refusal.
func ofProblem(p *client.Problem) *Failure {
	f := &Failure{Code: codeRefused, Text: lowerFirst(p.Error()), Problem: p.Type, Request: p.RequestID}
	switch {
	case p.Status >= 500 && p.Type != "urn:gavel:problem:internal":
		f.Code = codeUnavailable
	case p.Status >= 500:
		f.Code = codeFailed
		f.Text += " (request " + p.RequestID + ")"
	case errors.Is(p, client.ErrNotOver):
		f.Code = codeNotOver
	default:
	}
	f.Hint = hintOf(p)
	return f
}

// nothingDone is true of the last try; of an order, whose tries may have been
// several, nobody knows.
const nothingDone = "Nothing was done. Try again in a moment."

func hintOf(p *client.Problem) string {
	switch p.Type {
	case client.ErrUnauthenticated:
		return "Set GAVEL_KEY or --key to a credential of this fleet, or keep one with gavel login: gavel dev prints its own, gavel keys new makes one."
	case client.ErrForbidden:
		return "Ask with a credential whose role allows it; on a development fleet: --key dev-admin."
	case client.ErrNotFound:
		return "Your own are listed by gavel ps. Somebody else's look as if they did not exist."
	case client.ErrFleetFrozen:
		hint := "Frozen because: " + p.Reason
		if p.Incident != "" {
			hint += " (" + p.Incident + ")"
		}
		return hint + "\nWait until it is thawed, or as an admin: gavel thaw --reason …"
	case client.ErrConflict:
		return "Leave --idempotency-key out to submit a new job; that key stands for job " + p.Job + "."
	case client.ErrBlocked:
		return "The order is " + p.Order + "; whoever issued it can lift it."
	case client.ErrCapReached:
		return "Wait for the next window, or as an admin raise the cap: gavel budget set OWNER --cap DOLLARS --reason …"
	case client.ErrAuthorityLost:
		return "See what is missing with gavel fleet. When that is settled, as an admin: gavel fleet adopt --reason …"
	case client.ErrGateChanged:
		return "Look at it again with gavel fleet, and thaw or lift if you still want to."
	case client.ErrNoCheckpoint, client.ErrCheckpointDamaged:
		return "See which are kept with: gavel checkpoints ID"
	case client.ErrPreview:
		return "A preview is good for a minute, for the one who asked for it and for the same jobs. Give the command again."
	case client.ErrNotOver:
		return "Follow it with gavel watch, or ask again later."
	case client.ErrRedisUnavailable, client.ErrStoreUnavailable, client.ErrNotReady, client.ErrRateLimited, client.ErrOverloaded:
		return nothingDone
	default:
		return ""
	}
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
