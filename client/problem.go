package client

import (
	"fmt"
	"strings"
	"time"
)

// ProblemType is the stable name of what went wrong. It is an error, so that
// errors.Is(err, client.ErrFleetFrozen) asks for it.
type ProblemType string

// The types that a caller may want to act on.
const (
	// ErrUnauthenticated: no credential, or one that is unknown or expired.
	ErrUnauthenticated ProblemType = "urn:gavel:problem:unauthenticated"
	// ErrForbidden: the credential's roles do not allow this.
	ErrForbidden ProblemType = "urn:gavel:problem:forbidden"
	// ErrNotFound: no such job or order, or it is somebody else's.
	ErrNotFound ProblemType = "urn:gavel:problem:not-found"
	// ErrInvalid: a field was refused; the detail says which and why.
	ErrInvalid ProblemType = "urn:gavel:problem:invalid-input"
	// ErrUnknownKind: the fleet has no executor of this kind.
	ErrUnknownKind ProblemType = "urn:gavel:problem:unknown-kind"
	// ErrConflict: the idempotency key was used for another body.
	ErrConflict ProblemType = "urn:gavel:problem:idempotency-conflict"
	// ErrBlocked: a standing order refuses this job.
	ErrBlocked ProblemType = "urn:gavel:problem:blocked-by-order"
	// ErrFleetFrozen: nothing is admitted until the fleet is thawed.
	ErrFleetFrozen ProblemType = "urn:gavel:problem:fleet-frozen"
	// ErrNotOver: the job has no result yet.
	ErrNotOver ProblemType = "urn:gavel:problem:job-not-over"
	// ErrNotWaiting: the job asks nothing, or no more.
	ErrNotWaiting ProblemType = "urn:gavel:problem:job-not-waiting"
	// ErrNotParked: the job is not parked; there is nothing to resume.
	ErrNotParked ProblemType = "urn:gavel:problem:job-not-parked"
	// ErrBudgetUsedUp: the job is resumed with a higher budget only.
	ErrBudgetUsedUp ProblemType = "urn:gavel:problem:budget-used-up"
	// ErrNoCheckpoint: the checkpoint is not kept, or the job has none.
	ErrNoCheckpoint ProblemType = "urn:gavel:problem:no-checkpoint"
	// ErrCheckpointDamaged: the checkpoint is kept and cannot be read.
	ErrCheckpointDamaged ProblemType = "urn:gavel:problem:checkpoint-damaged"
	// ErrStoreUnavailable: the store that states are kept in does not answer. Nothing
	// happened; send it again later.
	ErrStoreUnavailable ProblemType = "urn:gavel:problem:store-unavailable"
	// ErrCapReached: the owner's window, or the fleet's, is used up; Window says
	// how far and until when. Send the same request with the same key then.
	ErrCapReached ProblemType = "urn:gavel:problem:cap-reached"
	// ErrGateChanged: the gate is not the one that was seen; look again.
	ErrGateChanged ProblemType = "urn:gavel:problem:gate-changed"
	// ErrConfirm: the confirmation of a kill-all is not the fleet's name.
	ErrConfirm ProblemType = "urn:gavel:problem:confirm-mismatch"
	// ErrPreview: an order needs the token of a fresh preview of its scope.
	ErrPreview ProblemType = "urn:gavel:problem:preview-required"
	// ErrTooManyBlocks: lift a standing order before you make another.
	ErrTooManyBlocks ProblemType = "urn:gavel:problem:too-many-blocks"
	// ErrRedisUnavailable: nothing happened; send it again later.
	ErrRedisUnavailable ProblemType = "urn:gavel:problem:redis-unavailable"
	// ErrOutcomeUnknown: it may have happened. Send the same request with the
	// same key again.
	ErrOutcomeUnknown ProblemType = "urn:gavel:problem:outcome-unknown"
	// ErrAuthorityLost: Redis lost data; nothing is admitted, and no gate opened,
	// until an admin adopts what it has.
	ErrAuthorityLost ProblemType = "urn:gavel:problem:authority-lost"
	// ErrNotReady: this dispatcher cannot serve now.
	ErrNotReady ProblemType = "urn:gavel:problem:not-ready"
	// ErrRateLimited: the subject asks for more than its share; after a pause.
	ErrRateLimited ProblemType = "urn:gavel:problem:rate-limited"
	// ErrOverloaded: the dispatcher is busy; after a pause. Kills are taken.
	ErrOverloaded ProblemType = "urn:gavel:problem:overloaded"
	// ErrIdentity: whoever could tell whose credential it is does not answer.
	ErrIdentity ProblemType = "urn:gavel:problem:identity-unavailable"
)

func (t ProblemType) Error() string { return string(t) }

// Problem is an answer that refuses (RFC 9457). Every method of [Client] may
// return one, wrapped.
type Problem struct {
	Type   ProblemType `json:"type"`
	Title  string      `json:"title"`
	Status int         `json:"status"`
	// Detail is for people; do not branch on it.
	Detail string `json:"detail"`

	// These are set where the type has them.
	Rule     string   `json:"rule"`     // which rule denied it
	Order    string   `json:"order"`    // the order that refuses the job
	Job      string   `json:"job"`      // the job the idempotency key stands for
	Reason   string   `json:"reason"`   // why the fleet is frozen
	Incident string   `json:"incident"` // and for which incident
	Head     string   `json:"head"`     // the gate's head now
	Window   *Reached `json:"window"`   // the window that is used up
	Errors   []Fault  `json:"errors"`   // each parameter that was refused

	// RequestID finds the request in the dispatcher's log.
	RequestID string `json:"-"`
	// RetryAfter is how long to wait before asking again; 0 if it does not say.
	RetryAfter time.Duration `json:"-"`
}

// Reached is a window that is used up.
type Reached struct {
	// Of is owner or fleet.
	Of       string    `json:"of"`
	Cap      MicroUSD  `json:"cap_micro_usd"`
	Spent    MicroUSD  `json:"spent_micro_usd"`
	Reserved MicroUSD  `json:"reserved_micro_usd"`
	EndsAt   time.Time `json:"ends_at"`
}

// Fault is one parameter that was refused.
type Fault struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

func (p *Problem) Error() string {
	var text strings.Builder
	text.WriteString(p.Title)
	if p.Detail != "" {
		text.WriteString(": " + p.Detail)
	}
	for _, f := range p.Errors {
		fmt.Fprintf(&text, " [%s: %s]", f.Location, f.Message)
	}
	return text.String()
}

// Is reports whether the problem is of a type: errors.Is(err, ErrNotFound).
func (p *Problem) Is(target error) bool {
	t, ok := target.(ProblemType)
	return ok && t == p.Type
}

// passing reports whether the same request may well succeed in a moment.
func (p *Problem) passing() bool {
	switch p.Type {
	case ErrRedisUnavailable, ErrStoreUnavailable, ErrOutcomeUnknown, ErrNotReady, ErrRateLimited, ErrOverloaded:
		return true
	case "": // not a problem of ours: a proxy in between
		return p.Status == 429 || p.Status == 502 || p.Status == 503 || p.Status == 504
	default:
		return false
	}
}
