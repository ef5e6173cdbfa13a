package spec

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

var ofSomeone = regexp.MustCompile(`^([a-z_]+)\(([^()]+)\)$`)

// key finds a key by its name in the table, as leases or job(J1).
func key(slot rediskit.Slot, name string) (string, error) {
	whose := ""
	if m := ofSomeone.FindStringSubmatch(name); m != nil {
		name, whose = m[1], m[2]
	}
	at := rediskit.Place{Slot: slot, Job: whose, Owner: whose, Order: whose, Worker: whose, Idem: whose, Bucket: whose}
	full, err := at.Key(name)
	if err != nil {
		return "", err
	}
	if whose == "" || strings.HasSuffix(full, ":"+whose) {
		return full, nil
	}
	return "", fmt.Errorf("key %q is one per partition, it belongs to no %s", name, whose)
}

// keyed says whether the i-th word of a command is a key, whatever it looks like.
func keyed(command []word, i int) bool {
	switch strings.ToUpper(command[0].text) {
	case "XREAD", "XREADGROUP":
		return strings.EqualFold(command[i-1].text, "STREAMS")
	case "ECHO":
		return false
	case "XGROUP", "XINFO", "OBJECT", "MEMORY":
		return i == 2
	case "DEL", "EXISTS", "UNLINK", "TOUCH":
		return i > 0
	default:
		return i == 1
	}
}

// holding is what a fleet's keys hold: a type and a dump each, and the state of
// a job.
type holding map[string]struct{ kind, dump, state string }

// look reads all keys of a slot. The embedded Redis cannot dump, so there only
// the types are seen, and what hashes and sets hold.
func look(ctx context.Context, c *redis.Client, slot rediskit.Slot, dumps bool) (holding, error) {
	names, err := c.Keys(ctx, string(slot)+"*").Result() // a test's few keys
	if err != nil {
		return nil, err
	}
	h := make(holding, len(names))
	for _, n := range names {
		v := h[n]
		if v.kind, err = c.Type(ctx, n).Result(); err != nil {
			return nil, err
		}
		if v.dump, err = content(ctx, c, n, v.kind, dumps); err != nil {
			return nil, err
		}
		if k, err := row(slot, n); err == nil && k.Name == "job" && v.kind == "hash" {
			v.state = c.HGet(ctx, n, "state").Val()
		}
		h[n] = v
	}
	return h, nil
}

// content is what a key holds. A hash or a set has no order of its own: being
// read may change that of its dump, so they are read and sorted.
func content(ctx context.Context, c *redis.Client, name, kind string, dumps bool) (string, error) {
	switch {
	case kind == "hash":
		m, err := c.HGetAll(ctx, name).Result()
		return fmt.Sprintf("%q", m), err // fmt sorts a map by its keys
	case kind == "set":
		s, err := c.SMembers(ctx, name).Result()
		slices.Sort(s)
		return fmt.Sprintf("%q", s), err
	case dumps:
		return c.Dump(ctx, name).Result()
	default:
		return "", nil
	}
}

// row finds the table's row of a whole key.
func row(slot rediskit.Slot, full string) (rediskit.Key, error) {
	name, whose, perSomeone := strings.Cut(strings.TrimPrefix(full, string(slot)), ":")
	for _, k := range rediskit.Table() {
		if k.Name == name && (k.Per != "") == perSomeone && (whose != "") == perSomeone {
			return k, nil
		}
	}
	return rediskit.Key{}, fmt.Errorf("the script made a key that is not in the table: %s", full)
}

// lawful compares what a script left with what its header and the table allow.
func (h holding) lawful(before holding, slot rediskit.Slot, s *rediskit.Script) error {
	may := append(slices.Clone(s.Header.Keys), s.Header.Makes...)
	names := maps.Clone(h)
	maps.Copy(names, before)
	for full := range names {
		if h[full] == before[full] {
			continue
		}
		k, err := row(slot, full)
		if err != nil {
			return err
		}
		if !slices.Contains(may, k.Name) {
			return fmt.Errorf("the script changed %s; its header does not name it under KEYS or MAKES", k.Name)
		}
		if kind := h[full].kind; kind != "" && kind != k.Type && before[full].kind != kind {
			return fmt.Errorf("the script made %s a %s; the table says %s", k.Name, kind, k.Type)
		}
		if from, to := before[full].state, h[full].state; from != to && to != "" && !moves(s, from, to) {
			return fmt.Errorf("the script moved %s from %q to %q; the first line of its header does not", full, from, to)
		}
	}
	return nil
}

// moves says whether a script's header names a move.
func moves(s *rediskit.Script, from, to string) bool {
	return slices.ContainsFunc(s.Moves, func(m job.Move) bool { return string(m.From) == from && string(m.To) == to })
}
