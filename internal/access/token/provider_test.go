package token

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/access"
)

var providerBinary = flag.String("provider", "", "an OpenID Connect provider to test with: zitadel/oidc's example server, see make oidc")

// outside is a provider process that nobody here wrote.
type outside struct {
	t           *testing.T
	issuer      string
	port, users string
	proc        *exec.Cmd
}

func startReal(t *testing.T) *outside {
	t.Helper()
	if *providerBinary == "" {
		t.Skip("no provider given; run make oidc")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(free.Addr().String())
	require.NoError(t, err)
	require.NoError(t, free.Close())
	r := &outside{t: t, port: port, issuer: "http://localhost:" + port + "/", users: filepath.Join(t.TempDir(), "users.json")}
	require.NoError(t, os.WriteFile(r.users, []byte(`{
		"alice": {"ID": "alice", "Username": "alice", "Password": "a-secret", "Email": "alice@acme.example"},
		"root": {"ID": "root", "Username": "root", "Password": "r-secret"}}`), 0o600))
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *outside) start() {
	r.t.Helper()
	r.proc = exec.Command(*providerBinary)
	r.proc.Env = []string{"PORT=" + r.port, "USERS_FILE=" + r.users, "REDIRECT_URI=http://localhost:9999/auth/callback"}
	require.NoError(r.t, r.proc.Start())
	require.Eventually(r.t, func() bool {
		resp, err := http.Get(r.issuer + ".well-known/openid-configuration")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
}

func (r *outside) stop() {
	http.DefaultClient.CloseIdleConnections()
	_ = r.proc.Process.Kill()
	_ = r.proc.Wait()
}

// login goes the way of a browser through the provider's pages and returns the
// id token.
func (r *outside) login(user, password string) string {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(r.t, err)
	const back = "http://localhost:9999/auth/callback"
	browser := &http.Client{Jar: jar, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), back) || strings.HasPrefix(next.URL.Path, "/login/") {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	defer browser.CloseIdleConnections()
	at := func(resp *http.Response, err error) *url.URL {
		require.NoError(r.t, err)
		_ = resp.Body.Close()
		to, err := resp.Location()
		require.NoError(r.t, err, "%s %s", resp.Request.URL, resp.Status)
		return to
	}
	login := at(browser.Get(r.issuer + "auth?" + url.Values{
		"client_id": {"web"}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid profile email"}, "state": {"s"},
	}.Encode()))
	done := at(browser.PostForm(login.String(), url.Values{"username": {user}, "password": {password}, "id": {login.Query().Get("authRequestID")}}))
	req, err := http.NewRequest(http.MethodPost, r.issuer+"oauth/token", strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {done.Query().Get("code")}, "redirect_uri": {back},
	}.Encode()))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("web", "secret")
	resp, err := browser.Do(req)
	require.NoError(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	var got struct {
		IDToken string `json:"id_token"`
	}
	require.NoError(r.t, json.NewDecoder(resp.Body).Decode(&got))
	require.NotEmpty(r.t, got.IDToken, resp.Status)
	return got.IDToken
}

// A provider that nobody here wrote: people log in through its pages, its keys
// change, it goes away and comes back.
func TestARealProvider(t *testing.T) {
	r := startReal(t)
	believe := func(audience string) *Tokens {
		tokens, err := New(Config{
			Issuer: r.issuer, Audience: audience, OwnerClaim: "sub", RolesClaim: "sub",
			Roles: map[string]access.Role{"alice": access.Owner, "root": access.Admin},
		})
		require.NoError(t, err)
		return tokens
	}
	tokens := believe("web")
	ahead := time.Duration(0)
	tokens.keys.now = func() time.Time { return time.Now().Add(ahead) }
	ask := func(raw string) (access.Actor, error) { return tokens.Authenticate(t.Context(), raw, time.Now()) }

	alice, root := r.login("alice", "a-secret"), r.login("root", "r-secret")
	got, err := ask(alice)
	require.NoError(t, err)
	require.Equal(t, "alice", got.Subject)
	require.Equal(t, "alice", got.Owner)
	require.Equal(t, []access.Role{access.Owner}, got.Roles)
	got, err = ask(root)
	require.NoError(t, err)
	require.Equal(t, []access.Role{access.Admin}, got.Roles)
	_, err = believe("another").Authenticate(t.Context(), alice, time.Now())
	require.ErrorIs(t, err, access.ErrRefused)
	_, err = tokens.Authenticate(t.Context(), alice, time.Now().Add(2*time.Hour))
	require.ErrorIs(t, err, access.ErrExpired)
	head, rest, _ := strings.Cut(alice, ".")
	_, sign, _ := strings.Cut(rest, ".")
	claims, _, _ := strings.Cut(root[strings.Index(root, ".")+1:], ".")
	_, err = ask(fmt.Sprintf("%s.%s.%s", head, claims, sign))
	require.ErrorIs(t, err, access.ErrRefused, "alice's signature under root's claims")

	r.stop()
	_, err = ask(alice)
	require.NoError(t, err, "its keys are known while it is away")
	_, err = believe("web").Authenticate(t.Context(), alice, time.Now())
	require.ErrorIs(t, err, access.ErrUnasked)

	r.start() // with a key of its own, and a key id
	fresh := r.login("alice", "a-secret")
	ahead = askEvery
	_, err = ask(fresh)
	require.NoError(t, err, "a new key is found")
	_, err = ask(alice)
	require.ErrorIs(t, err, access.ErrRefused, "and the old one is gone")
}
