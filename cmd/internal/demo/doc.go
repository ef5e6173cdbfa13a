// Package demo plays the main job of a fleet by itself, on an embedded one, and
// checks every step: a deliberation to its synthesis, a stranger's kill refused,
// the owner's kill confirmed, a worker drained and its job resumed elsewhere, a
// kill-all that is quiesced, the frozen fleet, the thaw, the audit.
//
// It is not a recording: everything goes through the API to real dispatcher and
// worker code, and the simulated model server is the witness of what was asked.
// It speaks of itself as simulated.
//
// # When things fail
//
// The first promise that is not kept ends the demo with an error that says what
// was promised and what happened instead.
//
// # Files
//
//	demo.go        the scenes in their order, the promises
//	submit.go      submitting, following, looking again until something is so
//	deliberate.go  the fleet, and a deliberation to its end
//	kill.go        one job, a stranger and its owner
//	drain.go       a worker leaves
//	stop.go        kill-all, frozen, thaw
//	audit.go       who did what, and what it cost
package demo
