// Command torture proves Gavel: it runs a fleet of the real binaries on a real
// Redis, has people submit, kill, freeze and look, strikes all of it with faults
// for a while, and then judges what everybody saw by checkers that share nothing
// with the product.
//
//	torture -bin DIR -for 8m          a run, judged
//	torture -replay DIR               the same seed and schedule again
//	torture judge DIR                 the history of a run, judged again
//	torture sum DIR...                what several runs did, in one
//	torture clock DIR                 a worker whose clock can be moved, beside the binaries
//	torture mutants                   broken builds, each of which must be caught
//
// # Files
//
//	main.go    flags
//	run.go     one run from start to judgement
//	report.go  what people read
//	figures.go what machines read: figures.json
//	sum.go     several runs, added up
//	points.go  where processes were killed, as people read it
//	mutants.go broken builds
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		code = 2
	}
	os.Exit(code)
}
