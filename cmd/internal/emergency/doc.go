// Package emergency stops a fleet whose dispatchers are gone.
//
// It does, for one order, what a dispatcher does: it issues the order with the
// code of the control room, in every partition, and is the clerk who sees it
// through, completing, booking, fencing. Who may is decided by Redis: it takes
// the dispatchers' own user. It has no door, creates no fleet, and cannot run a
// job.
//
// # When things fail
//
// While Redis does not answer, the order is sent again under the same key, and
// is one order however often it arrives. Whatever ends this process leaves the
// order in force: a dispatcher that comes back goes on with it.
//
// # Files
//
//	emergency.go  find the fleet, order, watch until it is over
//	view.go       receipts and the fleet, as the API shows them
package emergency
