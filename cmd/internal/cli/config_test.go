package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/cmd/internal/dev"
)

// home is a directory whose configuration file holds the text.
func home(t *testing.T, text string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, ".config", "gavel", "config.yaml")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "prod.key"), []byte("prod-key\n"), 0o600))
	return dir, path
}

const twoFleets = `
current: prod
fleets:
  prod: {url: "http://prod:1", key_file: prod.key}
  staging: {url: "http://staging:2/", key: staging-key}
`

func TestWhichFleetIsAskedWithWhichKey(t *testing.T) {
	t.Parallel()
	dir, _ := home(t, twoFleets)
	for name, c := range map[string]struct {
		flags    Global
		url, key string
	}{
		"the current one":                   {Global{}, "http://prod:1", "prod-key"},
		"a named one":                       {Global{Target: "staging"}, "http://staging:2/", "staging-key"},
		"a URL before the file":             {Global{URL: "http://other:3", Key: "k"}, "http://other:3", "k"},
		"a key before the file":             {Global{Key: "k"}, "http://prod:1", "k"},
		"a URL with the key beside it":      {Global{URL: "http://staging:2"}, "http://staging:2/", "staging-key"},
		"no key of one fleet for another":   {Global{URL: "http://other:3"}, "http://other:3", ""},
		"none for this machine's but alice": {Global{URL: local}, local, dev.Alice},
	} {
		url, key, err := newDesk(Process{Env: []string{"HOME=" + dir}}, c.flags).address()
		require.NoError(t, err, name)
		require.Equal(t, c.url+" "+c.key, url+" "+key, name)
	}
	for _, env := range [][]string{nil, {"HOME=" + t.TempDir()}} {
		url, key, err := newDesk(Process{Env: env}, Global{}).address()
		require.NoError(t, err)
		require.Equal(t, local+" "+dev.Alice, url+" "+key, "without a file")
	}
	url, _, err := newDesk(Process{Env: []string{"HOME=/", "XDG_CONFIG_HOME=" + filepath.Join(dir, ".config")}}, Global{}).address()
	require.NoError(t, err)
	require.Equal(t, "http://prod:1", url)
}

func TestAFlagGoesBeforeTheVariableAndTheVariableBeforeTheFile(t *testing.T) {
	_, path := home(t, `{current: a, fleets: {a: {url: "http://127.0.0.1:1/file", key: k}}}`)
	said := func(args ...string) string {
		var out bytes.Buffer
		s := outcome(t.Context(), t, Process{Out: &out, Err: &out}, append(args, "ps")...)
		require.Equal(t, codeUnavailable, s.code)
		return s.err.Error()
	}
	require.Contains(t, said("--config", path), "http://127.0.0.1:1/file")
	t.Setenv("GAVEL_CONFIG", path)
	require.Contains(t, said(), "http://127.0.0.1:1/file")
	t.Setenv("GAVEL_URL", "http://127.0.0.1:1/variable")
	require.Contains(t, said(), "http://127.0.0.1:1/variable")
	require.Contains(t, said("--url", "http://127.0.0.1:1/flag"), "http://127.0.0.1:1/flag")
	var out bytes.Buffer
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "--target", "a", "ps").fails(codeUsage, "--target", "GAVEL_URL")
}

func TestABadConfigurationSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"current: [":      "line 1",
		"fleet: {}":       "field fleet not found",
		"current: nobody": `no fleet "nobody"; it has none`,
		`{current: b, fleets: {a: {url: "http://a"}}}`:                         `no fleet "b"; it has a`,
		`fleets: {a: {url: "http://a"}}`:                                       "write current:",
		`fleets: {a: {url: "a:7070"}}`:                                         "fleets: a: url:",
		`{current: a, fleets: {a: {key: k}}}`:                                  "fleets: a: url:",
		`{current: a, fleets: {a: {url: "http://a", key: k, key_file: f}}}`:    "want one of them",
		`{current: a, fleets: {a: {url: "http://a", key_file: missing}}}`:      "key_file: open ",
		`{current: a, fleets: {a: {url: "http://a", key_file: config.yaml}}}`:  "does not hold one key",
		`{current: a, fleets: {a: {url: "http://a", keyfile: "/etc/passwd"}}}`: "field keyfile not found",
	} {
		dir, path := home(t, text)
		var out bytes.Buffer
		outcome(t.Context(), t, Process{Out: &out, Err: &out, Env: []string{"HOME=" + dir}}, "ps").fails(codeUsage, path, want)
	}
	dir, path := home(t, twoFleets)
	require.NoError(t, os.Chmod(path, 0o640))
	var out bytes.Buffer
	p := Process{Out: &out, Err: &out, Env: []string{"HOME=" + dir}}
	outcome(t.Context(), t, p, "ps").fails(codeUsage, "0640", "chmod 600")
	outcome(t.Context(), t, p, "--config", dir+"/nowhere", "ps").fails(codeUsage, dir+"/nowhere", "gavel login")
	outcome(t.Context(), t, p, "version").ok() // what asks no fleet reads no file
}

func TestLoginKeepsWhatWorks(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	dir := t.TempDir()
	path := filepath.Join(dir, ".config", "gavel", "config.yaml")
	as := func(in string, args ...string) said {
		var out bytes.Buffer
		return outcome(t.Context(), t, Process{In: strings.NewReader(in), Out: &out, Err: &out, Env: []string{"HOME=" + dir}}, args...)
	}
	as("dev-alice\n", "login", "here").fails(codeUsage, "--url")
	as("", "login", "here", "--url", w.fleet.URL()).fails(codeUsage, "standard input")
	as("", "login", "here", "--url", w.fleet.URL(), "--key", "dev-alice").fails(codeUsage, "standard input")
	as("wrong\n", "login", "here", "--url", w.fleet.URL()).fails(codeRefused)
	require.NoFileExists(t, path, "nothing that does not work is kept")

	require.Contains(t, as("dev-alice\n", "login", "here", "--url", w.fleet.URL()).ok(), path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	as("", "ps").ok()
	as("", "fleet").fails(codeRefused) // alice may not

	as("dev-admin\n", "login", "admin", "--url", w.fleet.URL()).ok()
	as("", "fleet").ok()
	as("", "--target", "here", "fleet").fails(codeRefused)
	as("dev-admin\n", "login", "here").ok() // another key for the URL it has
	as("", "--target", "here", "fleet").ok()
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
}
