package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a story waits for what must happen. It is long: it ends
// stories that went wrong, and judges none.
const patience = time.Minute

// process is a binary that runs, and what it logs.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *journal
	gone chan struct{} // closed when it was waited for
}

// journal is what a process wrote, line by line.
type journal struct {
	mu      sync.Mutex
	rest    []byte
	lines   []string
	changed chan struct{}
}

func newJournal() *journal { return &journal{changed: make(chan struct{})} }

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rest = append(j.rest, b...)
	for {
		i := bytes.IndexByte(j.rest, '\n')
		if i < 0 {
			break
		}
		j.lines = append(j.lines, string(j.rest[:i]))
		j.rest = j.rest[i+1:]
	}
	close(j.changed)
	j.changed = make(chan struct{})
	return len(b), nil
}

// find is the first line that matches.
func (j *journal) find(match *regexp.Regexp) (line string, found bool, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lines {
		if match.MatchString(l) {
			return l, true, nil
		}
	}
	return "", false, j.changed
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n") + string(j.rest)
}

// launch starts a binary. Its thread lives as long as it does, for the kernel
// ties its life to that.
func launch(name, binary string, env []string, args ...string) (*process, error) {
	p := &process{name: name, log: newJournal(), gone: make(chan struct{})}
	p.cmd = exec.Command(binary, args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p.log, p.log
	p.cmd.SysProcAttr = diesWithStory()
	started := make(chan error, 1)
	go func() {
		defer close(p.gone)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // its code is asked for by exits
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// logged waits for a line.
func (p *process) logged(match *regexp.Regexp) (string, error) {
	late := time.After(patience)
	for {
		line, found, changed := p.log.find(match)
		if found {
			return line, nil
		}
		select {
		case <-changed:
		case <-p.gone:
			if line, found, _ := p.log.find(match); found {
				return line, nil
			}
			return "", fmt.Errorf("%s ended (%s) and never logged %s", p.name, p.cmd.ProcessState, match)
		case <-late:
			return "", fmt.Errorf("%s has not logged %s within %s", p.name, match, patience)
		}
	}
}

// said waits for a log line with this message and returns one of its fields.
func (p *process) said(message, field string) (string, error) {
	line, err := p.logged(regexp.MustCompile(`"msg":"` + regexp.QuoteMeta(message) + `"`))
	if err != nil {
		return "", err
	}
	fields := map[string]any{}
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		return "", fmt.Errorf("%s logs what is no JSON: %s", p.name, line)
	}
	return fmt.Sprint(fields[field]), nil
}

var signals = map[string]syscall.Signal{
	"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
}

func (p *process) signal(name string) error {
	sig, ok := signals[name]
	if !ok {
		return fmt.Errorf("there is no signal %q here", name)
	}
	return p.cmd.Process.Signal(sig)
}

// exits waits for the end and returns the exit code, -1 for a signal's.
func (p *process) exits() (int, error) {
	select {
	case <-p.gone:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		return 0, fmt.Errorf("%s has not ended within %s", p.name, patience)
	}
}

func (p *process) end() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.gone
}

func (s scene) measuredWord(args []string) error {
	if err := need(args, 2, "measured name regexp"); err != nil {
		return err
	}
	match, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	p, err := s.process(args[0])
	if err != nil {
		return err
	}
	addr, err := p.said("metrics, profiles and log level", "addr")
	if err != nil {
		return err
	}
	defer http.DefaultClient.CloseIdleConnections()
	return eventually(func(ctx context.Context) error {
		_, text, err := page(ctx, "http://"+addr+"/metrics")
		if err == nil && !match.Match(text) {
			err = fmt.Errorf("%s does not measure %s", args[0], match)
		}
		return err
	})
}

// page gets what a process serves.
func page(ctx context.Context, url string) (status int, text []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

func (s scene) gavelWord(args []string) error {
	if err := need(args, 3, "gavel code file word…"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, "gavel"), args[2:]...)
	cmd.Env = append(s.environment("dispatcher", s.variable, nil), "GAVEL_URL="+s.base, "GAVEL_KEY="+secretOf("adam"))
	out, err := cmd.CombinedOutput()
	if werr := os.WriteFile(s.script.MkAbs(args[1]), out, 0o600); werr != nil {
		return werr
	}
	if cmd.ProcessState == nil {
		return err
	}
	if code := strconv.Itoa(cmd.ProcessState.ExitCode()); code != args[0] {
		return fmt.Errorf("it ended with %s, want %s, and said:\n%s", code, args[0], out)
	}
	return nil
}
