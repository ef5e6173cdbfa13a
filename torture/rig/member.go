package rig

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// Member is a place for a process: one runs after the other there, each under a
// name of its own, on the place's link.
type Member struct {
	rig    *Rig
	place  string
	binary string
	listen string
	// private is where operators ask.
	private string
	Link    *Link

	mu   sync.Mutex
	n    int
	name string
	proc *process
	down bool // on purpose: nobody but who took it down starts it again
}

func (m *Member) environment(name string) []string {
	r := m.rig
	vars := []string{
		"GAVEL_REDIS_URL=" + m.Link.URL(), "GAVEL_REDIS_PASSWORD_FILE=" + r.Redis.passwordFile(), "GAVEL_FLEET=" + Name, fmt.Sprintf("GAVEL_PARTITIONS=%d", r.Partitions),
		"GAVEL_LEASE_RENEW=" + Renew.String(), "GAVEL_LEASE_TRUST=" + Trust.String(), "GAVEL_LEASE_TAKE=" + Take.String(),
		"GAVEL_CANARY=true", "GAVEL_PRIVATE_LISTEN=" + m.private, "PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=1",
	}
	if r.Redis.High != nil {
		vars = append(vars[2:], r.Redis.High.environment(r.Durability)...)
	}
	if m.binary == "dispatcher" {
		return append(vars, "GAVEL_LISTEN="+m.listen, "GAVEL_KEYS_FILE="+r.path("people.keys"), "GAVEL_SHUTDOWN=3s",
			"GAVEL_AUDIT_KEY_FILE="+r.path("audit.key"), "GAVEL_AUDIT_EXPORT="+r.path("audit-"+m.place+".jsonl"))
	}
	return append(vars, "TORTURE_CLOCK="+m.clock(), "GAVEL_WORKER_ID="+name, "GAVEL_WORKER_LISTEN=127.0.0.1:0", fmt.Sprintf("GAVEL_SLOTS=%d", r.Slots),
		"GAVEL_POLL=200ms", "GAVEL_BACKOFF=100ms", "GAVEL_DRAIN_GRACE="+Grace.String(), "GAVEL_DRAIN_SETTLE="+Settle.String(),
		"GAVEL_KILL_PATIENCE="+Patience.String(), "GAVEL_MODEL_URL=http://127.0.0.1:1/v1", "GAVEL_MODEL=gpt-4.1-mini")
}

// Start starts the next process of the place, if none runs there, with more in its
// environment than it always has.
func (m *Member) Start(more ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc != nil && m.proc.alive() {
		return nil
	}
	m.down = false
	m.n++
	m.name = fmt.Sprintf("%s-%d", m.place, m.n)
	binary, older := m.version()
	cmd := exec.Command(binary)
	cmd.Env = append(m.environment(m.name), more...)
	p, err := launch(m.rig.path("logs"), m.name, "", cmd)
	if err != nil {
		return err
	}
	m.proc = p
	m.rig.note.Add(history.Event{Type: history.Note, Op: "start", Worker: m.name, Args: Args("pid", p.pid(), "older", older)})
	return nil
}

// version is the binary that the place's next process is of. Where there is an
// older version every second place starts with it, and later ones are drawn.
func (m *Member) version() (path string, older bool) {
	if m.rig.Older != "" {
		places := fnv.New64a()
		_, _ = places.Write([]byte(m.place))
		older = (m.place[len(m.place)-1]-'0')%2 == 0
		if m.n > 1 {
			older = rand.New(rand.NewPCG(m.rig.Seed^places.Sum64(), uint64(m.n))).IntN(2) == 0
		}
	}
	if older {
		return filepath.Join(m.rig.Older, m.binary), true
	}
	if m.binary == "worker" {
		return filepath.Join(m.rig.Bin, cmp.Or(m.rig.Worker, m.binary)), false
	}
	return filepath.Join(m.rig.Bin, m.binary), false
}

func (m *Member) process() (*process, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc, m.name
}

// Name is that of the process that runs here.
func (m *Member) Name() string {
	_, name := m.process()
	return name
}

// Kill ends the process as a crash does.
func (m *Member) Kill() {
	p, name := m.process()
	m.takeDown()
	m.rig.note.Add(history.Event{Type: history.Note, Op: "sigkill", Worker: name})
	p.kill()
}

// Ended writes down how a process ended that nobody had asked to.
func (m *Member) Ended() {
	p, name := m.process()
	m.rig.note.Add(history.Event{Type: history.Note, Op: "ended", Worker: name, Args: Args("code", p.cmd.ProcessState.ExitCode())})
}

func (m *Member) takeDown() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = true
}

// Fell says whether the process here has ended and nobody wanted it to.
func (m *Member) Fell() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.down && m.proc != nil && !m.proc.alive()
}

// Pause stops the process, and writes down when it was.
func (m *Member) Pause() error { return m.signal(syscall.SIGSTOP, "stopped") }

// Continue lets it go on.
func (m *Member) Continue() error { return m.signal(syscall.SIGCONT, "continued") }

func (m *Member) signal(sig syscall.Signal, op string) error {
	p, name := m.process()
	if !p.alive() {
		return nil
	}
	if sig == syscall.SIGSTOP {
		m.rig.note.Add(history.Event{Type: history.Note, Op: op, Worker: name})
	}
	err := p.signal(sig)
	if sig == syscall.SIGCONT {
		m.rig.note.Add(history.Event{Type: history.Note, Op: op, Worker: name})
	}
	return err
}

// Term asks the process to leave, times over, and waits for its end. calm says,
// when it has ended, that no fault was at work that could keep it.
func (m *Member) Term(times int, calm func() bool) {
	p, name := m.process()
	if !p.alive() {
		return
	}
	m.takeDown()
	begun := time.Now()
	for range times {
		_ = p.signal(syscall.SIGTERM) // it may be gone after the first
		time.Sleep(10 * time.Millisecond)
	}
	code, ended := p.ends(Grace + Settle + Patience + 10*time.Second)
	if !ended {
		p.kill()
	}
	m.rig.note.Add(history.Event{Type: history.Note, Op: "left", Worker: name, Args: Args(
		"code", code, "ended", ended, "calm", calm(), "times", times, "ns", int64(time.Since(begun)))})
}
