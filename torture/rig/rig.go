package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/rtfm-si/gavel/torture/history"
)

// The timing of a tortured fleet: short, so that much happens; with the rules
// between the three numbers kept.
const (
	Renew = 300 * time.Millisecond
	Trust = 1200 * time.Millisecond
	Take  = 2 * time.Second
	// PermitAge is what the README promises: no new paid call later than this.
	PermitAge = 250 * time.Millisecond
	// Grace and Settle are those of the drain, Patience that with deaf work.
	Grace    = 1500 * time.Millisecond
	Settle   = 2 * time.Second
	Patience = 4 * time.Second
)

// Name is the fleet's.
const Name = "torture"

// Config is how large a fleet is.
type Config struct {
	// Dir is where everything that the run leaves goes; Bin where the binaries are.
	Dir, Bin                                string
	Dispatchers, Workers, Slots, Partitions int
	// Older is where binaries of an older version are, if some processes are to be of
	// that; which ones follows from Seed.
	Older string
	Seed  uint64
	// Owners have a credential each, beside the admin's.
	Owners []string
	// Topology is that of Redis, Durability what the fleet promises on it.
	Topology, Durability string
	// Worker is the workers' binary in Bin; Clocks says that their clocks can be moved.
	Worker string
	Clocks bool
	// Losses says that faults may lose what Redis was told.
	Losses bool
}

// Rig is a fleet on its ground.
type Rig struct {
	Config

	Clock       history.Clock
	Redis       *Redis
	Witness     *Witness
	Dispatchers []*Member
	Workers     []*Member

	ctx     context.Context //nolint:containedctx // the rig's own life
	stop    context.CancelFunc
	wg      sync.WaitGroup
	mu      sync.Mutex
	logs    []*history.Log
	clients []*Client
	bases   []string
	note    *history.Log
}

func secretOf(who string) string { return "secret-of-" + who }

// Start brings a fleet up.
func Start(ctx context.Context, cfg Config) (*Rig, error) {
	ctx, stop := context.WithCancel(ctx)
	r := &Rig{Config: cfg, Clock: history.NewClock(), ctx: ctx, stop: stop}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "logs"), 0o750); err != nil {
		return nil, fmt.Errorf("a place for the run: %w", err)
	}
	var err error
	if r.note, err = r.Log("rig"); err == nil {
		err = r.writeKeys()
	}
	if err == nil {
		if cfg.Topology == Single || cfg.Topology == "" {
			r.Redis, err = startRedis(ctx, cfg.Dir)
		} else {
			r.Redis, err = startHigh(ctx, cfg.Dir, cfg.Topology)
		}
	}
	if err == nil {
		err = r.startWitness()
	}
	if err != nil {
		return r, err
	}
	for i := range cfg.Dispatchers {
		err = errors.Join(err, r.join(&r.Dispatchers, fmt.Sprintf("d%d", i+1), "dispatcher"))
	}
	for i := range cfg.Workers {
		err = errors.Join(err, r.join(&r.Workers, fmt.Sprintf("w%d", i+1), "worker"))
	}
	r.wg.Go(func() { watchStalls(ctx, r.note) })
	r.wg.Go(func() { r.watchSizes(ctx) })
	return r, err
}

// Log opens the history of a proc; the rig closes it.
func (r *Rig) Log(proc string) (*history.Log, error) {
	l, err := history.Open(r.Dir, proc, r.Clock)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs = append(r.logs, l)
	return l, nil
}

// Client is a client that writes under the name of proc and asks as who.
func (r *Rig) Client(proc, who string) (*Client, error) {
	l, err := r.Log(proc)
	if err != nil {
		return nil, err
	}
	c := newClient(l, secretOf(who), r.bases)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients = append(r.clients, c)
	return c, nil
}

func (r *Rig) startWitness() error {
	l, err := r.Log("witness")
	if err != nil {
		return err
	}
	r.Witness, err = newWitness(l, r.whose)
	return err
}

func (r *Rig) whose(inode string) string {
	for _, w := range r.Workers {
		if p, name := w.process(); inode != "" && p != nil && holds(p.pid(), inode) {
			return name
		}
	}
	return ""
}

