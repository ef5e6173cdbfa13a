// Command bench measures Gavel beside the floor that Redis sets, and beside its
// peers, in one run on one Redis, and prints the ratios.
//
//	make bench            all figures, also written to bench/results.json
//	bench -only kill      one group
//
// Absolute figures are this machine's; the ratios travel better. Every row names
// its conditions. It is a module of its own, so that no peer becomes a
// dependency of the product.
//
// # Files
//
//	main.go    flags, the order of things, the table
//	rows.go    results
//	fleet.go   a Gavel fleet in this process
//	kill.go    kill latencies
//	killall.go one order over a whole fleet
//	backlog.go the same with a million jobs waiting
//	flow.go    submit to done
//	peer.go    what is asked of every system, and the waiting for it
//	burst.go   many running jobs, killed as one order and one by one
//	door.go    kills over HTTP
//	asynq.go   asynq
//	river.go   River
//	seed.go    a backlog
//	server.go  a redis-server of our own
//	postgres.go  a PostgreSQL of our own
package main
