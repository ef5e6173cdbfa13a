// Package comparison puts the same problems to a model twice: as one plain call,
// and as a deliberation, and writes down what each gave and cost. The graph is
// the real one; it runs here without a fleet, without leases and without a
// budget.
//
// docs/what-deliberation-adds.md is its output on the simulated model server, and
// a test holds it to that:
//
//	go test ./cmd/internal/comparison -update
//
// # When things fail
//
// The first call that fails for good ends the comparison.
//
// # Files
//
//	comparison.go  both ways of asking
//	memory.go      what a deliberation needs of a worker, in memory
//	document.go    the document
package comparison
