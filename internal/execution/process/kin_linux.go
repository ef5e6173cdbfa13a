package process

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// markName is the variable by which a process is known to belong to a job:
// worker's pid, worker's start, a random word. It is inherited by everything the
// program starts, in whatever session or group.
const markName = "GAVEL_EXEC"

// apart puts a child into a session of its own, and lets it die with the thread
// that started it.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// entry is one process at one look.
type entry struct {
	pid, parent, group, session int
	state                       byte
	began                       uint64 // ticks since boot: with the pid it names one process for good
}

func (e entry) dead() bool { return e.state == 'Z' || e.state == 'X' }

// name tells a process from a later one with the same pid.
func (e entry) name() string { return fmt.Sprintf("%d.%d", e.pid, e.began) }

// household are the jobs whose programs run now.
type household struct {
	self entry

	// Held while a program is started, when it cannot be told from a stray.
	mu   sync.Mutex
	live map[*kin]bool
}

// found adopts: from now on this process is the parent of what its descendants
// leave behind, so that no descendant of a program gets out of sight.
func found() (*household, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("adopt the orphans of programs: %w", err)
	}
	self, err := look(os.Getpid())
	if err != nil {
		return nil, err
	}
	return &household{self: self, live: map[*kin]bool{}}, nil
}

// kin are the processes of one job: the program and all that came from it.
type kin struct {
	house  *household
	leader int
	began  uint64
	word   string // the value of the mark

	mu    sync.Mutex
	known map[string]bool // names of processes seen to be of the job
}

// bear starts a program by start, which is given the mark it must carry.
func (h *household) bear(start func(mark []string) (*os.Process, error)) (*os.Process, *kin, error) {
	k := &kin{house: h, word: h.self.name() + "." + rand.Text(), known: map[string]bool{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	p, err := start([]string{markName + "=" + k.word})
	if err != nil {
		return nil, nil, err
	}
	k.leader = p.Pid
	if e, err := look(p.Pid); err == nil { // it cannot be gone: nobody has reaped it
		k.began = e.began
	}
	h.live[k] = true
	return p, k, nil
}

// signal sends to the program's process group.
func (k *kin) signal(s syscall.Signal) { _ = syscall.Kill(-k.leader, s) }

// ended waits until the program has exited, and leaves it unreaped: its pid, its
// group and its session stay taken, so that nobody else's can be hit.
func (k *kin) ended(*os.Process) error {
	for {
		err := unix.Waitid(unix.P_PID, k.leader, &unix.Siginfo{}, unix.WEXITED|unix.WNOWAIT, nil)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for process %d: %w", k.leader, err)
		}
	}
}

// reap takes the program's exit, once it has ended and was swept.
func (k *kin) reap(p *os.Process) (*os.ProcessState, error) {
	state, err := p.Wait()
	k.house.mu.Lock()
	defer k.house.mu.Unlock()
	delete(k.house.live, k) // not before, or it would be a stray
	if err != nil {
		return nil, fmt.Errorf("reap process %d: %w", k.leader, err)
	}
	return state, nil
}

// remember notes who belongs to the job now: whoever clears its environment and
// loses its parents later is still found.
func (k *kin) remember() { k.gather() }

// gather remembers the job's processes, and returns them.
func (k *kin) gather() []entry {
	members := k.members()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range members {
		k.known[e.name()] = true
	}
	return members
}

func (k *kin) knows(e entry) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[e.name()]
}

// members looks for the processes of the job among the descendants of this one,
// without the leader.
func (k *kin) members() []entry {
	all := table()
	mine := map[int]bool{k.leader: true}
	below := descendants(all, os.Getpid())
	for _, e := range below {
		mine[e.pid] = mine[e.pid] || e.session == k.leader || e.group == k.leader || k.knows(e) || markOf(e.pid) == k.word
	}
	var out []entry
	for _, e := range below { // parents come before their children
		if mine[e.pid] = mine[e.pid] || mine[e.parent]; mine[e.pid] && e.pid != k.leader {
			out = append(out, e)
		}
	}
	return out
}

