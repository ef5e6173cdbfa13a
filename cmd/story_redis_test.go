package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/rediskit"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// breakOut gives the story a Redis of its own, to be broken.
func (f *fleet) breakOut(aof string, config []string) {
	f.own = redistest.StartOwn(f.t, redistest.Options{AOF: aof, Config: append(configured(f.t), config...)})
	f.name, f.ground = f.own.Fleet, onServer(&f.own.Server)
}

// loseReplies has a link lose the replies to the next n requests in which all
// parts occur: each is answered, and nobody hears it.
func (s scene) loseReplies(name string, args []string) error {
	if err := need(args, 2, "link name lose n part…"); err != nil {
		return err
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	s.link(name).DropReplies(n, redistest.Containing(args[1:]...), redistest.Silent)
	return nil
}

var prefixes = regexp.MustCompile(`\{(\d+)\}`)

// prefixed writes {P} as the key prefix of partition P.
func (f *fleet) prefixed(word string) string {
	return prefixes.ReplaceAllStringFunc(word, func(m string) string {
		p, _ := strconv.Atoi(strings.Trim(m, "{}"))
		return string(rediskit.NewSlot(f.name, p))
	})
}

func (s scene) commandWord(args []string) error {
	if err := need(args, 1, "command word…"); err != nil {
		return err
	}
	words := make([]any, len(args))
	for i, a := range args {
		words[i] = s.prefixed(a)
	}
	return s.ground.client(s.t).Do(context.Background(), words...).Err()
}

// residueWord holds Redis to what should be left when all jobs are over and all
// processes have gone, but for the keys that a story names.
func (s scene) residueWord(args []string) error {
	c := s.ground.client(s.t)
	defer func() { _ = c.Close() }()
	return eventually(func(ctx context.Context) error {
		keys, err := s.keysOf(ctx)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := residueAt(ctx, c, key); err != nil && !slices.Contains(args, nameOf(key)) {
				return err
			}
		}
		return nil
	})
}

// nameOf is what a key is called in the table of keys.
func nameOf(key string) string {
	_, rest, _ := strings.Cut(key, "}:")
	name, _, _ := strings.Cut(rest, ":")
	return name
}

// gone are the keys that end with the job or worker they belong to.
var gone = []string{"leases", "live", "later", "workers", "worker", "attempt", "reapers", "reserved", "held", "capped", "short", "open_orders"}

// residueAt says what a key has that should have gone.
func residueAt(ctx context.Context, c redis.UniversalClient, key string) error {
	switch name := nameOf(key); {
	case slices.Contains(gone, name):
		return fmt.Errorf("%s is left", key)
	case name == "road":
		return roadResidue(ctx, c, key)
	case name == "alive":
		counts, err := c.HGetAll(ctx, key).Result()
		for state, n := range counts {
			if n != "0" || strings.Contains(state, " ") {
				return fmt.Errorf("%s counts %s jobs as %s", key, n, state)
			}
		}
		return err
	default:
		return nil
	}
}

func roadResidue(ctx context.Context, c redis.UniversalClient, key string) error {
	if n, err := c.XLen(ctx, key).Result(); err != nil || n != 0 {
		return fmt.Errorf("%d entries are left on %s (%w)", n, key, err)
	}
	groups, err := c.XInfoGroups(ctx, key).Result()
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Pending != 0 || g.Consumers > 1 {
			return fmt.Errorf("the group %s of %s has %d pending entries and %d consumers; want none, and the one that grants", g.Name, key, g.Pending, g.Consumers)
		}
	}
	return nil
}

// keep takes a backup of the fleet's keys.
func (f *fleet) keep() error {
	ctx, c := context.Background(), f.ground.client(f.t)
	keys, err := f.keysOf(ctx)
	if err != nil {
		return err
	}
	f.kept = map[string]string{}
	for _, k := range keys {
		v, err := c.Dump(ctx, k).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		f.kept[k] = v
	}
	return nil
}

// restore brings the backup back in one step, in the place of all there is.
func (f *fleet) restore() error {
	ctx := context.Background()
	_, err := f.ground.client(f.t).TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.FlushAll(ctx)
		for k, v := range f.kept {
			if v != "" {
				tx.Restore(ctx, k, 0, v)
			}
		}
		return nil
	})
	return err
}

func (s scene) entriesWord(args []string) error {
	if err := need(args, 2, "entries key n"); err != nil {
		return err
	}
	n, err := s.ground.client(s.t).XLen(context.Background(), s.prefixed(args[0])).Result()
	if err == nil && strconv.FormatInt(n, 10) != args[1] {
		return fmt.Errorf("%s has %d entries, want %s", args[0], n, args[1])
	}
	return err
}

func (s scene) publishedWord(args []string) error {
	if err := need(args, 2, "published file copy"); err != nil {
		return err
	}
	copied := s.script.MkAbs(args[1])
	if err := os.WriteFile(copied, []byte(s.script.ReadFile(args[0])), 0o600); err != nil {
		return err
	}
	return os.Chmod(copied, 0o644)
}

func (s scene) fieldWord(args []string) error {
	if err := need(args, 3, "field key name value"); err != nil {
		return err
	}
	c := s.ground.client(s.t)
	return eventually(func(ctx context.Context) error {
		v, err := c.HGet(ctx, s.prefixed(args[0]), args[1]).Result()
		if err == nil && v != args[2] {
			err = fmt.Errorf("%s is %q, want %q", args[1], v, args[2])
		}
		return err
	})
}
