package redistest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// process is a redis-server that is a child of the tests.
type process struct {
	bin  string
	port int
	o    Options
	dir  string // made here when the options name none

	cmd  *exec.Cmd
	log  *tail
	gone chan struct{} // closed when the child was waited for
}

// startProcess starts a redis-server on a free port. Ports are drawn below the
// range from which the kernel gives out client ports, so that a port which
// has been free once is still free at a restart.
func startProcess(ctx context.Context, bin string, o Options) (engine, error) {
	p := &process{bin: bin, o: o, dir: o.AOF}
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "gavel-redis-")
		if err != nil {
			return nil, fmt.Errorf("a directory for redis-server: %w", err)
		}
		p.dir = dir
	}
	var err error
	for range 10 {
		p.port = freePort()
		if err = p.start(ctx); err == nil {
			return p, nil
		}
	}
	return nil, errors.Join(err, p.remove())
}

func freePort() int {
	for {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
}

func (p *process) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

func (p *process) start(ctx context.Context) error {
	args := slices.Concat(p.o.ahead, []string{"--port", strconv.Itoa(p.port), "--bind", "127.0.0.1"}, p.o.args(p.dir))
	p.cmd, p.log, p.gone = exec.Command(p.bin, args...), &tail{}, make(chan struct{})
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = diesWithTests()
	if err := p.spawn(); err != nil {
		return fmt.Errorf("start %s: %w", p.bin, err)
	}
	if err := p.ready(ctx); err != nil {
		return fmt.Errorf("%w; it wrote:\n%s", err, p.log.String())
	}
	return nil
}

// spawn starts the child from a thread that does nothing else and lives until
// the child is gone: the kernel ties the child's life to its parent thread.
func (p *process) spawn() error {
	started := make(chan error, 1)
	cmd, gone := p.cmd, p.gone
	go func() {
		defer close(gone)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is seen by whoever ended it
		}
	}()
	return <-started
}

// ready waits until the child itself answers on its port.
func (p *process) ready(ctx context.Context) error {
	c := redis.NewClient(&redis.Options{Addr: p.addr(), MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = c.Close() }()
	want := "process_id:" + strconv.Itoa(p.cmd.Process.Pid) + "\r\n"
	for {
		info, err := c.Info(ctx, "server").Result()
		switch {
		case err == nil && strings.Contains(info, want):
			return nil
		case err == nil:
			return errors.Join(fmt.Errorf("another server listens on %s", p.addr()), p.kill())
		}
		select {
		case <-p.gone:
			return fmt.Errorf("redis-server ended at its start (%s)", p.cmd.ProcessState)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("redis-server did not answer: %w", err), p.kill())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill redis-server: %w", err)
	}
	<-p.gone
	return nil
}

func (p *process) freeze(frozen bool) error {
	sig := syscall.SIGCONT
	if frozen {
		sig = syscall.SIGSTOP
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("send %s to redis-server: %w", sig, err)
	}
	return nil
}

func (p *process) remove() error {
	err := p.kill()
	if p.o.AOF == "" {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}
