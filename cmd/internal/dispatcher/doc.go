// Package dispatcher wires a dispatcher process: settings, rooms, the HTTP door
// and the clerk that completes, books and fences orders.
//
// It cannot run a job: it imports neither the leases' keeper nor an executor.
//
// # Files
//
//	config.go  flags and environment
//	wire.go    the rooms joined
//	identity.go  whose credentials are taken
//	forget.go    what goes when its time is over
//	money.go   windows and caps
//	drill.go   the last kill drill, for the metrics
//	audit.go   who seals the audit, with which key
//	main.go    one process from start to exit
package dispatcher
