package token

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
	"github.com/rtfm-si/gavel/internal/job"
)

// With a symmetric or a private key among them, who can read the keys could write
// tokens.
func FuzzAProvidersKeysArePublicOnes(f *testing.F) {
	for _, s := range []string{
		`{"keys":[]}`, `{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"a"},null,7]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, `[`, `{"keys":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := publicKeys(raw)
		if err != nil {
			require.Empty(t, keys)
			return
		}
		require.NotEmpty(t, keys)
		for _, k := range keys {
			require.True(t, k.Valid())
			require.True(t, k.IsPublic())
		}
	})
}

// Claims are written by whoever runs the provider, and go into keys, logs and
// the audit: what is taken from them is a name, a role known here, or nothing.
func FuzzClaimsGiveNamesAndKnownRoles(f *testing.F) {
	cfg := Config{Roles: map[string]access.Role{"gavel-admin": access.Admin, "gavel-user": access.Owner, "": access.Operator}, RolesClaim: "realm.roles"}
	for _, s := range []string{
		`{"sub":"ann","realm":{"roles":["gavel-admin","x",7,null]}}`, `{"sub":7}`, `{"sub":"{x}:*"}`, `{"sub":{"a":"b"},"realm.roles":"gavel-user other"}`,
		`{"realm":{"roles":{"gavel-admin":true}}}`, `{"jti":"a b"}`, `{}`, `{"realm":null}`,
	} {
		f.Add([]byte(s), "sub")
	}
	f.Add([]byte(`{"a":{"b":{"c":"ann"}},"a.b":{"c":"bob"}}`), "a.b.c")
	f.Fuzz(func(t *testing.T, raw []byte, path string) {
		var claims map[string]any
		if json.Unmarshal(raw, &claims) != nil {
			return
		}
		subject, err := name(claims, path)
		if err != nil {
			require.ErrorIs(t, err, access.ErrRefused)
			require.Empty(t, subject)
		} else if subject != "" {
			require.NoError(t, job.CheckName("subject", subject, job.MaxName))
		}
		for _, r := range cfg.roles(claims) {
			require.Contains(t, access.Roles(), r)
		}
		require.NoError(t, job.CheckName("jti", tokenID(claims, string(raw)), job.MaxName))
	})
}
