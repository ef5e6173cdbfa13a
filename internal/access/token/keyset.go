package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/rtfm-si/gavel/internal/access"
)

const (
	freshFor  = 5 * time.Minute  // then the keys are asked for again
	goodFor   = time.Hour        // then they are not believed any more
	askEvery  = 10 * time.Second // at most, for whatever key ids callers make up
	askWithin = 2 * time.Second
	maxKeySet = 1 << 20 // bytes
)

var (
	errNoKey = errors.New("no key of the provider made the signature")
	errKeys  = errors.New("the provider's keys are not to be had")
)

// keySet is the provider's keys. It is an [oidc.KeySet].
type keySet struct {
	issuer string
	algs   []jose.SignatureAlgorithm
	client *http.Client
	now    func() time.Time

	asking sync.Mutex // held by the one who asks the provider
	asked  time.Time  // when they were last asked for

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when the keys came
	failure error     // of the last time, if it failed
}

// VerifySignature returns the payload of a token that a key of the provider
// signed.
func (s *keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, s.algs)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, errNoKey
	}
	kid := jws.Signatures[0].Header.KeyID
	keys, err := s.current(ctx, func(keys []jose.JSONWebKey) bool { return len(named(keys, kid)) > 0 })
	if err != nil {
		return nil, err
	}
	for _, key := range named(keys, kid) {
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, errNoKey
}

// named are the keys with an id; all of them for a token that names none.
func named(keys []jose.JSONWebKey, kid string) []jose.JSONWebKey {
	if kid == "" {
		return keys
	}
	var out []jose.JSONWebKey
	for _, k := range keys {
		if k.KeyID == kid && (k.Use == "" || k.Use == "sig") {
			out = append(out, k)
		}
	}
	return out
}

// current is the keys to believe now. Whom the kept ones satisfy does not wait:
// one of them asks when they are old. Who misses a key waits for the answer.
func (s *keySet) current(ctx context.Context, enough func([]jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	keys, age, _ := s.kept()
	switch {
	case age >= goodFor || !enough(keys):
		s.asking.Lock()
		s.ask(ctx, enough)
		s.asking.Unlock()
	case age >= freshFor && s.asking.TryLock():
		s.ask(ctx, enough)
		s.asking.Unlock()
	}
	keys, age, failure := s.kept()
	if age >= goodFor {
		return nil, fmt.Errorf("%w: %w", access.ErrUnasked, errors.Join(errKeys, failure))
	}
	return keys, nil
}

// kept is what is known, and since when.
func (s *keySet) kept() ([]jose.JSONWebKey, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched.IsZero() {
		return nil, goodFor, s.failure
	}
	return s.keys, s.now().Sub(s.fetched), s.failure
}

// ask fetches the keys, unless they were asked for just now. Who asks may leave:
// the others need the answer too.
func (s *keySet) ask(ctx context.Context, enough func([]jose.JSONWebKey) bool) {
	now := s.now()
	if keys, age, _ := s.kept(); age < freshFor && enough(keys) || !s.asked.IsZero() && now.Sub(s.asked) < askEvery {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin)
	defer cancel()
	s.asked = now
	keys, err := s.fetch(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure = err; err == nil {
		s.keys, s.fetched = keys, now
	}
}

func (s *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), s.issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the provider: %w", err)
	}
	var doc struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&doc); err != nil {
		return nil, fmt.Errorf("read the provider's document: %w", err)
	}
	if err := checkURL("jwks_uri", doc.Keys); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, doc.Keys, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for the provider's keys: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for the provider's keys: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask for the provider's keys: it answers %s", resp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
	if err != nil {
		return nil, fmt.Errorf("read the provider's keys: %w", err)
	}
	return publicKeys(raw)
}

// publicKeys reads a key set; what is no public key known here is passed over.
func publicKeys(raw []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("read the provider's keys: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, one := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(one, &k) == nil && k.Valid() && k.IsPublic() {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("read the provider's keys: there is none that is known here")
	}
	return keys, nil
}
