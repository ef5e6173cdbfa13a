package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// Authenticator turns a presented credential into an actor. The door fills in
// From and RequestID.
type Authenticator interface {
	// Authenticate returns [ErrNone], or an error wrapping [ErrRefused] or
	// [ErrExpired], or [ErrUnasked] when nobody could be asked.
	Authenticate(ctx context.Context, presented string, now time.Time) (Actor, error)
}

// The refusals of an [Authenticator]. A door answers all three with 401.
var (
	// ErrNone: no credential was presented.
	ErrNone = errors.New("no credential was presented")
	// ErrRefused: the credential is not one we know.
	ErrRefused = errors.New("the credential is not known here")
	// ErrExpired: it was good once.
	ErrExpired = errors.New("the credential has expired")
)

// ErrUnasked is wrapped when whoever could tell did not answer: the identity
// provider, or the store of keys. A door answers with 503; keys of the file
// still work.
var ErrUnasked = errors.New("who it belongs to could not be found out")

// ErrKeyMade is wrapped when the same request made a key before: its secret was
// shown then, and cannot be again.
var ErrKeyMade = errors.New("the same request made a key before")

// ErrTooManyKeys is returned when no more keys are kept.
var ErrTooManyKeys = errors.New("there are too many keys")

// ErrBadKey is wrapped by everything that is wrong with a key's description.
var ErrBadKey = errors.New("bad API key")

// Key is an API key as it is stored: who it stands for and the hash of the
// secret, never the secret.
type Key struct {
	// ID names the key in the audit and the logs.
	ID      string `json:"id"`
	Subject string `json:"subject"`
	Owner   string `json:"owner,omitempty"`
	Roles   []Role `json:"roles"`
	// Hash is [Hash] of the secret.
	Hash string `json:"hash"`
	// Expires is when it stops being good; zero is never.
	Expires time.Time `json:"expires,omitzero"`
	// BreakGlass marks an admin's emergency key.
	BreakGlass bool `json:"break_glass,omitempty"`
}

// IssuedKey is a key that was made through the API.
type IssuedKey struct {
	Key
	// Shown is how its secret begins, for people to tell keys apart.
	Shown     string    `json:"shown"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	CreatedBy string    `json:"created_by"`
	// LastUsed is good to a minute or so; it is not stored with the key.
	LastUsed time.Time `json:"-"`
}

// Shown is what may be shown of a secret: 32 of its 256 bits.
func Shown(secret string) string { return secret[:min(len(secret), len(Prefix)+8)] }

// Prefix starts every secret made here, for scanners that look for leaked ones.
const Prefix = "gvl_"

const hashScheme = "sha256:"

// NewKey makes a key like the one described, with an id and a secret of its
// own. The secret is 256 random bits behind [Prefix]; it is returned once and
// kept nowhere, so hash and store are enough: it cannot be guessed, and a slow
// hash would protect nothing.
func NewKey(like Key) (key Key, secret string, err error) {
	var raw [32 + 4]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return Key{}, "", fmt.Errorf("make an API key: %w", err)
	}
	key, secret = like, Prefix+hex.EncodeToString(raw[:32])
	key.ID = "key-" + hex.EncodeToString(raw[32:])
	key.Hash = Hash(secret)
	if err := key.Check(); err != nil {
		return Key{}, "", err
	}
	return key, secret, nil
}

// Hash is what is stored of a secret.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hashScheme + hex.EncodeToString(sum[:])
}

// Check refuses a key that names nobody, has a role that does not exist, or
// could never match.
func (k Key) Check() error {
	if err := job.CheckName("id", k.ID, job.MaxName); err != nil {
		return fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	if err := job.CheckName("subject", k.Subject, job.MaxName); err != nil {
		return fmt.Errorf("%w %s: %w", ErrBadKey, k.ID, err)
	}
	if k.Owner != "" {
		if err := job.CheckName("owner", k.Owner, job.MaxName); err != nil {
			return fmt.Errorf("%w %s: %w", ErrBadKey, k.ID, err)
		}
	}
	if _, err := k.sum(); err != nil {
		return err
	}
	return k.checkRoles()
}

func (k Key) checkRoles() error {
	if len(k.Roles) == 0 {
		return fmt.Errorf("%w %s: it has no role; give at least one of %v", ErrBadKey, k.ID, Roles())
	}
	for _, r := range k.Roles {
		if !slices.Contains(Roles(), r) {
			return fmt.Errorf("%w %s: there is no role %q; want some of %v", ErrBadKey, k.ID, r, Roles())
		}
	}
	if slices.Contains(k.Roles, Owner) && k.Owner == "" {
		return fmt.Errorf("%w %s: the role owner needs the owner it stands for", ErrBadKey, k.ID)
	}
	if k.BreakGlass && !slices.Contains(k.Roles, Admin) {
		return fmt.Errorf("%w %s: a break-glass key is an admin's; give it the role admin", ErrBadKey, k.ID)
	}
	return nil
}

func (k Key) sum() ([]byte, error) {
	text, ok := strings.CutPrefix(k.Hash, hashScheme)
	sum, err := hex.DecodeString(text)
	if !ok || err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("%w %s: its hash is not %s and 64 hexadecimal digits", ErrBadKey, k.ID, hashScheme)
	}
	return sum, nil
}

func (k Key) actor() Actor {
	kind := APIKey
	if k.BreakGlass {
		kind = BreakGlass
	}
	return Actor{
		Subject:    k.Subject,
		Owner:      k.Owner,
		Roles:      slices.Clone(k.Roles),
		Credential: Credential{Kind: kind, ID: k.ID},
	}
}

// Keys are API keys that do not change. It is an [Authenticator].
type Keys struct {
	keys []Key
	sums [][]byte
}

// NewKeys checks the keys and returns them as a set. Two keys may stand for one
// subject (that is how one is rotated), but not share an id or a secret.
func NewKeys(keys []Key) (*Keys, error) {
	ks := &Keys{keys: slices.Clone(keys), sums: make([][]byte, len(keys))}
	ids, hashes := map[string]bool{}, map[string]bool{}
	for i, k := range keys {
		if err := k.Check(); err != nil {
			return nil, err
		}
		if ids[k.ID] {
			return nil, fmt.Errorf("%w: the id %s is there twice", ErrBadKey, k.ID)
		}
		sum, err := k.sum()
		if err != nil {
			return nil, err
		}
		if hashes[string(sum)] {
			return nil, fmt.Errorf("%w %s: another key has the same hash", ErrBadKey, k.ID)
		}
		ids[k.ID], hashes[string(sum)] = true, true
		ks.sums[i] = sum
	}
	return ks, nil
}

// Len is how many there are.
func (ks *Keys) Len() int { return len(ks.keys) }

// Authenticate compares the hash of what was presented with every key's, in
// constant time, so that an answer's delay says nothing about any of them.
func (ks *Keys) Authenticate(_ context.Context, presented string, now time.Time) (Actor, error) {
	if presented == "" {
		return Actor{}, ErrNone
	}
	sum := sha256.Sum256([]byte(presented))
	found := -1
	for i := range ks.sums {
		if subtle.ConstantTimeCompare(ks.sums[i], sum[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Actor{}, ErrRefused
	}
	k := ks.keys[found]
	if !k.Expires.IsZero() && !now.Before(k.Expires) {
		return Actor{}, fmt.Errorf("%w: key %s, at %s", ErrExpired, k.ID, k.Expires.UTC().Format(time.RFC3339))
	}
	return k.actor(), nil
}
