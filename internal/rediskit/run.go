package rediskit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Args are a script's arguments by the names in its header. Values are strings,
// integers or byte slices; never floats.
type Args map[string]any

// Runner runs scripts on one client under one profile.
type Runner struct {
	Client  redis.UniversalClient
	Profile Profile
	// Durability is what [Runner.Keep] waits for.
	Durability Durability
	// Observe is told of each call of a script; nil for nobody.
	Observe Observer
	// Trace follows each call of a script; nil for nobody.
	Trace Tracer
}

// Observer is told how long a script took, and what failed.
type Observer func(script string, took time.Duration, err error)

// Tracer begins to follow one call of a script in a partition, and is told when
// it is over. It MUST NOT block.
type Tracer func(ctx context.Context, script string, partition int) (over func(err error))

// Run calls a script. It answers an error when an argument is missing or
// unknown ([ErrScript], a fault of the caller), when Redis failed (see
// [Outcome]), or when the reply's word is not in the header ([ErrReply]).
func (r Runner) Run(ctx context.Context, s *Script, at Place, args Args, rest ...string) (Reply, error) {
	return r.call(ctx, s, at, args, rest, func(ctx context.Context, src *redis.Script, keys []string, argv []any) (any, error) {
		return src.Run(ctx, r.Client, keys, argv...).Result()
	})
}

// sender sends a script and returns its raw reply.
type sender func(ctx context.Context, src *redis.Script, keys []string, argv []any) (any, error)

//nolint:revive // the arguments of Run, and who sends
func (r Runner) call(ctx context.Context, s *Script, at Place, args Args, rest []string, send sender) (Reply, error) {
	keys, argv, err := s.values(at, args, rest)
	if err != nil {
		return Reply{}, fmt.Errorf("%w: %w", ErrScript, err)
	}
	over := func(error) {}
	if r.Trace != nil {
		over = r.Trace(ctx, s.Name, at.Slot.Partition())
	}
	began := time.Now()
	raw, err := send(ctx, s.on(r.Client, r.Profile), keys, argv)
	over(err)
	if r.Observe != nil {
		r.Observe(s.Name, time.Since(began), err)
	}
	if err != nil {
		return Reply{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	reply, err := parseReply(raw)
	if err != nil {
		return Reply{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	if !slices.Contains(s.Header.Replies, reply.Word) {
		return Reply{}, fmt.Errorf("%s: %w: %q", s.Name, ErrReply, reply.Word)
	}
	return reply, nil
}

// values puts names into the order the bound script expects.
func (s *Script) values(at Place, args Args, rest []string) ([]string, []any, error) {
	h := s.Header
	keys := make([]string, len(h.Keys))
	argv := make([]any, 1, 1+len(h.Args)+len(rest))
	argv[0] = string(at.Slot)
	for i, row := range s.keys {
		k, err := at.key(row)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		keys[i] = k
	}
	taken := 0
	for _, name := range h.Args {
		if strings.HasSuffix(name, "*") {
			for _, v := range rest {
				argv = append(argv, v)
			}
			rest = nil
			break
		}
		v, ok := args[name]
		if !ok {
			return nil, nil, fmt.Errorf("%s: argument %s is missing", s.Name, name)
		}
		taken++
		argv = append(argv, v)
	}
	if taken != len(args) || len(rest) > 0 {
		return nil, nil, fmt.Errorf("%s: arguments the header does not name: have %d, took %d", s.Name, len(args)+len(rest), taken)
	}
	return keys, argv, nil
}
