// Package api is the HTTP door of the dispatcher: it authenticates, authorises,
// checks what it is given, and asks the rooms behind it. It is the only place
// that knows HTTP, and errors.go the only one that turns errors into answers.
//
// It is not where anything is decided about a job: the scripts decide, and
// check the owner again. It cannot run a job, and it never speaks to Redis; the
// interfaces it needs are in doors.go, in its own words.
//
// # The way of a request
//
//	guard.go   request id, wire, host, route, credential, share, key, body: each refused in that order
//	a route    decodes the body strictly, authorises, asks a room
//	views.go   shows the answer, or errors.go the problem
//
// # Invariants
//
// What is not yours is answered with the same bytes as what does not exist,
// whatever is asked of it. A refused control act leaves an audit entry: the
// script's own where one ran, the door's where none did; when the entry cannot
// be written, the answer is 503. A kill is carried on when its caller leaves.
// Only a receipt whose stage is quiesced is answered with 200; an order still
// under way is 202. An order issued through /v1/orders was previewed by the same
// actor with the same scope within the last minute, or says that it breaks glass.
// Each subject has a share of submits, of reads and of controls; a control is
// never shed because the dispatcher is busy.
//
// # When things fail
//
// Redis away: 503 redis-unavailable with Retry-After. A reply lost: 503
// outcome-unknown, and the same request with the same key may be sent again. An
// error nobody expected: 500, its detail in the log only.
//
// # Files
//
//	doors.go    what the door needs from the rooms
//	door.go     its configuration, its routes
//	guard.go    what is wrong with a request as such
//	limit.go    each subject's share, and what a busy dispatcher sheds
//	strict.go   JSON without the standard decoder's leniency
//	problem.go  the problems and their types
//	errors.go   errors to problems
//	submit.go   POST /v1/jobs
//	answer.go   answers to a job that asks its owner
//	jobs.go     reading jobs, lists, results
//	events.go   the event stream of a job
//	kill.go     kill, kill-all
//	issue.go    preview an order, issue it
//	orders.go   reading orders
//	follow.go   the event stream of an order
//	blocks.go   standing orders
//	receipts.go what a kill answers, and waiting for its end
//	drills.go   what kill drills came to
//	fleet.go    the fleet, freeze, thaw
//	watch.go    the event stream of the fleet
//	me.go       who the caller is
//	checkpoints.go  the states a job can be resumed from
//	transcript.go  the calls of a job that asked to have them kept
//	resume.go   resume a parked job, go on from one that is over
//	spend.go    what is being spent, and by whom
//	budgets.go  what may be spent
//	keys.go     API keys: made, listed, revoked
//	log.go      the audit: searched, and as it is, for those who verify it
//	views.go    how things look in JSON
//	cursor.go   signed cursors
//	server.go   the limits of the server
package api
