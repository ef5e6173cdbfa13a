package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// startPatience is how long a process may take to say that it is there.
const startPatience = 30 * time.Second

// process is a binary that runs, and its log.
type process struct {
	name    string
	cmd     *exec.Cmd
	log     *os.File
	gone    chan struct{} // closed when it was waited for
	stopped atomic.Bool   // by SIGSTOP

	mu   sync.Mutex
	tail []byte
	wait string // what is looked for in the log
	said chan struct{}
}

// launch starts a binary and waits until it says a word in its log, if one is
// given. The thread that starts it lives as long as it does, for the kernel
// ties its life to that.
func launch(dir, name, word string, cmd *exec.Cmd) (*process, error) {
	f, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: f, gone: make(chan struct{}), said: make(chan struct{}), wait: word}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		defer close(p.gone)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is asked for by those who ended it
		}
		_ = f.Close()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if word == "" {
		return p, nil
	}
	select {
	case <-p.said:
		return p, nil
	case <-p.gone:
		return nil, fmt.Errorf("%s ended at its start (%s), see %s", name, cmd.ProcessState, f.Name())
	case <-time.After(startPatience):
		p.kill()
		return nil, fmt.Errorf("%s has not said %q within %s, see %s", name, word, startPatience, f.Name())
	}
}

// Write takes what the process logs.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	if p.wait != "" {
		p.tail = append(p.tail, b...)
		if strings.Contains(string(p.tail), p.wait) {
			p.wait, p.tail = "", nil
			close(p.said)
		}
	}
	p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) alive() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

func (p *process) signal(sig syscall.Signal) error {
	switch sig { //nolint:exhaustive // the others stop nothing
	case syscall.SIGSTOP:
		p.stopped.Store(true)
	case syscall.SIGCONT:
		p.stopped.Store(false)
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", sig, p.name, err)
	}
	return nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.gone
}

// ends waits for the process's end and returns its exit code, -1 for a signal.
func (p *process) ends(within time.Duration) (int, bool) {
	select {
	case <-p.gone:
		return p.cmd.ProcessState.ExitCode(), true
	case <-time.After(within):
		return 0, false
	}
}
