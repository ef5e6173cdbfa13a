//go:build unix && !linux

package process

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"
)

// household does nothing: only Linux gives orphans to an ancestor. A descendant that
// leaves the program's process group outlives the job here.
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

func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// kin is the process group of one job.
type kin struct {
	leader int
	state  *os.ProcessState
}

func (k *kin) signal(s syscall.Signal) { _ = syscall.Kill(-k.leader, s) }

// ended waits until the program has exited, and reaps it.
func (k *kin) ended(p *os.Process) (err error) {
	if k.state, err = p.Wait(); err != nil {
		return fmt.Errorf("wait for process %d: %w", k.leader, err)
	}
	return nil
}

func (k *kin) reap(*os.Process) (*os.ProcessState, error) { return k.state, nil }

func (k *kin) remember() {}

// sweep kills the group until it is empty.
func (k *kin) sweep(ctx context.Context) (int, error) {
	for syscall.Kill(-k.leader, syscall.SIGKILL) == nil {
		if !sleep(ctx, 5*time.Millisecond) {
			return 0, fmt.Errorf("the process group %d does not die", k.leader)
		}
	}
	return 0, nil
}
