package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider is an identity provider in this process.
type provider struct {
	*httptest.Server
	asked atomic.Int32 // for keys

	mu   sync.Mutex
	keys []jose.JSONWebKey
	down bool
	held chan struct{} // holds the answer back until it is closed
}

func newProvider(t *testing.T) *provider {
	p := &provider{}
	p.Server = httptest.NewServer(http.HandlerFunc(p.answer))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) answer(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	down, held, set := p.down, p.held, jose.JSONWebKeySet{Keys: p.keys}
	p.mu.Unlock()
	switch {
	case down:
		http.Error(w, "down", http.StatusBadGateway)
	case r.URL.Path == "/keys":
		p.asked.Add(1)
		if held != nil {
			<-held
		}
		_ = json.NewEncoder(w).Encode(set)
	default:
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
	}
}

func (p *provider) publish(keys ...jose.JSONWebKey) { p.mu.Lock(); p.keys = keys; p.mu.Unlock() }
func (p *provider) setDown(down bool)               { p.mu.Lock(); p.down = down; p.mu.Unlock() }
func (p *provider) hold(c chan struct{})            { p.mu.Lock(); p.held = c; p.mu.Unlock() }

var keyOnce = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var ks [2]*rsa.PrivateKey
	for i := range ks {
		ks[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return ks
})

func public(kid string, key *rsa.PrivateKey) jose.JSONWebKey {
	return jose.JSONWebKey{Key: &key.PublicKey, KeyID: kid, Use: "sig", Algorithm: "RS256"}
}

// bench is a provider and tokens that believe it, at a clock of the test's.
type bench struct {
	*provider
	tokens *Tokens
	now    time.Time
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	b := &bench{provider: newProvider(t), now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	b.publish(public("k1", keyOnce()[0]))
	cfg := Config{Issuer: b.URL, Audience: "gavel"}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	b.tokens, err = New(cfg)
	require.NoError(t, err)
	b.tokens.keys.now = func() time.Time { return b.now }
	return b
}

func (b *bench) claims(change map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": b.URL, "aud": "gavel", "sub": "alice", "owner": "acme", "roles": []string{"owner", "nonsense"}, "jti": "t-1",
		"iat": b.now.Unix(), "exp": b.now.Add(5 * time.Minute).Unix(),
	}
	maps.Copy(c, change)
	for k, v := range c {
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

func (b *bench) signed(t *testing.T, kid string, key any, change map[string]any) string {
	t.Helper()
	var method jwt.SigningMethod = jwt.SigningMethodRS256
	switch key.(type) {
	case []byte:
		method = jwt.SigningMethodHS256
	case *ecdsa.PrivateKey:
		method = jwt.SigningMethodES256
	}
	tok := jwt.NewWithClaims(method, b.claims(change))
	tok.Header["kid"] = kid
	text, err := tok.SignedString(key)
	require.NoError(t, err)
	return text
}

func (b *bench) good(t *testing.T, change map[string]any) string {
	t.Helper()
	return b.signed(t, "k1", keyOnce()[0], change)
}

func (b *bench) ask(t *testing.T, raw string) (access.Actor, error) {
	return b.tokens.Authenticate(t.Context(), raw, b.now)
}

func TestATokenSaysWhoSomebodyIs(t *testing.T) {
	b := newBench(t)
	raw := b.good(t, nil)
	require.True(t, access.IsToken(raw))
	got, err := b.ask(t, raw)
	require.NoError(t, err)
	require.Equal(t, access.Actor{
		Subject: "alice", Owner: "acme", Roles: []access.Role{access.Owner}, Credential: access.Credential{Kind: access.Token, ID: "t-1"},
	}, got)
	require.False(t, got.ByBreakGlass())
	_, err = b.ask(t, "")
	require.ErrorIs(t, err, access.ErrNone)

	got, err = b.ask(t, b.good(t, map[string]any{"aud": []string{"other", "gavel"}, "jti": nil}))
	require.NoError(t, err)
	require.Regexp(t, "^token-[0-9a-f]{16}$", got.Credential.ID)
}

func TestClaimsAndRolesAreConfigurable(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.SubjectClaim, c.OwnerClaim, c.RolesClaim = "email", "org.name", "realm_access.roles"
		c.Roles = map[string]access.Role{"gavel-admins": access.Admin, "oncall": access.Operator}
	})
	got, err := b.ask(t, b.good(t, map[string]any{
		"email": "root@acme.example", "org": map[string]any{"name": "ops"},
		"realm_access": map[string]any{"roles": []any{"gavel-admins", 7, "admin"}},
	}))
	require.NoError(t, err)
	require.Equal(t, "root@acme.example", got.Subject)
	require.Equal(t, "ops", got.Owner)
	require.Equal(t, []access.Role{access.Admin}, got.Roles)
	got, err = b.ask(t, b.good(t, map[string]any{"email": "x@y", "realm_access.roles": "email oncall"}))
	require.NoError(t, err, "a claim's own name may have a dot; roles may be words")
	require.Equal(t, []access.Role{access.Operator}, got.Roles)
	require.Empty(t, got.Owner)
}

