// Package load is the people of a tortured fleet: owners who submit, read, kill
// and bring back what has parked, a stranger who tries to, and an admin who kills
// owners, the fleet and selections, freezes and thaws, blocks and lifts, and looks
// at every receipt until nobody is waited for.
//
// Everything they do follows from the seed. What they were answered is in the
// history; they judge nothing.
//
// # Files
//
//	load.go    who there is, and what they know of each other's jobs
//	submit.go  submitting, and what is submitted
//	orders.go  killing, freezing, blocking, and looking at receipts
//	rare.go    what is done seldom, or has to be done for a fault to strike
//	finish.go  the end of a run, when all faults are healed
package load
