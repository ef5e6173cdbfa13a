// Package control is the kill: durable first, delivered second, confirmed third.
//
// An order is written by one script that checks the owner again, marks what it
// covers, and leaves its audit entry and a hint. From that instant every other
// script refuses to start, resume or complete what it covers. The hint, on the
// control stream, makes it fast; the record makes it true. Dispatchers book the
// verdicts, fence what is silent, and tell people, in a receipt, what really
// happened.
//
// It grants nothing and runs nothing; a dispatcher cannot put a job on the road
// with it. It issues nothing without an access.Permit.
//
// # States of an order
//
//	recording ──▶ accepted ──▶ quiesced
//	some          every         waiting = 0: nobody holds
//	partitions    partition     authority any more
//
// # Invariants
//
// targeted = stopped + not_running + already_over + fenced + waiting, at every
// instant. The first order over a job wins. A horizon leaves the gate only when
// no live job stands behind it.
//
// # When things fail
//
// An order that Redis did not take is [job.ErrUnavailable], never a success. With
// several partitions the intent is in the order's home partition first; any
// dispatcher completes the others. A worker that hears nothing learns from its
// next renewal; one that cannot renew stops itself; one that is dead is fenced
// after T.
//
// # Files
//
//	redis.go    orders, gate, sweep, fence, the table of workers
//	orders.go   kill, kill-all, and the ids of orders
//	receipt.go  what an order did
//	gate.go     freeze and thaw
//	fleet.go    the view of the whole
//	watch.go    hints, as workers hear them
//	clerk.go    what dispatchers do in the background
//	lua/        the transitions
package control
