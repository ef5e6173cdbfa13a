package cmd_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// probeWord: probe worker /healthz 200 [words of the answer]: waits until the
// worker's probe answers so.
func (s scene) probeWord(args []string) error {
	if err := need(args, 3, "probe worker path status [words]"); err != nil {
		return err
	}
	p := s.processes[args[0]]
	if p == nil {
		return fmt.Errorf("no process %s", args[0])
	}
	addr, err := p.said("worker listens for probes", "addr")
	if err != nil {
		return err
	}
	return eventually(func(ctx context.Context) error {
		status, text, err := page(ctx, "http://"+addr+args[1])
		if err != nil {
			return err
		}
		if got := strconv.Itoa(status); got != args[2] || !strings.Contains(string(text), strings.Join(args[3:], " ")) {
			return fmt.Errorf("%s of %s answers %s: %s", args[1], args[0], got, text)
		}
		return nil
	})
}
