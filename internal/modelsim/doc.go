// Package modelsim is a simulated model server: an HTTP handler that speaks the
// OpenAI chat completions protocol, streaming and usage included, and answers
// the questions of a deliberation with text that reads like one.
//
// It is not a model: its texts are assembled from the prompt and from phrases,
// and say "[simulated]". It is not a proxy and needs no network. It exists so
// that the real client runs in the demo and in tests, and as the witness of
// what was asked, what had to be billed and when a client hung up.
//
// # Determinism
//
// An answer depends on the seeds (the server's and the request's), the model's
// name and the messages; on nothing else, neither time nor order nor headers.
// Whether a request is struck by a fault depends on the server's seed, the call
// it belongs to and how often that call was asked before, so that a retry can
// succeed and a run can be repeated.
//
// # The witness
//
// Every request is recorded at its arrival, with the job and the call that the
// client names in its headers, and again at its end: what was billed, whether
// and when the client closed the connection. Billed are the tokens that had
// been produced by then, or all of them with [Config.BillWhole], as some
// providers do. A refused request is not billed. What was billed is told to whoever
// asks by the answer's id, once it has ended.
//
// # Invariants
//
//   - requests = in flight + completed + cut + refused, at every instant.
//   - What is billed never shrinks.
//   - A stream that was begun ends: by its last token, by the client, by a fault.
//
// # When things fail
//
// A request it does not understand is answered as the protocol has it: 400 with
// an error object. It fails on purpose as configured; see [Fault]. A log that
// cannot be written is reported by [Server.Err] and does not stop the server.
//
// # Files
//
//	server.go   configuration, routes, one request
//	stream.go   the wire: chunks, pace, faults in mid-stream
//	fault.go    failing on purpose
//	bill.go     what was billed, for whoever asks
//	witness.go  records, totals, waiting for them
//	prompt.go   reading the prompt's sections
//	answer.go   the structured answers
//	speech.go   the prose
package modelsim
