package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/torture/history"
)

// User is what the fleet's processes are to Redis; their password is in a file.
const User = "fleet"

// Password is the one that the fleet's file has.
func (r *Redis) Password() string {
	raw, _ := os.ReadFile(r.passwordFile()) // ours
	return string(raw)
}

// NewPassword changes the fleet's password in Redis, and in the file after a while.
func (r *Redis) NewPassword(ctx context.Context, to string, meanwhile func()) error {
	err := r.Admin.Do(ctx, "acl", "setuser", User, "resetpass", ">"+to).Err()
	if i := slices.Index(r.args, ">"+r.Password()); i >= 0 {
		r.args[i] = ">" + to // a server that is started again has it too
	}
	meanwhile()
	if err != nil {
		return fmt.Errorf("change the password: %w", err)
	}
	return os.WriteFile(r.passwordFile(), []byte(to), 0o600)
}

func (r *Redis) passwordFile() string { return filepath.Join(r.dir, "password") }

// Redis is a redis-server with an append-only file, and an administrator's
// connection to it that no fault strikes; or all of a topology.
type Redis struct {
	dir, name, bin string
	addr           string
	args           []string
	host           *host
	Admin          redis.UniversalClient
	// High is what it is made of, when it is more than one server.
	High *High

	mu   sync.Mutex
	proc *process
}

// newRedis prepares a server; it has no users but the one that everybody is.
func newRedis(dir, name, ip string) (*Redis, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("torture needs a redis-server on the PATH (make redis gets one): %w", err)
	}
	data := filepath.Join(dir, name)
	if err := os.MkdirAll(data, 0o750); err != nil {
		return nil, fmt.Errorf("a place for redis: %w", err)
	}
	addr, err := freeAddr(ip)
	if err != nil {
		return nil, err
	}
	r := &Redis{dir: data, name: name, bin: bin, addr: addr, host: &host{dir: dir, whole: errors.New("it has none")}}
	r.Admin = redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true, ReadTimeout: 5 * time.Second})
	return r, nil
}

func startRedis(ctx context.Context, dir string) (*Redis, error) {
	r, err := newRedis(dir, "redis", loopback)
	if err != nil {
		return nil, err
	}
	r.host = newHost(dir)
	const first = "of-the-fleet"
	if err := os.WriteFile(r.passwordFile(), []byte(first), 0o600); err != nil {
		return nil, fmt.Errorf("write the password: %w", err)
	}
	r.args = []string{
		"--user", "admin", "on", "nopass", "~*", "&*", "+@all", "--user", "default", "off", "~*", "&*", "+@all",
		"--user", User, "on", ">" + first, "~*", "&*", "+@all",
	}
	_ = r.Admin.Close() // it was nobody yet
	r.Admin = redis.NewClient(&redis.Options{
		Addr: r.addr, Username: "admin", Password: "any", MaxRetries: -1, ContextTimeoutEnabled: true, ReadTimeout: 5 * time.Second,
	})
	return r, r.Start(ctx)
}

// Conn is one of the administrator's connections, for who needs to have it.
func (r *Redis) Conn() *redis.Conn {
	return r.Admin.(*redis.Client).Conn() //nolint:forcetypeassert // asked only of a single server
}

// loopback is where everybody is, but nodes that can be split from each other.
const loopback = "127.0.0.1"

// freeAddr finds a port below those that the kernel gives to clients, so that
// it is still free when what listened there is started again.
func freeAddr(ip string) (string, error) {
	var err error
	for range 200 {
		addr := net.JoinHostPort(ip, strconv.Itoa(20000+int(time.Now().UnixNano()/1000%12000)))
		var ln net.Listener
		if ln, err = net.Listen("tcp", addr); err == nil {
			return addr, ln.Close()
		}
	}
	return "", fmt.Errorf("no port is free: %w", err)
}

// Start starts the server, on the data that it had.
func (r *Redis) Start(ctx context.Context) error {
	ip, port, _ := net.SplitHostPort(r.addr)
	cmd := exec.Command(r.bin, append([]string{
		"--port", port, "--bind", ip, "--bind-source-addr", ip, "--dir", r.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--protected-mode", "no",
	}, r.args...)...)
	cmd.Env = append(os.Environ(), r.host.env...)
	p, err := launch(filepath.Dir(r.dir)+"/logs", r.name, "Ready to accept connections", cmd)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.proc = p
	r.mu.Unlock()
	return r.ready(ctx)
}

func (r *Redis) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		err := r.Admin.Ping(ctx).Err()
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *Redis) process() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc
}

func (r *Redis) close() (err error) {
	if p := r.process(); p != nil {
		p.kill()
	}
	if r.High != nil {
		err = r.High.close()
	}
	if r.Admin != nil {
		err = errors.Join(err, r.Admin.Close())
	}
	return err
}

// Kill ends the server as a crash does.
func (r *Redis) Kill() { r.process().kill() }

// Signal sends SIGSTOP or SIGCONT.
func (r *Redis) Signal(sig syscall.Signal) error { return r.process().signal(sig) }

