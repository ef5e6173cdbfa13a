// Package model asks a chat model one question over an OpenAI-compatible HTTP
// endpoint and streams the answer. It is the only room that knows that protocol
// and the SDK that speaks it.
//
// It is not a policy: it makes exactly one request per call of [Client.Chat] and
// never retries, so that no request goes out that nobody reserved money for. It
// knows nothing of jobs, prices or prompts.
//
// # The last statement before the request
//
// Whoever pays passes a function "before". It runs when a connection is up, when
// name lookup, dialling and TLS are over, inside the write that would put the
// first byte of the request on the wire. If it refuses, not one byte is written,
// the connection is thrown away, and Chat returns the refusal. When Chat has
// returned, before is not called again.
//
// # One socket per call
//
// HTTP/1.1 only: a call owns its connection, and cancelling its context closes
// the socket, which is the one way of saying "stop" that every provider sees.
//
// # States of a call
//
//	refused   before said no: nothing was sent, nothing is owed (Reply.Sent false)
//	sent      the server may be working and may bill
//	complete  the answer ended with a finish reason; usage is confirmed or not
//	broken    any error after sent: Reply says how much had arrived by then
//
// # Invariants
//
//   - One call, at most one request on the wire.
//   - An answer is never longer than its cap, however long the stream is.
//   - A call ends: silence, slowness and length are each bounded.
//   - Reply.Reported is true only for counts that the provider stated, at the end
//     of the stream or, with Config.Bills, when it was asked after a cut.
//
// # When things fail
//
// A status of 400 and above is a [*StatusError] with the server's Retry-After. A
// stream that breaks off is [ErrCut], one that falls silent [ErrStalled], one
// that does not end [ErrTooLong], a 200 that is no event stream [ErrProtocol].
// When the caller's context is cancelled Chat returns its cause. [Retryable]
// says which of them another request may cure.
//
// # Files
//
//	model.go      request, reply, errors
//	client.go     the client and the course of one call
//	transport.go  the gate before the request and the cap on the response
//	bill.go       what a server bills for an answer that was cut
package model
