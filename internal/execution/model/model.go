package model

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Role is who says a message.
type Role string

// The roles of a conversation.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one turn of a conversation.
type Message struct {
	Role Role
	Text string
}

// Request is one question.
type Request struct {
	Model    string
	Messages []Message
	// MaxTokens is the most the answer may take; it must be positive.
	MaxTokens int
	// Seed asks servers that support it for the same answer to the same question.
	Seed int64
	// Job and Call travel in the headers [HeaderJob] and [HeaderCall].
	Job, Call string
	// Alive, when set, is called for everything that arrives.
	Alive func()
}

// The headers that name the job and the call to the model server, so that its
// log can be held against ours.
const (
	HeaderJob  = "X-Gavel-Job"
	HeaderCall = "X-Gavel-Call"
)

// Reply is what came back, also when Chat returns an error: then it says how far
// the call had come.
type Reply struct {
	Text string
	// Refusal is set when the model declined to answer.
	Refusal string
	// Finish is the provider's reason for ending: stop, length, content_filter.
	Finish string
	// Sent reports whether any of the request may have reached the server. If not,
	// nothing is owed.
	Sent bool
	// Reported reports whether the provider stated the two counts.
	Reported                  bool
	InputTokens, OutputTokens int
	// Received is how many bytes of answer had arrived, in how many Chunks; a
	// model that thinks in silence sends chunks without bytes.
	Received, Chunks int
}

var (
	// ErrCut is wrapped when a stream ended before the answer did.
	ErrCut = errors.New("the model's stream broke off")
	// ErrStalled is wrapped when a server took the request and then said nothing
	// for too long, before or in the middle of its answer.
	ErrStalled = errors.New("the model server fell silent")
	// ErrTooLong is wrapped when an answer passed its cap. The rest was not read.
	ErrTooLong = errors.New("the model's answer does not end")
	// ErrProtocol is wrapped when a server answered with something that is no
	// chat completion stream; the base URL is probably wrong.
	ErrProtocol = errors.New("not a chat completion stream")
)

// StatusError is a refusal by the server. Nothing is owed for it.
type StatusError struct {
	Status  int
	Message string
	// RetryAfter is how long the server asks to be left alone; 0 if it does not say.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("model server answered %d %s", e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Retryable reports whether the same question may be answered if it is asked
// again: the server was busy, broken or out of reach. It is false for a refusal
// that will stay one, for an answer without end, and for a cancelled context.
func Retryable(err error) bool {
	var status *StatusError
	switch {
	case err == nil,
		errors.Is(err, context.Canceled),
		errors.Is(err, ErrTooLong),
		errors.Is(err, ErrProtocol),
		errors.Is(err, errRefused):
		return false
	case errors.As(err, &status):
		return status.Status >= http.StatusInternalServerError ||
			status.Status == http.StatusTooManyRequests ||
			status.Status == http.StatusRequestTimeout ||
			status.Status == http.StatusConflict
	default:
		return true
	}
}
