package token

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/rtfm-si/gavel/internal/access"
)

// Leeway is how far the provider's clock and ours may be apart.
const Leeway = time.Minute

// ErrConfig is wrapped by what [New] refuses.
var ErrConfig = errors.New("bad OIDC settings")

// Config says whose tokens are believed, and what is read from them.
type Config struct {
	// Issuer is the provider's URL, to the letter as in its tokens. It is https,
	// except on this machine.
	Issuer string
	// Audience is what a token's aud must have: it was made for this fleet.
	Audience string
	// Algs are the signature algorithms accepted; empty is RS256 and ES256.
	Algs []string
	// The names of the claims; a dot leads into an object, as in
	// realm_access.roles. Empty is sub, owner and roles.
	SubjectClaim, OwnerClaim, RolesClaim string
	// Roles translates a value of the roles claim into a role; empty takes
	// the roles' own names. Other values mean nothing.
	Roles map[string]access.Role
	// TLS is for a provider with a CA of its own; nil is the system's roots.
	TLS *tls.Config
}

// Tokens authenticates by tokens of one provider. It is an
// [access.Authenticator] and safe for concurrent use.
type Tokens struct {
	cfg    Config
	keys   *keySet
	verify *oidc.IDTokenVerifier
}

// New checks the configuration whole. It asks nobody: the provider may be down.
func New(cfg Config) (*Tokens, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	algs := make([]jose.SignatureAlgorithm, len(cfg.Algs))
	for i, a := range cfg.Algs {
		algs[i] = jose.SignatureAlgorithm(a)
	}
	t := &Tokens{cfg: cfg, keys: &keySet{issuer: cfg.Issuer, algs: algs, client: client(cfg.TLS), now: time.Now}}
	t.verify = oidc.NewVerifier(cfg.Issuer, t.keys, &oidc.Config{
		ClientID: cfg.Audience, SupportedSigningAlgs: cfg.Algs,
		SkipExpiryCheck: true, // it would let nbf be five minutes ahead, and exp be missing: see inTime
	})
	return t, nil
}

// client asks the provider and nobody it points to.
func client(t *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ResponseHeaderTimeout: askWithin},
		Timeout:   askWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

func (cfg Config) withDefaults() Config {
	for field, name := range map[*string]string{&cfg.SubjectClaim: "sub", &cfg.OwnerClaim: "owner", &cfg.RolesClaim: "roles"} {
		if *field == "" {
			*field = name
		}
	}
	if len(cfg.Algs) == 0 {
		cfg.Algs = []string{oidc.RS256, oidc.ES256}
	}
	if len(cfg.Roles) == 0 {
		cfg.Roles = map[string]access.Role{}
		for _, r := range access.Roles() {
			cfg.Roles[string(r)] = r
		}
	}
	return cfg
}

func (cfg Config) check() error {
	if err := checkURL("the issuer", cfg.Issuer); err != nil {
		return err
	}
	if cfg.Audience == "" {
		return fmt.Errorf("%w: the audience is empty; a token made for another service would be believed", ErrConfig)
	}
	known := []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}
	for _, a := range cfg.Algs {
		if !slices.Contains(known, a) {
			return fmt.Errorf("%w: the algorithm %q is none of %s", ErrConfig, a, strings.Join(known, ", "))
		}
	}
	for value, role := range cfg.Roles {
		if value == "" || !slices.Contains(access.Roles(), role) {
			return fmt.Errorf("%w: the role %q for %q is none of %v", ErrConfig, role, value, access.Roles())
		}
	}
	return nil
}

// checkURL wants https, or this machine.
func checkURL(what, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%w: %s is no URL such as https://id.example", ErrConfig, what)
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return fmt.Errorf("%w: %s is no https URL", ErrConfig, what)
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: %s is http to another machine; whoever is between could sign anything", ErrConfig, what)
}

// Authenticate checks a token and says who it stands for.
func (t *Tokens) Authenticate(ctx context.Context, presented string, now time.Time) (access.Actor, error) {
	if presented == "" {
		return access.Actor{}, access.ErrNone
	}
	// Asked first, and again by the verifier, which would flatten its error.
	if _, err := t.keys.VerifySignature(ctx, presented); errors.Is(err, access.ErrUnasked) {
		return access.Actor{}, err
	} else if err != nil {
		return access.Actor{}, fmt.Errorf("%w: %w", access.ErrRefused, err)
	}
	checked, err := t.verify.Verify(ctx, presented)
	if err != nil { // it says nothing of what the token says of itself
		return access.Actor{}, fmt.Errorf("%w: the token's issuer, audience or form is not the one wanted", access.ErrRefused)
	}
	if err := inTime(checked, now); err != nil {
		return access.Actor{}, err
	}
	return t.cfg.actor(checked, presented)
}

// inTime checks exp, nbf and iat.
func inTime(checked *oidc.IDToken, now time.Time) error {
	var also struct {
		NotBefore float64 `json:"nbf"`
	}
	if err := checked.Claims(&also); err != nil {
		return fmt.Errorf("%w: the token's nbf is no time", access.ErrRefused)
	}
	latest := float64(now.Add(Leeway).Unix())
	switch {
	case checked.Expiry.Unix() <= 0:
		return fmt.Errorf("%w: the token does not expire", access.ErrRefused)
	case !now.Before(checked.Expiry.Add(Leeway)):
		return fmt.Errorf("%w: the token, at %s", access.ErrExpired, checked.Expiry.UTC().Format(time.RFC3339))
	case also.NotBefore > latest, float64(checked.IssuedAt.Unix()) > latest:
		return fmt.Errorf("%w: the token is not good yet", access.ErrRefused)
	default:
		return nil
	}
}
