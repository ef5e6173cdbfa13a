// Package rediskit is how the rooms talk to Redis: the table of every key, the
// script loader, the client options that the faults demand, and the partitions.
//
// It knows nothing of jobs beyond their ids, and makes no decision: those are
// in the rooms' scripts.
//
// # Scripts
//
// Each transition is one Lua file in its room's lua folder. Its header is the
// contract and the loader refuses a file whose body disagrees with it:
//
//	-- finish: running -> succeeded | failed | killed
//	-- KEYS:    keys the script writes, by their names in the key table
//	-- READS:   keys of the partition that it only reads; Redis's ACL refuses a
//	--          read-only key in KEYS, so they are built from the slot, as are
//	-- MAKES:   key prefixes of the same slot from which it builds keys
//	-- ARGV:    named arguments; a last one ending in * takes the rest
//	-- REPLY:   the words it answers with
//	-- FLAGS:   allow-oom where a full Redis must not stop it
//	-- INCLUDE: fragments from rediskit/lua, inlined before the body
//
// In the body K.name is a key, P.name a prefix and A.name an argument.
//
// # Keys
//
// Every key of a job lives in one hash slot, {fleet:P}, where P is its
// partition. The partition follows from the owner and is the last byte of the
// job's id.
//
// On a Cluster a script does nothing while its slot moves to another node: then
// some of its keys are on the one and some on the other.
//
// # When things fail
//
// Errors keep go-redis's types. [Outcome] says what a failed call left behind:
// nothing happened, or nobody knows. Every write script answers a retry with
// the same success, so "nobody knows" is answered by sending it again.
//
// # Files
//
//	keys.go     the key table
//	script.go   the loader and its checks
//	moves.go    the moves a header names
//	run.go      calling a script
//	reply.go    reading what it answered
//	partitions.go ids, owners and partitions
//	options.go  three clients and their deadlines
//	durable.go  what an answer promises: waiting for replicas
//	outcome.go  what a failed call left behind
//	startup.go  what a Redis must be before a fleet runs on it
//	embedded.go the memory-only Redis of gavel dev
package rediskit
