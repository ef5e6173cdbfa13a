// Package nemesis is what strikes a tortured fleet. Each fault is drawn from a
// shuffled deck, so that a run deals all of them before it deals one twice, and
// its parameters follow from the seed and its place in the schedule. Two hands
// deal at once: one for Redis, the dispatchers and the witness, one for the
// workers and their links, so that faults of both kinds meet.
//
// A fault that changed nothing proves nothing: each counts how often it has
// bitten, in a unit of its own, and the report says which never did.
//
// # Files
//
//	deck.go    the decks and the hands that deal them
//	workers.go what happens to workers
//	links.go   what happens between a worker and Redis
//	redis.go   what happens to Redis
//	host.go    what happens to its host and its file, and by its operator
//	losses.go  what may lose what Redis was told, and nodes that fail over
//	splits.go  what happens between nodes, to their quorum, and to slots
//	points.go  a process killed at each call of a script
//	doors.go   what happens to dispatchers, the witness, and by people
package nemesis
