// Package control is the kill: durable first, delivered second, confirmed third.
//
// An order is written by one script that checks the owner again, marks what it
// covers, and leaves its audit entry and a hint. From that instant every other
// script refuses to start, resume or complete what it covers. The hint, on the
// control stream, makes it fast; the record makes it true. Dispatchers book the
// verdicts, fence what is silent, and tell people, in a receipt, what really
// happened.
//
// A standing order, a block, kills nothing: it refuses and puts aside until it
// is lifted.
//
// It grants nothing and runs nothing. The only jobs that it puts on the road are
// those that a block had put aside. It issues nothing without an access.Permit.
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
// instant; a selector order's targeted grows while its walk goes on, and it is
// quiesced only behind it. The first order over a job wins. A horizon leaves the
// gate only when no live job stands behind it. An order leaves its home only when
// every partition has it, and any other partition only when its home has it.
//
// A selector is met by a walk over what lived when the order was recorded, so a
// job may still start or end between that instant and the chunk that meets it;
// from that chunk on it is dead. Whatever must stop in one instant is an owner's
// or the fleet's order.
//
// # When things fail
//
// An order that Redis did not take is [job.ErrUnavailable], never a success. With
// several partitions it is in force where it was taken, also when its home is away;
// any dispatcher completes the others: its home's clerk all of them, any other's
// its home. A receipt is recording, and names the partitions its sums are without,
// while one lacks the order or cannot be read. A worker that hears nothing learns from its
// next renewal; one that cannot renew stops itself; one that is dead is fenced
// after T.
//
// A restore, a FLUSHALL or a failover that loses data takes a gate back. Every
// process remembers the gate's head, number.random, and how many acts were
// audited; one whose memory the gate does not have starts nothing, admits nothing
// and opens nothing until an admin adopts the gate, and a dispatcher asserts the
// orders, blocks and the freeze that it remembers again. A worker alone remembers
// no more than that it must not start anything.
//
// # Files
//
//	redis.go    orders, gate, sweep, fence, the table of workers
//	orders.go   kill, kill-all, and the ids of orders
//	selector.go what a selector asks for, recorded and walked over
//	preview.go  what an order would reach
//	blocks.go   standing orders
//	receipt.go  what an order did
//	gate.go     freeze and thaw
//	fleet.go    the view of the whole
//	watch.go    hints, as workers hear them
//	memory.go   what this process has seen of the gates
//	authority.go noticing that a gate lost it, asserting it again, adopting
//	drill.go    what a kill drill came to
//	clerk.go    what dispatchers do in the background
//	chunks.go   how many jobs a walk takes at once
//	retire.go   how long orders are kept
//	lua/        the transitions
package control