// sweep kills and reaps until nothing of the job is left but the leader. It
// returns how many processes it ended.
func (k *kin) sweep(ctx context.Context) (swept int, err error) {
	k.signal(syscall.SIGKILL)
	hit := map[string]bool{}
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		left := k.gather() // who is dead has lost its environment, and is reaped by name
		for _, e := range left {
			k.end(e, hit)
		}
		left = append(left, k.strays(hit)...)
		if len(left) == 0 {
			return len(hit), nil
		}
		if !sleep(ctx, pause) {
			return len(hit), fmt.Errorf("%d processes of the job do not die: %s", len(left), pids(left))
		}
	}
}

// strays ends what came from some program and has lost every sign of which:
// no environment, a session of its own, no parents. A program's descendants are
// never in this process's own session, and nothing is older than its ancestors;
// so a stray that is older than every other program that runs is nobody's any
// more. The others stay until those programs have ended.
func (k *kin) strays(hit map[string]bool) (out []entry) {
	k.house.mu.Lock()
	defer k.house.mu.Unlock()
	for _, e := range table() {
		if e.parent == k.house.self.pid && e.session != k.house.self.session && !k.house.claimed(e, k) && markOf(e.pid) == "" {
			out = append(out, e)
			k.end(e, hit)
		}
	}
	return out
}

// claimed says whether a process is, or may be, of a job other than k.
func (h *household) claimed(e entry, k *kin) bool {
	if e.pid == k.leader {
		return true
	}
	for other := range h.live {
		if other != k && other.began <= e.began {
			return true
		}
	}
	return false
}

func (k *kin) end(e entry, hit map[string]bool) {
	if !e.dead() {
		hit[e.name()] = true
		_ = syscall.Kill(e.pid, syscall.SIGKILL)
		return
	}
	if e.parent == os.Getpid() {
		_, _ = syscall.Wait4(e.pid, nil, syscall.WNOHANG, nil)
	}
}

func pids(entries []entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, strconv.Itoa(e.pid))
	}
	return strings.Join(out, " ")
}

// leftovers kills what workers that died here left behind, and says how many it
// hit. A worker that is killed takes its programs with it, but not what these
// had started. Processes of another pid namespace are not ours to judge.
func leftovers() int {
	all := table()
	alive := map[string]bool{}
	for _, e := range all {
		alive[e.name()] = alive[e.name()] || !e.dead()
	}
	n, here := 0, namespace(os.Getpid())
	for _, pid := range slices.Sorted(maps.Keys(all)) {
		word := strings.Split(markOf(pid), ".")
		if len(word) != 3 || alive[word[0]+"."+word[1]] || namespace(pid) != here || here == "" {
			continue
		}
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	return n
}

func namespace(pid int) string {
	ns, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/pid")) // unreadable: not ours
	return ns
}

// markOf is the value of a process's mark, "" if it has none or hides it.
func markOf(pid int) string {
	env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return ""
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if word, ok := bytes.CutPrefix(v, []byte(markName+"=")); ok {
			return string(word)
		}
	}
	return ""
}

// table is every process there is.
func table() map[int]entry {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1) // what was read is what there is
	all := make(map[int]entry, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if e, err := look(pid); err == nil {
				all[pid] = e
			}
		}
	}
	return all
}

// look reads one process. Its command may hold anything, so the fields are
// counted from the last bracket.
func look(pid int) (entry, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return entry{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 20 {
		return entry{}, fmt.Errorf("look at process %d: %d fields", pid, len(f))
	}
	e := entry{pid: pid, state: f[0][0]}
	if e.began, err = strconv.ParseUint(f[19], 10, 64); err != nil {
		return entry{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	for i, dst := range []*int{&e.parent, &e.group, &e.session} {
		if *dst, err = strconv.Atoi(f[i+1]); err != nil {
			return entry{}, fmt.Errorf("look at process %d: %w", pid, err)
		}
	}
	return e, nil
}

// descendants lists what is below a process, parents before children.
func descendants(all map[int]entry, root int) []entry {
	children := map[int][]entry{}
	for _, e := range all {
		children[e.parent] = append(children[e.parent], e)
	}
	out := slices.Clone(children[root])
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i].pid]...)
	}
	return out
}
