// Package drill proves that the fleet can be stopped, by stopping a part of it
// that does nothing else: canaries that run on real workers, are killed by real
// orders, one by one and by a selector, and are watched to their end.
//
// It is a client like any other, and touches no job but its own: every canary
// carries a label that only this drill has, and the selector is that label.
//
// # When things fail
//
// A fleet that is frozen, has no worker or no free slot cannot be drilled, and it
// says so before anything is submitted. Whatever ends a drill early, its canaries
// are killed behind it; what even that misses ends by itself after minutes.
//
// # Files
//
//	drill.go   the course of a drill
//	canary.go  one canary and who watches it
package drill
