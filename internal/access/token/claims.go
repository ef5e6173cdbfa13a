package token

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// actor reads who a token stands for.
func (cfg Config) actor(checked *oidc.IDToken, raw string) (access.Actor, error) {
	var claims map[string]any
	if err := checked.Claims(&claims); err != nil {
		return access.Actor{}, fmt.Errorf("%w: the token's claims are no object", access.ErrRefused)
	}
	subject, err := name(claims, cfg.SubjectClaim)
	if err != nil {
		return access.Actor{}, err
	}
	if subject == "" {
		return access.Actor{}, fmt.Errorf("%w: the token has no claim %q", access.ErrRefused, cfg.SubjectClaim)
	}
	owner, err := name(claims, cfg.OwnerClaim)
	if err != nil {
		return access.Actor{}, err
	}
	roles := cfg.roles(claims)
	if len(roles) == 0 {
		return access.Actor{}, fmt.Errorf("%w: the token's claim %q gives no role known here", access.ErrRefused, cfg.RolesClaim)
	}
	return access.Actor{
		Subject: subject, Owner: owner, Roles: roles,
		Credential: access.Credential{Kind: access.Token, ID: tokenID(claims, raw)},
	}, nil
}

// name is a claim that is a name here, empty if it is missing. It goes into
// keys of Redis, logs and the audit.
func name(claims map[string]any, path string) (string, error) {
	v := find(claims, path)
	if v == nil {
		return "", nil
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%w: the token's claim %q is no string", access.ErrRefused, path)
	}
	if err := job.CheckName("the claim "+path, text, job.MaxName); err != nil {
		return "", fmt.Errorf("%w: %w", access.ErrRefused, err)
	}
	return text, nil
}

// find looks a claim up: by its whole name first, for names have dots too.
func find(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	head, rest, ok := strings.Cut(path, ".")
	inner, isObject := claims[head].(map[string]any)
	if !ok || !isObject {
		return nil
	}
	return find(inner, rest)
}

// roles are those that the claim's values stand for: a list, or words in one
// string, as in scope.
func (cfg Config) roles(claims map[string]any) []access.Role {
	var values []string
	switch v := find(claims, cfg.RolesClaim).(type) {
	case string:
		values = strings.Fields(v)
	case []any:
		for _, one := range v {
			text, _ := one.(string)
			values = append(values, text)
		}
	}
	var roles []access.Role
	for _, r := range access.Roles() {
		if slices.ContainsFunc(values, func(v string) bool { return cfg.Roles[v] == r }) {
			roles = append(roles, r)
		}
	}
	return roles
}

// tokenID names the token in the audit: its jti, or a digest of it.
func tokenID(claims map[string]any, raw string) string {
	if id, err := name(claims, "jti"); err == nil && id != "" {
		return id
	}
	sum := sha256.Sum256([]byte(raw))
	return "token-" + hex.EncodeToString(sum[:8])
}
