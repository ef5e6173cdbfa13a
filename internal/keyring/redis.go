package keyring

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/rediskit"
)

//go:embed lua/*.lua
var scripts embed.FS

// MaxKeys is how many keys there may be: every dispatcher has a copy of them.
const MaxKeys = 1000

// ErrNoPermit is returned for a permit of another act: a fault of the caller.
var ErrNoPermit = errors.New("keyring: the permit is for another act")

// Redis is the keys of a fleet. It is safe for concurrent use.
type Redis struct {
	run     rediskit.Runner
	slot    rediskit.Slot
	scripts map[string]*rediskit.Script
}

// NewRedis returns the keys of a fleet; they are in its first partition.
func NewRedis(run rediskit.Runner, ps rediskit.Partitions) (*Redis, error) {
	s, err := rediskit.LoadAll(scripts, "create_key", "revoke_key")
	if err != nil {
		return nil, err
	}
	return &Redis{run: run, slot: ps.Slot(0), scripts: s}, nil
}

// Create makes a key like the one described and returns it with its secret,
// which is kept nowhere. It returns [access.ErrBadKey] for a bad description,
// [access.ErrKeyMade] when the actor's same idempotency key made one before, and
// [access.ErrTooManyKeys].
func (r *Redis) Create(ctx context.Context, p access.Permit, like access.Key, at time.Time, key string) (access.IssuedKey, string, error) {
	if !p.Allows(access.CreateKey) {
		return access.IssuedKey{}, "", ErrNoPermit
	}
	like.BreakGlass = false
	made, secret, err := access.NewKey(like)
	if err != nil {
		return access.IssuedKey{}, "", err
	}
	if key != "" {
		made.ID = "key-" + digest(p.Actor().Subject, key)
	}
	issued := access.IssuedKey{Key: made, Shown: access.Shown(secret), CreatedAt: at.UTC().Truncate(time.Second), CreatedBy: p.Actor().Subject}
	row, err := json.Marshal(issued)
	if err != nil {
		return access.IssuedKey{}, "", fmt.Errorf("write the key: %w", err)
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := r.run.Run(cctx, r.scripts["create_key"], rediskit.Place{Slot: r.slot}, rediskit.Args{
		"id": made.ID, "row": row, "limit": strconv.Itoa(MaxKeys), "who": p.Who(), "subject": made.Subject, "owner": made.Owner, "roles": words(made.Roles),
	})
	switch {
	case err != nil:
		return access.IssuedKey{}, "", rediskit.Unavailable(err)
	case reply.Word == "exists":
		return access.IssuedKey{}, "", fmt.Errorf("%w: %s", access.ErrKeyMade, made.ID)
	case reply.Word == "full":
		return access.IssuedKey{}, "", access.ErrTooManyKeys
	}
	return issued, secret, nil
}

func words(roles []access.Role) string {
	var out []string
	for _, r := range roles {
		out = append(out, string(r))
	}
	return strings.Join(out, " ")
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Revoke ends a key, everywhere within [Bound]. It returns [job.ErrUnknown] for
// an id that is none of a key here; that is audited too.
func (r *Redis) Revoke(ctx context.Context, p access.Permit, id, reason, key string) error {
	if !p.Allows(access.RevokeKey) {
		return ErrNoPermit
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	reply, err := r.run.Run(cctx, r.scripts["revoke_key"], rediskit.Place{Slot: r.slot}, rediskit.Args{
		"id": id, "mark": digest(p.Actor().Subject, key, id), "who": p.Who(), "reason": reason,
	})
	if err != nil {
		return rediskit.Unavailable(err)
	}
	if reply.Word == "unknown" {
		return job.ErrUnknown
	}
	return nil
}

// Keys lists the keys, oldest first, with when they were last used.
func (r *Redis) Keys(ctx context.Context) ([]access.IssuedKey, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	rows, used := r.slot.Of("keys"), r.slot.Of("keys_used")
	pipe := r.run.Client.Pipeline()
	all, last := pipe.HGetAll(cctx, rows), pipe.HGetAll(cctx, used)
	if _, err := pipe.Exec(cctx); err != nil {
		return nil, rediskit.Unread(err)
	}
	keys, _ := read(all.Val())
	for i, k := range keys {
		if s, err := strconv.ParseInt(last.Val()[k.ID], 10, 64); err == nil {
			keys[i].LastUsed = time.Unix(s, 0).UTC()
		}
	}
	return keys, nil
}

// read takes the rows apart; a row that is no good key is an error beside them.
func read(rows map[string]string) ([]access.IssuedKey, error) {
	var keys []access.IssuedKey
	var bad []error
	for id, row := range rows {
		if id == "version" || id == "revoked" {
			continue
		}
		var k access.IssuedKey
		err := json.Unmarshal([]byte(row), &k)
		if err == nil {
			err = k.Check()
		}
		if err != nil || k.ID != id || k.BreakGlass {
			bad = append(bad, fmt.Errorf("the stored key %q is passed over: %w", id, errors.Join(err, access.ErrBadKey)))
			continue
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b access.IssuedKey) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return keys, errors.Join(bad...)
}

// version changes with every key made or revoked.
func (r *Redis) version(ctx context.Context) (string, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	v, err := r.run.Client.HGet(cctx, r.slot.Of("keys"), "version").Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return v, rediskit.Unread(err)
}

// rows are the stored keys and their version, read in one step.
func (r *Redis) rows(ctx context.Context) (map[string]string, error) {
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	rows, err := r.run.Client.HGetAll(cctx, r.slot.Of("keys")).Result()
	return rows, rediskit.Unread(err)
}

// used writes down when keys were last used.
func (r *Redis) used(ctx context.Context, at map[string]time.Time) error {
	fields := make([]any, 0, 2*len(at))
	for id, t := range at {
		fields = append(fields, id, strconv.FormatInt(t.Unix(), 10))
	}
	cctx, cancel := rediskit.WithCall(ctx)
	defer cancel()
	return rediskit.Unavailable(r.run.Client.HSet(cctx, r.slot.Of("keys_used"), fields...).Err())
}
