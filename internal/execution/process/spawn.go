package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// ErrClosed is returned for a job that comes after [Executor.Close].
var ErrClosed = errors.New("the executor is closed")

// spawner starts programs from one OS thread that lives as long as it does. The
// kernel kills a child with the thread that made it, and Go ends threads when
// it likes.
type spawner struct {
	house *household
	asks  chan ask
	quit  chan struct{}
	done  chan struct{}
}

type ask struct {
	path  string
	argv  []string
	attr  *os.ProcAttr
	reply chan started
}

type started struct {
	proc *os.Process
	err  error
}

func newSpawner(h *household) *spawner {
	s := &spawner{house: h, asks: make(chan ask), quit: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	defer close(s.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case <-s.quit:
			return
		case a := <-s.asks:
			p, err := os.StartProcess(a.path, a.argv, a.attr)
			a.reply <- started{p, err}
		}
	}
}

func (s *spawner) start(path string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	a := ask{path, argv, attr, make(chan started, 1)}
	select {
	case <-s.quit:
		return nil, ErrClosed
	case s.asks <- a:
	}
	got := <-a.reply
	if got.err != nil {
		return nil, fmt.Errorf("start the program: %w", got.err)
	}
	return got.proc, nil
}

func (s *spawner) close() {
	close(s.quit)
	<-s.done
}

// child is a program that runs, and our ends of its pipes.
type child struct {
	proc                  *os.Process
	kin                   *kin
	stdin, stdout, stderr *os.File
}

// spawn starts a command in a session and a process group of its own.
func (s *spawner) spawn(c command, env []string) (*child, error) {
	var ours, theirs [3]*os.File
	defer func() { closeAll(theirs) }()
	for i := range ours {
		var err error
		if ours[i], theirs[i], err = pipe(i == 0); err != nil {
			closeAll(ours)
			return nil, err
		}
	}
	proc, k, err := s.house.bear(func(mark []string) (*os.Process, error) {
		attr := &os.ProcAttr{Dir: c.dir, Env: append(append(env, c.env...), mark...), Files: theirs[:], Sys: apart()}
		return s.start(c.path, c.argv, attr)
	})
	if err != nil {
		closeAll(ours)
		return nil, err
	}
	return &child{proc: proc, kin: k, stdin: ours[0], stdout: ours[1], stderr: ours[2]}, nil
}

// pipe returns our end and the child's. The child reads from the first one.
func pipe(childReads bool) (ours, theirs *os.File, err error) {
	r, w, err := os.Pipe()
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("make a pipe for the program: %w", err)
	case childReads:
		return w, r, nil
	default:
		return r, w, nil
	}
}

func closeAll(files [3]*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}
