// Package dev is a whole fleet in one process, for development and for the
// demo: a Redis, a model server, one dispatcher and some workers, each the same
// code as in its own binary.
//
// It is not a way to run a fleet in earnest: the embedded Redis is memory-only,
// the credentials are known to everybody (so it listens on loopback alone), and
// the simulated model server makes its answers up.
//
// # How it ends
//
// [Fleet.Close] drains the workers while the dispatcher still answers, then
// closes the door, then the model server and the Redis. [Fleet.Hurry] skips the
// drain's grace.
//
// # When things fail
//
// [Start] returns a running fleet or an error, and then leaves nothing behind.
// A part that ends by itself is told through [Fleet.Failed]; the others go on.
//
// # Files
//
//	dev.go          the configuration, the three credentials
//	fleet.go        start, drain one worker, close
//	process.go      one part of the fleet, its context and its end
//	simulation.go   the simulated model server on a port of its own
package dev
