package cmd_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// fleet is what one story happens to: processes, a Redis, people, a witness.
type fleet struct {
	t          testing.TB
	dir        string
	partitions int
	name       string
	ground     ground
	nodes      *nodes         // of the topology that the story breaks
	own        *redistest.Own // set when the story broke it out of the shared one
	links      map[string]*redistest.Proxy
	rules      map[string]*redistest.Rule // what each link holds back
	witness    *witness
	processes  map[string]*process
	order      []string
	base       string // URL of the dispatcher that is asked
	orders     map[string]string
	marks      map[string]time.Time
	kept       map[string]string // what redis snapshot kept, by key
}

// people are those who have a credential; the secret is "secret-of-" and the
// name.
var people = []access.Key{
	{Subject: "alice", Owner: "alice", Roles: []access.Role{access.Owner}},
	{Subject: "bob", Owner: "bob", Roles: []access.Role{access.Owner}},
	{Subject: "carol", Owner: "carol", Roles: []access.Role{access.Owner}},
	{Subject: "dave", Owner: "dave", Roles: []access.Role{access.Owner}},
	{Subject: "olga", Roles: []access.Role{access.Operator}},
	{Subject: "adam", Roles: []access.Role{access.Admin}},
}

func secretOf(who string) string { return "secret-of-" + who }

func newFleet(t testing.TB, dir string, partitions int) *fleet {
	t.Helper()
	s := redistest.Start(t)
	admit(t, s)
	f := newFleetOn(t, dir, partitions, onServer(s))
	f.name = s.Fleet // its keys are swept
	return f
}

func newFleetOn(t testing.TB, dir string, partitions int, on ground) *fleet {
	t.Helper()
	f := &fleet{
		t: t, dir: dir, partitions: partitions, name: redistest.NewFleet(), ground: on, links: map[string]*redistest.Proxy{}, rules: map[string]*redistest.Rule{},
		witness: newWitness(t), processes: map[string]*process{}, orders: map[string]string{}, marks: map[string]time.Time{},
	}
	var lines []byte
	for _, k := range people {
		k.ID, k.Hash = "key-"+k.Subject, access.Hash(secretOf(k.Subject))
		line, err := json.Marshal(k)
		require.NoError(t, err)
		lines = append(append(lines, line...), '\n')
	}
	require.NoError(t, os.WriteFile(f.keys(), lines, 0o600))
	return f
}

func (f *fleet) keys() string { return filepath.Join(f.dir, "people.keys") }

// environment is a process's, and nothing of the tests' own. Leases are short,
// so that what takes seconds in production does not here; the rules between the
// three numbers hold all the same.
func (f *fleet) environment(user string, script func(string) string, more []string) []string {
	vars := map[string]string{
		"GAVEL_REDIS_URL": under(user, f.ground.url), "GAVEL_FLEET": f.name, "GAVEL_PARTITIONS": fmt.Sprint(f.partitions),
		"GAVEL_LEASE_RENEW": "250ms", "GAVEL_LEASE_TRUST": "1s", "GAVEL_LEASE_TAKE": "1500ms",
		"GAVEL_KEYS_FILE": f.keys(), "GAVEL_LISTEN": "127.0.0.1:0", "GAVEL_WORKER_LISTEN": "127.0.0.1:0",
		"GAVEL_SLOTS": "4", "GAVEL_CANARY": "true", "GAVEL_POLL": "200ms", "GAVEL_BACKOFF": "100ms",
		"GAVEL_MODEL_URL": f.witness.url + "/v1", "GAVEL_MODEL": "simulated", "GAVEL_LOG_LEVEL": "debug",
	}
	maps.Copy(vars, f.ground.settings)
	for _, name := range settings.Variables() {
		if v := script(name); v != "" {
			vars[name] = v
		}
	}
	for _, kv := range more {
		name, v, _ := strings.Cut(kv, "=")
		if name == "via" {
			name, v = "GAVEL_REDIS_URL", under(user, f.link(v).URL())
		}
		vars[name] = v
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + f.dir, "GORACE=atexit_sleep_ms=0"}
	for name, v := range vars {
		env = append(env, name+"="+v)
	}
	return env
}

// link is a link of that name between processes and Redis.
func (f *fleet) link(name string) *redistest.Proxy {
	if f.links[name] == nil {
		f.links[name] = redistest.NewProxy(f.t, f.ground.servers[0].Addr())
	}
	return f.links[name]
}

// start starts a binary under a name.
func (f *fleet) start(name, binary string, env []string) (*process, error) {
	if old := f.processes[name]; old != nil {
		select {
		case <-old.gone:
		default:
			return nil, fmt.Errorf("%s runs already", name)
		}
	}
	p, err := launch(name, filepath.Join(binaries, binary), env)
	if err != nil {
		return nil, err
	}
	f.processes[name] = p
	f.order = append(f.order, name)
	return p, nil
}

func (f *fleet) startDispatcher(name string, script func(string) string, more ...string) error {
	p, err := f.start(name, "dispatcher", f.environment("dispatcher", script, more))
	if err != nil {
		return err
	}
	addr, err := p.said("dispatcher listens", "addr")
	f.base = "http://" + addr
	return err
}

func (f *fleet) startWorker(name string, script func(string) string, more ...string) error {
	p, err := f.start(name, "worker", f.environment("worker", script, append([]string{"GAVEL_WORKER_ID=" + name}, more...)))
	if err != nil {
		return err
	}
	_, err = p.said("worker started", "worker")
	return err
}

// as is the client of one of the people. It asks once: a story that wants
// retries tells them.
func (f *fleet) as(who string) *client.Client {
	c, err := client.New(f.base, client.WithKey(secretOf(who)), client.WithRetries(1, 0))
	require.NoError(f.t, err)
	return c
}

// insisting is the same, and where masters fail over asks again as the command
// does: each client of a dispatcher finds the new master when it next needs it.
func (s scene) insisting(who string) *client.Client {
	if s.nodes == nil || s.not {
		return s.as(who)
	}
	c, err := client.New(s.base, client.WithKey(secretOf(who)))
	require.NoError(s.t, err)
	return c
}

// end ends whatever still runs, and shows what it logged when the story failed.
func (f *fleet) end() {
	for _, p := range f.processes {
		p.end()
	}
	if refused, err := f.refusals(); err == nil && len(refused) > 0 { // no Redis answers when the story killed it
		f.t.Errorf("Redis has refused what the processes need, see %s: %v", usersFile, refused)
	}
	if !f.t.Failed() {
		return
	}
	for _, name := range f.order {
		p := f.processes[name]
		f.t.Logf("%s (%s) logged:\n%s", name, p.cmd.ProcessState, p.log.text())
	}
}
