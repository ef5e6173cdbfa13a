package dispatcher

import (
	"context"
	"crypto/tls"

	"go.uber.org/zap"

	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/access/token"
)

// OIDC says whose tokens are believed beside API keys.
type OIDC struct {
	Issuer       string                 `name:"oidc-issuer" env:"GAVEL_OIDC_ISSUER" help:"URL of the OpenID Connect provider whose tokens are believed; none is API keys only."`
	Audience     string                 `name:"oidc-audience" env:"GAVEL_OIDC_AUDIENCE" help:"What a token's aud has to name: this fleet, as the provider knows it."`
	Algs         []string               `name:"oidc-algs" env:"GAVEL_OIDC_ALGS" default:"RS256,ES256" help:"Signature algorithms accepted; never none, never HMAC."`
	SubjectClaim string                 `name:"oidc-subject-claim" env:"GAVEL_OIDC_SUBJECT_CLAIM" default:"sub" help:"Claim that names the person or service."`
	OwnerClaim   string                 `name:"oidc-owner-claim" env:"GAVEL_OIDC_OWNER_CLAIM" default:"owner" help:"Claim that names the owner whose jobs are theirs."`
	RolesClaim   string                 `name:"oidc-roles-claim" env:"GAVEL_OIDC_ROLES_CLAIM" default:"roles" help:"Claim with the roles, a list or words; a dot leads into an object."`
	Roles        map[string]access.Role `name:"oidc-roles" env:"GAVEL_OIDC_ROLES" placeholder:"GROUP=ROLE;…" help:"Which value of that claim is which role; none is the roles' own names."`
	CA           string                 `name:"oidc-ca" env:"GAVEL_OIDC_CA" type:"path" help:"File with the CA certificates (PEM) of the provider, if it has its own."`
}

// tokens is who believes the provider; nil without one.
func (o OIDC) tokens(log *zap.Logger) (access.Authenticator, error) {
	if o.Issuer == "" {
		return nil, nil //nolint:nilnil // none is an answer
	}
	cfg := token.Config{
		Issuer: o.Issuer, Audience: o.Audience, Algs: o.Algs,
		SubjectClaim: o.SubjectClaim, OwnerClaim: o.OwnerClaim, RolesClaim: o.RolesClaim, Roles: o.Roles,
	}
	if o.CA != "" {
		pool, err := settings.ReadCA(o.CA)
		if err != nil {
			return nil, err
		}
		cfg.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	t, err := token.New(cfg)
	if err != nil {
		return nil, err
	}
	log.Info("tokens of the identity provider are believed", zap.String("issuer", o.Issuer), zap.String("audience", o.Audience))
	return t, nil
}

// front is everybody whose word is taken on who is at the door. The keys file is
// looked at for changes until ctx ends.
func (cfg Config) front(ctx context.Context, log *zap.Logger) (access.Front, error) {
	tokens, err := cfg.tokens(log)
	if err != nil {
		return access.Front{}, err
	}
	front := access.Front{File: cfg.Auth, Tokens: tokens}
	if front.File == nil {
		keys, err := access.OpenKeyFile(cfg.KeysFile)
		if err != nil {
			return front, err
		}
		front.File = keys
		go keys.Keep(ctx, keysEvery, func(err error) { log.Warn("keys file not read; the last good keys stay in force", zap.Error(err)) })
	}
	return front, nil
}
