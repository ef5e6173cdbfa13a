// Package rig is the ground on which a fleet is tortured: the real binaries as
// processes, a real Redis with its append-only file, a link of its own between
// each process and Redis, clients that ask over HTTP, and the witness, an
// outsider that is sent every paid call.
//
// It uses the binaries and nothing else of the product. No process outlives the
// rig: each is tied by the kernel to the thread that started it.
//
// # Files
//
//	rig.go      the fleet: who there is, what they are told
//	member.go   a place for a process, one after the other
//	process.go  a binary that runs
//	redis.go    the Redis, what is done to it, what it holds
//	host.go     its clock, its file and its disk; limits of processes
//	shim/       what moves its clock
//	topology.go a Redis of several nodes: under sentinels, or a cluster
//	splits.go   nodes cut off from nodes, a quorum gone, a slot on its way
//	net.go      a network that nobody else is in
//	link.go     a link that fails on command
//	pump.go     one direction of one of its connections
//	scripts.go  what processes call, and how it is told what they call
//	ambush.go   a process killed as it calls that, or behind it
//	witness.go  the outsider
//	whose.go    which process a connection belongs to
//	client.go   asking over HTTP, and writing it down
//	size.go     how large everybody is
//	stall.go    how long this machine kept even the rig waiting
package rig