// HeldBy are the jobs that a worker has a lease on, with no worker those that
// anybody has, each with who has it.
func (r *Redis) HeldBy(ctx context.Context, fleet string, partitions int, worker string) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	held := map[string]string{}
	for p := range partitions {
		slot := fmt.Sprintf("{%s:%d}:", fleet, p)
		for _, id := range r.Admin.ZRange(ctx, slot+"leases", 0, -1).Val() {
			if by := r.Admin.HGet(ctx, slot+"job:"+id, "worker").Val(); worker == "" || by == worker {
				held[id] = by
			}
		}
	}
	return held
}

// Parked is one of an owner's jobs that waits for them, and whether it asks
// something; "" when there is none.
func (r *Redis) Parked(ctx context.Context, fleet string, partitions int, owner string) (id string, asks bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for p := range partitions {
		slot := fmt.Sprintf("{%s:%d}:", fleet, p)
		for _, id := range r.Admin.ZRevRangeByScore(ctx, slot+"later", &redis.ZRangeBy{Min: "+inf", Max: "+inf"}).Val() {
			f := r.Admin.HMGet(ctx, slot+"job:"+id, "owner", "state", "park_reason").Val()
			if len(f) == 3 && f[0] == owner && f[1] == "parked" {
				return id, f[2] == "input"
			}
		}
	}
	return "", false
}

// State is what a job's record says.
func (r *Redis) State(ctx context.Context, fleet, id string) string {
	partition, _ := strconv.ParseUint(id[max(0, len(id)-2):], 16, 8)
	return r.Admin.HGet(ctx, fmt.Sprintf("{%s:%d}:job:%s", fleet, partition, id), "state").Val()
}

// Info is a number of INFO, 0 when it is not there.
func (r *Redis) Info(ctx context.Context, section, name string) int64 {
	text := r.Admin.Info(ctx, section).Val()
	for line := range strings.SplitSeq(text, "\r\n") {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			rest = strings.TrimPrefix(rest, "count=")
			n, _ := strconv.ParseInt(rest, 10, 64)
			return n
		}
	}
	return 0
}

// Dump reads all that Redis holds.
func (r *Redis) Dump(ctx context.Context) (history.Dump, error) {
	keys, err := r.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	d := history.Dump{}
	for _, k := range keys {
		v, err := r.value(ctx, k)
		if errors.Is(err, redis.Nil) {
			continue // gone since
		}
		if err != nil {
			return nil, fmt.Errorf("dump %s: %w", k, err)
		}
		d[k] = v
	}
	return d, nil
}

// keys are all that there are, on every master.
func (r *Redis) keys(ctx context.Context) (all []string, err error) {
	cluster, is := r.Admin.(*redis.ClusterClient)
	if !is {
		return scan(ctx, r.Admin)
	}
	var mu sync.Mutex
	err = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		some, err := scan(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, some...)
		return err
	})
	return all, err
}

func scan(ctx context.Context, c redis.Cmdable) (all []string, err error) {
	it := c.Scan(ctx, 0, "*", 1000).Iterator()
	for it.Next(ctx) {
		all = append(all, it.Val())
	}
	return all, it.Err()
}

func (r *Redis) value(ctx context.Context, key string) (v history.Value, err error) {
	v.Type = r.Admin.Type(ctx, key).Val()
	switch v.Type {
	case "string":
		v.Text, err = r.Admin.Get(ctx, key).Result()
	case "hash":
		v.Hash, err = r.Admin.HGetAll(ctx, key).Result()
	case "list":
		v.List, err = r.Admin.LRange(ctx, key, 0, -1).Result()
	case "set":
		v.List, err = r.Admin.SMembers(ctx, key).Result()
	case "zset":
		var all []redis.Z
		all, err = r.Admin.ZRangeWithScores(ctx, key, 0, -1).Result()
		v.Scores = map[string]string{}
		for _, z := range all {
			v.Scores[fmt.Sprint(z.Member)] = strconv.FormatFloat(z.Score, 'f', -1, 64)
		}
	case "stream":
		v.Stream, v.Pending, err = r.stream(ctx, key)
	}
	return v, err
}

func (r *Redis) stream(ctx context.Context, key string) (out []history.Entry, pending int64, err error) {
	for from := "-"; ; {
		page, err := r.Admin.XRangeN(ctx, key, from, "+", 1000).Result()
		if err != nil {
			return nil, 0, err
		}
		for _, m := range page {
			e := history.Entry{ID: m.ID, Fields: map[string]string{}}
			for k, v := range m.Values {
				e.Fields[k] = fmt.Sprint(v)
			}
			out = append(out, e)
			from = "(" + m.ID
		}
		if len(page) < 1000 {
			break
		}
	}
	groups, err := r.Admin.XInfoGroups(ctx, key).Result()
	for _, g := range groups {
		pending += g.Pending
	}
	return out, pending, err
}

// Sealed waits until the whole audit was chained, signed and exported.
func (r *Rig) Sealed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		behind := ""
		for p := range r.Partitions {
			slot := fmt.Sprintf("{%s:%d}:", Name, p)
			want := r.Redis.Admin.Get(ctx, slot+"audit_n").Val()
			if got := r.Redis.Admin.HGet(ctx, slot+"seal", "n").Val(); got != want {
				behind = fmt.Sprintf("partition %d has %s entries and %s are sealed", p, want, got)
			}
		}
		if behind == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New(behind)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