func TestTokensThatAreRefused(t *testing.T) {
	b := newBench(t)
	own, other := keyOnce()[0], keyOnce()[1]
	der, err := x509.MarshalPKIXPublicKey(&own.PublicKey)
	require.NoError(t, err)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	none := jwt.NewWithClaims(jwt.SigningMethodNone, b.claims(nil))
	none.Header["kid"] = "k1"
	unsigned, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	good := b.good(t, nil)
	parts := strings.Split(good, ".")
	enc := base64.RawURLEncoding
	forged, _ := json.Marshal(b.claims(map[string]any{"roles": "admin"}))
	embedded, _ := json.Marshal(map[string]any{"alg": "RS256", "kid": "k9", "jwk": public("k9", other), "jku": "http://127.0.0.1:1/keys"})
	in := func(d time.Duration) int64 { return b.now.Add(d).Unix() }
	for name, c := range map[string]struct {
		raw  string
		want error
	}{
		"alg none":                {unsigned, access.ErrRefused},
		"alg none, no signature":  {strings.TrimRight(unsigned, ".") + ".", access.ErrRefused},
		"HS256 by the public key": {b.signed(t, "k1", asPEM, nil), access.ErrRefused},
		"HS256 by its DER":        {b.signed(t, "k1", der, nil), access.ErrRefused},
		"another key, our kid":    {b.signed(t, "k1", other, nil), access.ErrRefused},
		"another key, no kid":     {b.signed(t, "", other, nil), access.ErrRefused},
		"another kind of key":     {b.signed(t, "k1", ec, nil), access.ErrRefused},
		"a key of its own":        {enc.EncodeToString(embedded) + "." + parts[1] + "." + parts[2], access.ErrRefused},
		"kid up the tree":         {b.signed(t, "../../../../dev/null", other, nil), access.ErrRefused},
		"kid of SQL":              {b.signed(t, "x' UNION SELECT 'k", other, nil), access.ErrRefused},
		"kid of bytes":            {b.signed(t, "\x00\r\n\x1b[31m", other, nil), access.ErrRefused},
		"changed claims":          {parts[0] + "." + enc.EncodeToString(forged) + "." + parts[2], access.ErrRefused},
		"no signature":            {parts[0] + "." + parts[1] + ".", access.ErrRefused},
		"another audience":        {b.good(t, map[string]any{"aud": "billing"}), access.ErrRefused},
		"no audience":             {b.good(t, map[string]any{"aud": nil}), access.ErrRefused},
		"another issuer":          {b.good(t, map[string]any{"iss": b.URL + "/"}), access.ErrRefused},
		"expired":                 {b.good(t, map[string]any{"exp": in(-Leeway)}), access.ErrExpired},
		"expired long ago":        {b.good(t, map[string]any{"exp": 1}), access.ErrExpired},
		"without end":             {b.good(t, map[string]any{"exp": nil}), access.ErrRefused},
		"not yet":                 {b.good(t, map[string]any{"nbf": in(Leeway + time.Second)}), access.ErrRefused},
		"made in the future":      {b.good(t, map[string]any{"iat": in(Leeway + time.Second)}), access.ErrRefused},
		"nbf no time":             {b.good(t, map[string]any{"nbf": "soon"}), access.ErrRefused},
		"no subject":              {b.good(t, map[string]any{"sub": nil}), access.ErrRefused},
		"subject no name":         {b.good(t, map[string]any{"sub": "{x}:*\r\n"}), access.ErrRefused},
		"subject no text":         {b.good(t, map[string]any{"sub": "", "roles": "admin"}), access.ErrRefused},
		"owner no text":           {b.good(t, map[string]any{"owner": 7}), access.ErrRefused},
		"owner no name":           {b.good(t, map[string]any{"owner": "../x y"}), access.ErrRefused},
		"no role":                 {b.good(t, map[string]any{"roles": []string{"Admin", "root"}}), access.ErrRefused},
		"roles no list":           {b.good(t, map[string]any{"roles": map[string]any{"admin": true}}), access.ErrRefused},
		"two tokens":              {good + good, access.ErrRefused},
		"no token":                {"eyJ.eyJ.eyJ", access.ErrRefused},
	} {
		_, err := b.ask(t, c.raw)
		require.ErrorIs(t, err, c.want, name)
		require.NotContains(t, err.Error(), parts[2], name)
		require.NotContains(t, err.Error(), "\x1b", name)
	}
	_, err = b.ask(t, good)
	require.NoError(t, err, "and the good one still is")
	_, err = b.ask(t, b.good(t, map[string]any{"exp": in(-Leeway + time.Second), "nbf": in(Leeway), "iat": in(Leeway)}))
	require.NoError(t, err, "within the leeway")
}