func (r *Rig) writeKeys() error {
	type key struct {
		ID      string   `json:"id"`
		Subject string   `json:"subject"`
		Owner   string   `json:"owner,omitempty"`
		Roles   []string `json:"roles"`
		Hash    string   `json:"hash"`
	}
	keys := []key{{Subject: "adam", Roles: []string{"admin"}}}
	for _, o := range r.Owners {
		keys = append(keys, key{Subject: o, Owner: o, Roles: []string{"owner"}})
	}
	var out []byte
	for _, k := range keys {
		sum := sha256.Sum256([]byte(secretOf(k.Subject)))
		k.ID, k.Hash = "key-"+k.Subject, "sha256:"+hex.EncodeToString(sum[:])
		line, err := json.Marshal(k)
		if err != nil {
			return fmt.Errorf("write the keys: %w", err)
		}
		out = append(append(out, line...), '\n')
	}
	if err := os.WriteFile(r.path("people.keys"), out, 0o600); err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	public, err := exec.CommandContext(r.ctx, filepath.Join(r.Bin, "gavel"), "audit", "key", r.path("audit.key")).Output()
	if err != nil {
		return fmt.Errorf("make the audit's key: %w", err)
	}
	if err := os.WriteFile(r.path("audit.pub"), public, 0o600); err != nil {
		return fmt.Errorf("write the audit's key: %w", err)
	}
	return nil
}

func (r *Rig) path(name string) string { return filepath.Join(r.Dir, name) }

func (r *Rig) join(to *[]*Member, place, binary string) error {
	m := &Member{rig: r, place: place, binary: binary}
	var err error
	if m.Link, err = newLink(r.Redis.addr, m); err != nil {
		return err
	}
	if m.private, err = freeAddr(loopback); err != nil {
		return err
	}
	if binary == "dispatcher" {
		if m.listen, err = freeAddr(loopback); err != nil {
			return err
		}
		r.bases = append(r.bases, "http://"+m.listen)
	}
	if binary == "worker" {
		if err := os.WriteFile(m.clock(), make([]byte, 8), 0o600); err != nil {
			return fmt.Errorf("a clock for %s: %w", place, err)
		}
	}
	*to = append(*to, m)
	return m.Start()
}

// Ready waits until every worker that runs is in the table of each partition.
func (r *Rig) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		missing := ""
		for p := range r.Partitions {
			for _, w := range r.Workers {
				if r.Redis.Admin.ZScore(ctx, fmt.Sprintf("{%s:%d}:workers", Name, p), w.Name()).Err() != nil {
					missing = fmt.Sprintf("%s is not in the table of partition %d", w.Name(), p)
				}
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New(missing)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Lost writes down that what was written between two instants may be lost.
func (r *Rig) Lost(from, to time.Time) {
	r.note.Add(history.Event{Type: history.Note, Op: "loss", Args: Args("from", from.UnixMicro(), "to", to.UnixMicro())})
}

// Forgets says whether Redis may lose what it answered.
func (r *Rig) Forgets() bool {
	return r.Durability != "replicated" && (r.Losses || r.Redis.High != nil)
}

// GateDeleted writes down that somebody deleted a gate, and nothing else.
func (r *Rig) GateDeleted() { r.note.Add(history.Event{Type: history.Note, Op: "gate-deleted"}) }

// Verify has the product's own command verify the audit, the live log against
// the exports.
func (r *Rig) Verify(ctx context.Context) (string, error) {
	args := []string{"audit", "verify", "--public-key", r.path("audit.pub"), "--live"}
	for _, e := range r.Exports() {
		if _, err := os.Stat(e); err == nil {
			args = append(args, e)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(r.Bin, "gavel"), args...)
	cmd.Env = []string{"GAVEL_URL=" + r.bases[0], "GAVEL_KEY=" + secretOf("adam")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Exports are the files that the dispatchers seal the audit into.
func (r *Rig) Exports() (files []string) {
	for _, m := range r.Dispatchers {
		files = append(files, r.path("audit-"+m.place+".jsonl"))
	}
	return files
}

// Close ends what still runs, and the history.
func (r *Rig) Close() error {
	r.stop()
	r.wg.Wait()
	for _, m := range r.Members() {
		if p, _ := m.process(); p != nil {
			p.kill()
		}
		m.Link.shut()
	}
	var err error
	if r.Witness != nil {
		err = r.Witness.server.Close()
	}
	if r.Redis != nil {
		err = errors.Join(err, r.Redis.close())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.logs {
		err = errors.Join(err, l.Close())
	}
	return err
}
