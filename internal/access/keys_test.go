package access

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newKey(t *testing.T, like Key) (Key, string) {
	t.Helper()
	k, secret, err := NewKey(like)
	require.NoError(t, err)
	return k, secret
}

func TestAKeyIsKnownByItsSecretOnly(t *testing.T) {
	alice, aliceSecret := newKey(t, Key{Subject: "alice", Owner: "acme", Roles: []Role{Owner}})
	root, rootSecret := newKey(t, Key{Subject: "root", Roles: []Role{Admin}, BreakGlass: true})
	require.True(t, strings.HasPrefix(aliceSecret, Prefix))
	require.NotContains(t, alice.Hash, strings.TrimPrefix(aliceSecret, Prefix))
	require.NotEqual(t, alice.ID, root.ID)
	ks, err := NewKeys([]Key{alice, root})
	require.NoError(t, err)

	got, err := ks.Authenticate(t.Context(), aliceSecret, noon)
	require.NoError(t, err)
	require.Equal(t, Actor{Subject: "alice", Owner: "acme", Roles: []Role{Owner}, Credential: Credential{APIKey, alice.ID}}, got)
	got, err = ks.Authenticate(t.Context(), rootSecret, noon)
	require.NoError(t, err)
	require.True(t, got.ByBreakGlass())

	for _, wrong := range []string{alice.Hash, alice.ID, aliceSecret + "x", aliceSecret[:len(aliceSecret)-1], strings.ToUpper(aliceSecret), Prefix} {
		_, err = ks.Authenticate(t.Context(), wrong, noon)
		require.ErrorIs(t, err, ErrRefused)
	}
	_, err = ks.Authenticate(t.Context(), "", noon)
	require.ErrorIs(t, err, ErrNone)
}

func TestAKeyEndsAtItsInstant(t *testing.T) {
	k, secret := newKey(t, Key{Subject: "alice", Owner: "acme", Roles: []Role{Owner}, Expires: noon})
	ks, err := NewKeys([]Key{k})
	require.NoError(t, err)
	_, err = ks.Authenticate(t.Context(), secret, noon.Add(-time.Nanosecond))
	require.NoError(t, err)
	_, err = ks.Authenticate(t.Context(), secret, noon)
	require.ErrorIs(t, err, ErrExpired)
	require.NotContains(t, err.Error(), secret)
}

func TestAnActorsRolesAreItsOwnCopy(t *testing.T) {
	k, secret := newKey(t, Key{Subject: "alice", Owner: "acme", Roles: []Role{Owner}})
	ks, err := NewKeys([]Key{k})
	require.NoError(t, err)
	got, err := ks.Authenticate(t.Context(), secret, noon)
	require.NoError(t, err)
	got.Roles[0] = Admin
	again, err := ks.Authenticate(t.Context(), secret, noon)
	require.NoError(t, err)
	require.Equal(t, []Role{Owner}, again.Roles)
}

func TestKeysThatAreRefused(t *testing.T) {
	good := Key{ID: "k1", Subject: "alice", Owner: "acme", Roles: []Role{Owner}, Hash: Hash("x")}
	with := func(change func(*Key)) []Key { k := good; change(&k); return []Key{k} }
	other := good
	other.ID = "k2"
	for want, keys := range map[string][]Key{
		"id is empty":           with(func(k *Key) { k.ID = "" }),
		"subject is empty":      with(func(k *Key) { k.Subject = "" }),
		"subject may have":      with(func(k *Key) { k.Subject = "a b" }),
		"owner may have":        with(func(k *Key) { k.Owner = "{x}:*" }),
		"has no role":           with(func(k *Key) { k.Roles = nil }),
		`no role "root"`:        with(func(k *Key) { k.Roles = []Role{"root"} }),
		"needs the owner":       with(func(k *Key) { k.Owner = "" }),
		"is an admin's":         with(func(k *Key) { k.BreakGlass = true }),
		"64 hexadecimal digits": with(func(k *Key) { k.Hash = "sha256:abcd" }),
		"is not sha256:":        with(func(k *Key) { k.Hash = strings.TrimPrefix(k.Hash, "sha256:") }),
		"is there twice":        {good, good},
		"has the same hash":     {good, other},
	} {
		_, err := NewKeys(keys)
		require.ErrorIs(t, err, ErrBadKey)
		require.ErrorContains(t, err, want)
	}
	_, _, err := NewKey(Key{Subject: "alice"})
	require.ErrorIs(t, err, ErrBadKey)
}