func TestKeysRotate(t *testing.T) {
	b := newBench(t)
	one, two := keyOnce()[0], keyOnce()[1]
	old := b.signed(t, "k1", one, map[string]any{"exp": b.now.Add(2 * time.Hour).Unix()})
	_, err := b.ask(t, old)
	require.NoError(t, err)
	require.Equal(t, int32(1), b.asked.Load())

	b.publish(public("k1", one), public("k2", two))
	b.now = b.now.Add(askEvery)
	fresh := b.signed(t, "k2", two, map[string]any{"exp": b.now.Add(2 * time.Hour).Unix()})
	_, err = b.ask(t, fresh)
	require.NoError(t, err, "an unknown key id is asked for at once")
	_, err = b.ask(t, old)
	require.NoError(t, err, "two keys are good while they are both published")
	require.Equal(t, int32(2), b.asked.Load())

	b.publish(public("k2", two))
	b.now = b.now.Add(freshFor)
	_, err = b.ask(t, old)
	require.ErrorIs(t, err, access.ErrRefused, "a key that was withdrawn is believed no longer than the keys are fresh")
	_, err = b.ask(t, fresh)
	require.NoError(t, err)
}

// Whatever key ids callers make up, the provider is not flooded.
func TestUnknownKeyIDsDoNotFloodTheProvider(t *testing.T) {
	b := newBench(t)
	for range 50 {
		_, err := b.ask(t, b.signed(t, "made-up", keyOnce()[1], nil))
		require.ErrorIs(t, err, access.ErrRefused)
		b.now = b.now.Add(askEvery / 25)
	}
	require.LessOrEqual(t, b.asked.Load(), int32(3))
	require.GreaterOrEqual(t, b.asked.Load(), int32(2))
}

