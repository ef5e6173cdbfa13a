package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// Problem is an RFC 9457 problem: how every failure looks from outside. Its
// Type is stable; Detail is for people and may change.
type Problem struct {
	Type   string `json:"type" format:"uri" doc:"A stable name of what went wrong" example:"urn:gavel:problem:fleet-frozen"`
	Title  string `json:"title" doc:"The type in words"`
	Status int    `json:"status" doc:"The HTTP status"`
	Detail string `json:"detail,omitempty" doc:"What was wrong this time and what to do, for people"`

	Rule     string       `json:"rule,omitempty" doc:"Which rule denied the act"`
	Order    string       `json:"order,omitempty" doc:"The order that refuses the job"`
	Job      string       `json:"job,omitempty" doc:"The job that the idempotency key stands for"`
	Reason   string       `json:"reason,omitempty" doc:"Why the fleet is frozen or the job refused"`
	Incident string       `json:"incident,omitempty" doc:"The incident it belongs to"`
	Head     string       `json:"head,omitempty" doc:"The gate's head as it is now"`
	Window   *reachedView `json:"window,omitempty" doc:"The window that is used up"`
	Errors   []Fault      `json:"errors,omitempty" doc:"Each parameter that was refused"`

	retryAfter time.Duration
	headers    http.Header
}

// Fault is one parameter that was refused.
type Fault struct {
	Location string `json:"location" doc:"Where it stands" example:"query.limit"`
	Message  string `json:"message" doc:"What is wrong with it"`
}

// reachedView is a window that is used up.
type reachedView struct {
	Of       string       `json:"of" enum:"owner,fleet" doc:"Whose window it is"`
	Cap      job.MicroUSD `json:"cap_micro_usd"`
	Spent    job.MicroUSD `json:"spent_micro_usd"`
	Reserved job.MicroUSD `json:"reserved_micro_usd" doc:"Set aside for calls in flight"`
	EndsAt   time.Time    `json:"ends_at" doc:"When the next window begins, on the money's clock"`
}

const problemType = "application/problem+json"

// The types. They are part of the API: a client branches on them.
const (
	typeUnauthenticated  = "unauthenticated"
	typeForbidden        = "forbidden"
	typeNotFound         = "not-found"
	typeNoRoute          = "no-such-route"
	typeMethod           = "method-not-allowed"
	typeMalformed        = "malformed-request"
	typeInvalid          = "invalid-input"
	typeUnknownKind      = "unknown-kind"
	typeBadCursor        = "bad-cursor"
	typeConfirm          = "confirm-mismatch"
	typePreview          = "preview-required"
	typeTooManyBlocks    = "too-many-blocks"
	typeLength           = "length-required"
	typeTooLarge         = "body-too-large"
	typeMedia            = "unsupported-media-type"
	typeTimeout          = "request-timeout"
	typeMisdirected      = "misdirected-request"
	typeConflict         = "idempotency-conflict"
	typeGateChanged      = "gate-changed"
	typeNotOver          = "job-not-over"
	typeNotParked        = "job-not-parked"
	typeBudgetUsedUp     = "budget-used-up"
	typeNoCheckpoint     = "no-checkpoint"
	typeDamaged          = "checkpoint-damaged"
	typeStoreAway        = "store-unavailable"
	typeBlocked          = "blocked-by-order"
	typeCapReached       = "cap-reached"
	typeNotWaiting       = "job-not-waiting"
	typeFrozen           = "fleet-frozen"
	typeRedisUnavailable = "redis-unavailable"
	typeOutcomeUnknown   = "outcome-unknown"
	typeAuthorityLost    = "authority-lost"
	typeTooManyKeys      = "too-many-keys"
	typeNotReady         = "not-ready"
	typeIdentity         = "identity-unavailable"
	typeRateLimited      = "rate-limited"
	typeOverloaded       = "overloaded"
	typeInternal         = "internal"
)

// problem builds one of a type of ours.
func problem(status int, kind, title, detail string) *Problem {
	return &Problem{Type: "urn:gavel:problem:" + kind, Title: title, Status: status, Detail: detail}
}

func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus is part of huma's view of an error.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is part of huma's view of an error.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders is part of huma's view of an error.
func (p *Problem) GetHeaders() http.Header {
	h := p.headers.Clone()
	if h == nil {
		h = http.Header{}
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	return h
}

func (p *Problem) after(d time.Duration) *Problem { p.retryAfter = d; return p }

func (p *Problem) with(header, value string) *Problem {
	if p.headers == nil {
		p.headers = http.Header{}
	}
	p.headers.Set(header, value)
	return p
}

func malformed(detail string) *Problem {
	return problem(http.StatusBadRequest, typeMalformed, "The request is malformed", detail)
}

func invalid(detail string) *Problem {
	return problem(http.StatusUnprocessableEntity, typeInvalid, "The request is refused", detail)
}

func notFound() *Problem {
	return problem(http.StatusNotFound, typeNotFound, "No such thing",
		"There is nothing with this id that you may see. Check the id, and that your credential belongs to its owner.")
}
