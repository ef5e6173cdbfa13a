//go:build !unix

package process

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// household does nothing: there are no process groups here, and what a program
// starts outlives the job.
type household struct{}

func found() (*household, error) { return &household{}, nil }

// bear starts a program by start.
func (*household) bear(start func(mark []string) (*os.Process, error)) (*os.Process, *kin, error) {
	p, err := start(nil)
	if err != nil {
		return nil, nil, err
	}
	return p, &kin{leader: p.Pid}, nil
}

func leftovers() int { return 0 }

func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// kin is the program alone.
type kin struct {
	leader int
	state  *os.ProcessState
}

// signal kills: no milder word is understood everywhere.
func (k *kin) signal(syscall.Signal) {
	if p, err := os.FindProcess(k.leader); err == nil {
		_ = p.Kill()
		_ = p.Release()
	}
}

// ended waits until the program has exited, and reaps it.
func (k *kin) ended(p *os.Process) (err error) {
	if k.state, err = p.Wait(); err != nil {
		return fmt.Errorf("wait for process %d: %w", k.leader, err)
	}
	return nil
}

func (k *kin) reap(*os.Process) (*os.ProcessState, error) { return k.state, nil }

func (k *kin) remember() {}

func (k *kin) sweep(context.Context) (int, error) { return 0, nil }