func TestAProviderThatIsDownFailsClosed(t *testing.T) {
	b := newBench(t)
	b.setDown(true)
	day := map[string]any{"exp": b.now.Add(24 * time.Hour).Unix()}
	_, err := b.ask(t, b.good(t, day))
	require.ErrorIs(t, err, access.ErrUnasked)
	require.NotErrorIs(t, err, access.ErrRefused)
	b.setDown(false)
	_, err = b.ask(t, b.good(t, day))
	require.ErrorIs(t, err, access.ErrUnasked, "it is not asked again so soon")
	b.now = b.now.Add(askEvery)
	_, err = b.ask(t, b.good(t, day))
	require.NoError(t, err)

	b.setDown(true)
	b.now = b.now.Add(goodFor - time.Second)
	_, err = b.ask(t, b.good(t, day))
	require.NoError(t, err, "the last keys stay in force for a while")
	b.now = b.now.Add(time.Second + askEvery)
	_, err = b.ask(t, b.good(t, day))
	require.ErrorIs(t, err, access.ErrUnasked, "and then no more")
}

// A provider that hangs holds nobody up whose key is known.
func TestAProviderThatHangsHoldsNobodyUp(t *testing.T) {
	b := newBench(t)
	raw := b.good(t, nil)
	_, err := b.ask(t, raw)
	require.NoError(t, err)
	held := make(chan struct{})
	b.hold(held)
	b.now = b.now.Add(askEvery)
	now, unknown := b.now, b.signed(t, "k7", keyOnce()[1], nil)
	done := make(chan error)
	go func() {
		_, err := b.tokens.Authenticate(t.Context(), unknown, now)
		done <- err
	}()
	require.Eventually(t, func() bool { return b.asked.Load() == 2 }, 5*time.Second, time.Millisecond)
	_, err = b.ask(t, raw)
	require.NoError(t, err)
	close(held)
	require.ErrorIs(t, <-done, access.ErrRefused)
}

// What a provider publishes beside signing keys is not believed.
func TestKeysThatAreNoneArePassedOver(t *testing.T) {
	secret, _ := json.Marshal(jose.JSONWebKey{Key: []byte("0123456789abcdef"), KeyID: "h"})
	good, _ := json.Marshal(public("k1", keyOnce()[0]))
	keys, err := publicKeys([]byte(`{"keys":[{"kty":"XYZ"},7,` + string(secret) + `,` + string(good) + `]}`))
	require.NoError(t, err)
	require.Len(t, keys, 1)
	for _, none := range []string{`{"keys":[]}`, `{}`, `<html>`, `{"keys":[` + string(secret) + `]}`} {
		_, err = publicKeys([]byte(none))
		require.Error(t, err)
	}
	cipher := public("k1", keyOnce()[0])
	cipher.Use = "enc"
	require.Empty(t, named([]jose.JSONWebKey{cipher}, "k1"))
}

func TestBadSettingsAreRefused(t *testing.T) {
	good := Config{Issuer: "https://id.example", Audience: "gavel"}
	_, err := New(good)
	require.NoError(t, err)
	for want, change := range map[string]func(*Config){
		"audience is empty":    func(c *Config) { c.Audience = "" },
		"no URL":               func(c *Config) { c.Issuer = "id" },
		"no https":             func(c *Config) { c.Issuer = "ftp://id.example" },
		"http to another":      func(c *Config) { c.Issuer = "http://id.example" },
		`algorithm "HS256"`:    func(c *Config) { c.Algs = []string{"RS256", "HS256"} },
		`algorithm "none"`:     func(c *Config) { c.Algs = []string{"none"} },
		`role "root" for "x"`:  func(c *Config) { c.Roles = map[string]access.Role{"x": "root"} },
		`role "admin" for ""`:  func(c *Config) { c.Roles = map[string]access.Role{"": access.Admin} },
		"the issuer is no URL": func(c *Config) { c.Issuer = "https://u:p@id.example" },
	} {
		cfg := good
		change(&cfg)
		_, err := New(cfg)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, want)
	}
}
