package spec

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/rediskit"
)

// bench runs cases on one Redis under one profile.
type bench struct {
	reads   *redis.Client // RESP2, so that what it answers looks like what a script gives
	runner  rediskit.Runner
	scripts func(name string) (*rediskit.Script, error)
	slot    rediskit.Slot
	args    map[string]string
	vars    map[string]string
	said    map[string]bool // reply words that were given, by script and word
	last    func(context.Context) (rediskit.Reply, error)
	script  *rediskit.Script // the script of last
}

// play runs a case: first what all cases are given, then its own steps.
func (b *bench) play(ctx context.Context, f *file, s *scene) error {
	for i := range f.given {
		if err := b.command(ctx, &f.given[i]); err != nil {
			return fmt.Errorf("%s:%d: %w", f.name, f.given[i].line, err)
		}
	}
	for _, st := range s.steps {
		if err := b.step(ctx, st); err != nil {
			return fmt.Errorf("%s:%d: %w", f.name, st.line, err)
		}
	}
	return nil
}

func (b *bench) step(ctx context.Context, st step) error {
	if st.cmd != nil {
		return b.command(ctx, st.cmd)
	}
	return b.call(ctx, st.call)
}

// command sends a Redis command and compares its answer.
func (b *bench) command(ctx context.Context, c *command) error {
	words, err := b.expand(c.words)
	if err != nil {
		return err
	}
	line := joined(words)
	v, err := b.reads.Do(ctx, words...).Result()
	if errors.Is(err, redis.Nil) {
		v, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	if c.let != "" {
		have, ok := text(v)
		if !ok {
			return fmt.Errorf("let %s: %s answered %s, which is no single value", c.let, line, show(v))
		}
		b.vars[c.let] = have
	}
	if c.want == nil {
		return nil
	}
	if err := c.want(v, b.vars); err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

// expand puts keys in the place of their names, and values in that of variables.
func (b *bench) expand(ws []word) ([]any, error) {
	out := make([]any, len(ws))
	for i, w := range ws {
		s, err := expand(w, b.vars)
		if err != nil {
			return nil, err
		}
		if !w.quoted && i > 0 && (keyed(ws, i) || b.names(s)) {
			if s, err = key(b.slot, s); err != nil {
				return nil, err
			}
		}
		out[i] = s
	}
	return out, nil
}

// names says whether a word is somebody's key, as job(J1), wherever it stands.
func (b *bench) names(s string) bool {
	if !ofSomeone.MatchString(s) {
		return false
	}
	_, err := key(b.slot, s)
	return err == nil
}

// call runs a script, compares its reply, and holds what it did to the law.
func (b *bench) call(ctx context.Context, c *call) error {
	if !c.again {
		if err := b.prepare(c); err != nil {
			return err
		}
	}
	if b.last == nil {
		return errors.New("again what? nothing was called yet")
	}
	dumps := b.runner.Profile == rediskit.Server
	before, err := look(ctx, b.reads, b.slot, dumps)
	if err != nil {
		return err
	}
	reply, failed := b.last(ctx)
	if err := b.compare(c, reply, failed); err != nil {
		return err
	}
	after, err := look(ctx, b.reads, b.slot, dumps)
	if err != nil {
		return err
	}
	return after.lawful(before, b.slot, b.script)
}

func (b *bench) compare(c *call, reply rediskit.Reply, failed error) error {
	switch {
	case failed != nil && c.fails == "":
		return failed
	case failed != nil:
		if !strings.Contains(failed.Error(), c.fails) {
			return fmt.Errorf("want an error with %q, have: %w", c.fails, failed)
		}
		return nil
	case c.fails != "":
		return fmt.Errorf("want an error with %q, have %s", c.fails, reply.Word)
	}
	b.said[b.script.Name+" "+reply.Word] = true
	whole := append([]any{reply.Word}, reply.Rest...)
	if err := list(c.want)(whole, b.vars); err != nil {
		return fmt.Errorf("%s answered %s: %w", b.script.Name, show(whole), err)
	}
	return nil
}

// prepare puts a call together, and keeps it for again.
func (b *bench) prepare(c *call) error {
	s, err := b.scripts(c.script)
	if err != nil {
		return err
	}
	given := maps.Clone(b.args)
	for name, w := range c.args {
		if given[name], err = expand(w, b.vars); err != nil {
			return err
		}
	}
	at, err := b.place(c, given)
	if err != nil {
		return err
	}
	args, rest, err := arguments(s.Header, given, c.args)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	b.script = s
	b.last = func(ctx context.Context) (rediskit.Reply, error) {
		return b.runner.Run(ctx, s, at, args, rest...)
	}
	return nil
}

// place says whose keys a call is about.
func (b *bench) place(c *call, given map[string]string) (rediskit.Place, error) {
	at := rediskit.Place{Slot: b.slot}
	for per, to := range map[string]*string{
		"job": &at.Job, "owner": &at.Owner, "order": &at.Order, "worker": &at.Worker, "idem": &at.Idem,
	} {
		*to = given[per]
		if *to == "" && (per == "job" || per == "order") {
			*to = given["id"]
		}
		if w, ok := c.place[per]; ok {
			v, err := expand(w, b.vars)
			if err != nil {
				return at, err
			}
			*to = v
		}
	}
	return at, nil
}

// arguments orders values by the header. A name that the call itself gives and
// the header does not have is an error; one that all calls share is not.
func arguments(h rediskit.Header, given map[string]string, own map[string]word) (rediskit.Args, []string, error) {
	args, rest, known := rediskit.Args{}, []string(nil), map[string]bool{}
	for _, name := range h.Args {
		name, many := strings.CutSuffix(name, "*")
		known[name] = true
		if many {
			rest = strings.Fields(given[name])
			continue
		}
		args[name] = given[name]
	}
	for name := range own {
		if !known[name] {
			return nil, nil, fmt.Errorf("its header has no argument %s; it has %s", name, strings.Join(h.Args, " "))
		}
	}
	return args, rest, nil
}

var runID = regexp.MustCompile(`run_id:([0-9a-f]+)`)

// serverID is what scripts take for the server's identity.
func (b *bench) serverID(ctx context.Context) (string, error) {
	if b.runner.Profile == rediskit.Embedded {
		return string(rediskit.Embedded), nil
	}
	info, err := b.reads.Info(ctx, "server").Result()
	if err != nil {
		return "", err
	}
	m := runID.FindStringSubmatch(info)
	if m == nil {
		return "", errors.New("INFO server names no run_id")
	}
	return m[1], nil
}

func joined(words []any) string {
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = show(w)
	}
	return strings.Join(parts, " ")
}
