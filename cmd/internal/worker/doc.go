// Package worker wires a worker process: settings, rooms, signals.
//
// It has no door for clients: it never imports the API. Its only listener
// answers probes.
//
// # Files
//
//	metrics.go   what is counted of it
//	traces.go    which spans it makes
//	config.go  flags and environment
//	wire.go    the rooms joined
//	models.go   servers and models by role
//	programs.go the kinds that child processes run
//	health.go  probes
//	main.go    one process from start to exit
package worker
