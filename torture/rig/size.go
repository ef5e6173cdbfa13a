package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// What a look at everybody's size is for.
const (
	WhenIdle = "idle" // nothing was ever done
	WhenBusy = "busy"
	WhenDone = "done" // nothing is left to do
)

const (
	// sizeEvery is how often everybody is looked at.
	sizeEvery = 3 * time.Second
	// restTick is how often those are who come to rest, restPatience for how long.
	restTick     = 500 * time.Millisecond
	restPatience = 15 * time.Second
	// emptyPatience is a few turns of those who forget, one a minute.
	emptyPatience = 5 * time.Minute
)

// size is what a process has, -1 for what could not be learned.
type size struct {
	PID         int    `json:"pid"`
	Kind        string `json:"kind"`
	RSS         int64  `json:"rss"`
	Threads     int64  `json:"threads"`
	Descriptors int64  `json:"descriptors"`
	// Goroutines are the fleet's, Memory and Keys are Redis's.
	Goroutines int64 `json:"goroutines"`
	// Heap is what is in use behind a collection; who is busy is not asked.
	Heap   int64 `json:"heap"`
	Memory int64 `json:"memory"`
	Keys   int64 `json:"keys"`
}

// watchSizes writes down, every few seconds, how large everybody is.
func (r *Rig) watchSizes(ctx context.Context) {
	for pause(ctx, sizeEvery) {
		r.sizes(ctx, WhenBusy)
	}
}

// AtRest writes down how large everybody is who has nothing to do, until that does
// not change any more; and what their goroutines are, for people.
func (r *Rig) AtRest(ctx context.Context, when string) {
	r.hangUp()
	var last map[string]size
	for end := time.Now().Add(restPatience); time.Now().Before(end); {
		now := r.sizes(ctx, when)
		for name, s := range now {
			s.RSS, s.Threads, s.Heap, s.Memory = 0, 0, 0, 0 // these never stand still
			now[name] = s
		}
		if maps.Equal(now, last) {
			return
		}
		last = now
		if !pause(ctx, restTick) {
			return
		}
	}
}

// hangUp ends the connections that clients keep for their next request.
func (r *Rig) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		c.http.CloseIdleConnections()
	}
}

// sizes looks once at everybody who runs.
func (r *Rig) sizes(ctx context.Context, when string) map[string]size {
	out := map[string]size{}
	for _, m := range r.Members() {
		p, name := m.process()
		if s := sizeOf(p, m.binary); s.PID != 0 {
			s.Goroutines = m.goroutines(ctx, when, name)
			if when != WhenBusy {
				s.Heap = m.heap(ctx)
			}
			out[name] = s
		}
	}
	for _, n := range r.Redis.servers() {
		if s := sizeOf(n.process(), "redis"); s.PID != 0 {
			short, done := context.WithTimeout(ctx, restTick)
			s.Memory, s.Keys = n.Info(short, "memory", "used_memory"), n.Admin.DBSize(short).Val()
			done()
			out[n.name] = s
		}
	}
	for name, s := range out {
		r.note.Add(history.Event{Type: history.Note, Op: "size", Worker: name, Class: when, Args: Args("size", s)})
	}
	return out
}

// Empty has a dispatcher forget all jobs and orders but for some, and writes down
// which keys are left, by their kind.
func (r *Rig) Empty(ctx context.Context, but int) error {
	m := r.Dispatchers[0]
	if err := m.Start("GAVEL_RETENTION=1s", "GAVEL_ORDER_RETENTION=1s"); err != nil {
		return err
	}
	kinds := map[string]int{}
	for end := time.Now().Add(emptyPatience); time.Now().Before(end) && pause(ctx, sizeEvery); {
		keys, err := r.Redis.keys(ctx)
		if err != nil {
			return fmt.Errorf("what is left: %w", err)
		}
		kinds = map[string]int{}
		for _, k := range keys {
			_, name, _ := strings.Cut(k, "}:")
			name, _, _ = strings.Cut(name, ":")
			kinds[name]++
		}
		if kinds["job"]+kinds["order"] <= but {
			break
		}
	}
	m.Term(1, func() bool { return true })
	r.note.Add(history.Event{Type: history.Note, Op: "emptied", Args: Args("kinds", kinds)})
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Members are all places for processes, those of the workers first.
func (r *Rig) Members() []*Member { return slices.Concat(r.Workers, r.Dispatchers) }

// servers are all there are of Redis.
func (r *Redis) servers() []*Redis {
	if r.High != nil {
		return r.High.Nodes
	}
	return []*Redis{r}
}

// sizeOf is what the kernel says of a process; one that has ended has no PID.
func sizeOf(p *process, kind string) (s size) {
	if p == nil || !p.alive() {
		return s
	}
	dir := filepath.Join("/proc", strconv.Itoa(p.pid()))
	raw, err := os.ReadFile(filepath.Join(dir, "status"))
	all, ferr := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil || ferr != nil {
		return s
	}
	s = size{PID: p.pid(), Kind: kind, Descriptors: int64(len(all)), Goroutines: -1, Heap: -1, Memory: -1, Keys: -1}
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "VmRSS:":
			s.RSS, _ = strconv.ParseInt(f[1], 10, 64)
			s.RSS <<= 10 // it is told in KiB
		case f[0] == "Threads:":
			s.Threads, _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return s
}

// goroutines asks the process how many it has, -1 when it does not say; of those
// who have nothing to do a file in the run's directory says which.
func (m *Member) goroutines(ctx context.Context, when, name string) int64 {
	raw := m.profile(ctx, "goroutine?debug=1")
	if when != WhenBusy {
		_ = os.WriteFile(m.rig.path("goroutines-"+name+"-"+when), raw, 0o600) // a help, no more
	}
	return after(raw, " total ")
}

// heap asks the process how much is in use when what is not has been collected.
func (m *Member) heap(ctx context.Context) int64 {
	return after(m.profile(ctx, "heap?debug=1&gc=1"), "\n# HeapAlloc = ")
}

// after is the number behind some words, -1 where there is none.
func after(text []byte, words string) int64 {
	_, rest, _ := bytes.Cut(text, []byte(words))
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	n, err := strconv.ParseInt(string(line), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// profile is one of the process's own, nothing when it does not answer.
func (m *Member) profile(ctx context.Context, which string) []byte {
	ctx, cancel := context.WithTimeout(ctx, restTick)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.private+"/debug/pprof/"+which, nil)
	if err != nil {
		return nil
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil
	}
	return raw
}
