// Package history is what a torture run leaves behind: who asked what, when,
// and what came back; what the witness saw; which faults struck; and what Redis
// held at the end. Everything is in files of JSON, so that a run can be judged
// again, elsewhere, by a program that shares nothing with the product.
//
// # Events
//
// Each proc (a client, the witness, the nemesis, …) appends to a file of its own,
// one event a line. An act is an invoke and, with the same id, one of
//
//	ok    it was done, as the result says
//	fail  it was not done
//	info  nobody knows: it may take effect at any later time
//
// Times are nanoseconds on one monotonic clock: all procs are goroutines of one
// process that no fault strikes. Redis's clock is the same machine's wall clock;
// every event carries that too.
//
// # Files
//
//	event.go  events, and reading a run's
//	log.go    writing them
//	dump.go   what Redis held
package history
