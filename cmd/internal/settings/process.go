package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Process runs a binary under the one owner of its signals: the first SIGTERM
// or SIGINT ends ctx, each further one is a value on hurry. It returns the exit
// code: 0 for a clean end, what the error's ExitCode says if it has one, 1
// otherwise; and says why on stderr.
func Process(stderr io.Writer, run func(ctx context.Context, hurry <-chan struct{}) error) int {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // the first context of the process
	defer cancel()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	hurry, over := make(chan struct{}, 1), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		relay(signals, cancel, hurry, over)
	}()
	err := run(ctx, hurry)
	close(over)
	<-done
	if err == nil || errors.Is(err, ErrHelp) {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, err)
	if errors.Is(err, ErrLeft) {
		return 0
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

func relay(signals <-chan os.Signal, first func(), hurry chan<- struct{}, over <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-signals:
		}
		if n == 0 {
			first()
			continue
		}
		select {
		case hurry <- struct{}{}:
		default:
		}
	}
}