func writeFile(t *testing.T, path, text string, at time.Time) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.Chtimes(path, at, at))
}

func asLine(t *testing.T, k Key) string {
	t.Helper()
	raw, err := json.Marshal(k)
	require.NoError(t, err)
	return string(raw)
}

func TestKeyFileReadsLinesAndArrays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	a, secretA := newKey(t, Key{Subject: "alice", Owner: "acme", Roles: []Role{Owner}, Expires: noon})
	b, secretB := newKey(t, Key{Subject: "bob", Roles: []Role{Admin}})
	for _, text := range []string{asLine(t, a) + "\n" + asLine(t, b) + "\n", "[" + asLine(t, a) + ",\n" + asLine(t, b) + "]\n"} {
		writeFile(t, path, text, noon)
		f, err := OpenKeyFile(path)
		require.NoError(t, err)
		require.Equal(t, 2, f.Len())
		for _, secret := range []string{secretA, secretB} {
			_, err = f.Authenticate(t.Context(), secret, noon.Add(-time.Hour))
			require.NoError(t, err)
		}
	}
}

func TestKeyFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	k, _ := newKey(t, Key{Subject: "alice", Owner: "acme", Roles: []Role{Owner}})
	for want, text := range map[string]string{
		"none in the file": "",
		"bad API key":      "not json",
		"unknown field":    `{"id":"k1","subject":"a","role":"admin"}`,
		"follows":          "[" + asLine(t, k) + "] []",
		"is there twice":   asLine(t, k) + asLine(t, k),
	} {
		writeFile(t, path, text, noon)
		_, err := OpenKeyFile(path)
		require.ErrorContains(t, err, want)
	}
	writeFile(t, path, asLine(t, k), noon)
	for _, mode := range []os.FileMode{0o604, 0o602, 0o620, 0o644} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := OpenKeyFile(path)
		require.ErrorIs(t, err, ErrExposed)
	}
	require.NoError(t, os.Chmod(path, 0o640))
	_, err := OpenKeyFile(path)
	require.NoError(t, err, "a group that may read is how a mounted secret arrives")
	_, err = OpenKeyFile(filepath.Dir(path))
	require.ErrorContains(t, err, "no regular file")
	_, err = OpenKeyFile(path + ".gone")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReloadKeepsTheLastGoodKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	a, secretA := newKey(t, Key{Subject: "alice", Owner: "acme", Roles: []Role{Owner}})
	b, secretB := newKey(t, Key{Subject: "bob", Owner: "acme", Roles: []Role{Owner}})
	writeFile(t, path, asLine(t, a), noon)
	f, err := OpenKeyFile(path)
	require.NoError(t, err)
	changed, err := f.Reload()
	require.NoError(t, err)
	require.False(t, changed)

	writeFile(t, path, "half a li", noon.Add(time.Second))
	_, err = f.Reload()
	require.ErrorIs(t, err, ErrBadKey)
	_, err = f.Authenticate(t.Context(), secretA, noon)
	require.NoError(t, err)

	writeFile(t, path, asLine(t, b), noon.Add(2*time.Second))
	changed, err = f.Reload()
	require.NoError(t, err)
	require.True(t, changed)
	_, err = f.Authenticate(t.Context(), secretA, noon)
	require.ErrorIs(t, err, ErrRefused, "a key that left the file is dead")
	_, err = f.Authenticate(t.Context(), secretB, noon)
	require.NoError(t, err)
}

func TestKeepReloadsAndReportsEachTroubleOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	a, _ := newKey(t, Key{Subject: "alice", Owner: "acme", Roles: []Role{Owner}})
	b, secretB := newKey(t, Key{Subject: "bob", Owner: "acme", Roles: []Role{Owner}})
	writeFile(t, path, asLine(t, a), noon)
	f, err := OpenKeyFile(path)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var reports []error
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.Keep(ctx, time.Second, func(err error) { reports = append(reports, err) })
		}()
		writeFile(t, path, "broken", noon.Add(time.Second))
		<-time.After(5*time.Second + time.Millisecond)
		writeFile(t, path, asLine(t, b), noon.Add(2*time.Second))
		<-time.After(2 * time.Second)
		cancel()
		<-done
		require.Len(t, reports, 1)
	})
	_, err = f.Authenticate(t.Context(), secretB, noon)
	require.NoError(t, err)
}
