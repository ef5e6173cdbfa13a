package cli

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/cmd/internal/dev"
	"github.com/rtfm-si/gavel/cmd/internal/settings"
	"github.com/rtfm-si/gavel/internal/access"
)

func TestEveryVariableThatAFlagReadsIsKnown(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{})
	require.NoError(t, err)
	read := 0
	for _, node := range append(parser.Model.Leaves(false), parser.Model.Node) {
		for _, flag := range node.Flags {
			for _, env := range flag.Envs {
				require.Contains(t, settings.Variables(), env)
				read++
			}
		}
	}
	require.GreaterOrEqual(t, read, 2)
	require.True(t, slices.Contains(settings.Variables(), "GAVEL_KEY"))
}

func TestUsageErrorsSayWhereToLook(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := Process{Out: &out, Err: &out}
	outcome(t.Context(), t, p, "kil").fails(codeUsage, "--help")
	outcome(t.Context(), t, p, "ps", "--no-such-flag").fails(codeUsage, "--help")
	outcome(t.Context(), t, p, "dev", "--pace", "slow").fails(codeUsage)
	outcome(t.Context(), t, p, "dev", "--workers", "0").fails(codeUsage)
	outcome(t.Context(), t, p, "dev", "--listen", "0.0.0.0:0").fails(codeUsage, "loopback")
	p.Env = []string{"GAVEL_KYE=x"}
	outcome(t.Context(), t, p, "version").fails(codeUsage, "GAVEL_KYE")
}

func TestHelpNamesEveryCommandAndTheExitCodes(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--help"}} {
		var out bytes.Buffer
		require.ErrorIs(t, Run(t.Context(), Process{Args: args, Out: &out, Err: &out}), settings.ErrHelp)
		for _, want := range []string{"Exit codes", "demo", "dev", "kill-all", "keys new", "GAVEL_URL", "GAVEL_KEY", "--json"} {
			require.Contains(t, out.String(), want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "version").ok()
	require.Equal(t, "gavel test\n", out.String())
}

func TestDevAnnouncesItselfAndDrainsWhenInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	out := newTTY("Ctrl-C")
	go func() { <-out.seen; interrupt() }()
	s := outcome(ctx, t, Process{Out: out, Err: out}, "dev", "--listen", "127.0.0.1:0", "--workers", "1", "--pace", "fast")
	require.NoError(t, s.err)
	for _, want := range []string{"memory-only", "simulated", dev.Alice, dev.Bob, dev.Admin, "http://127.0.0.1:", "/console/", "run examples/market-entry.json", "draining", "drained"} {
		require.Contains(t, out.String(), want)
	}
}

func TestDevThatFindsItsPortTakenSaysSo(t *testing.T) {
	t.Parallel()
	w := newTown(t, quick())
	var out bytes.Buffer
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "dev", "--listen", w.fleet.URL()[len("http://"):]).fails(codeUnavailable, "--listen 127.0.0.1:0")
}

func TestDemoEndsWellAtTheFastPace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, outcome(t.Context(), t, Process{Out: &out, Err: &out}, "demo", "--pace", "fast").err, out.String())
	require.Contains(t, out.String(), "promises were kept")
}

func TestKeysNewMakesAKeyThatTheDispatcherTakes(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/keys"
	var secrets []string
	for _, args := range [][]string{
		{"--subject", "kim", "--owner", "acme"},
		{"--subject", "root", "--role", "operator,admin", "--break-glass", "--expires", "90d"},
	} {
		var out bytes.Buffer
		s := outcome(t.Context(), t, Process{Out: &out, Err: &out}, append([]string{"keys", "new", "--json", "--file", path}, args...)...)
		s.ok()
		var made struct{ Secret string }
		s.into(&made)
		secrets = append(secrets, made.Secret)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(raw), secrets[0], "only the hash is kept")

	keys, err := access.OpenKeyFile(path)
	require.NoError(t, err)
	require.Equal(t, 2, keys.Len())
	kim, err := keys.Authenticate(t.Context(), secrets[0], time.Now())
	require.NoError(t, err)
	require.Equal(t, "acme", kim.Owner)
	_, err = keys.Authenticate(t.Context(), secrets[1], time.Now().Add(89*24*time.Hour))
	require.NoError(t, err)
	_, err = keys.Authenticate(t.Context(), secrets[1], time.Now().Add(91*24*time.Hour))
	require.ErrorIs(t, err, access.ErrExpired)
}

func TestKeysNewRefusesWhatWouldNotWork(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := Process{Out: &out, Err: &out}
	for _, args := range [][]string{
		{"--owner", "acme"},
		{"--subject", "kim"},
		{"--subject", "kim", "--role", "king"},
		{"--subject", "kim", "--owner", "acme", "--break-glass"},
		{"--subject", "kim", "--owner", "acme", "--expires", "soon"},
		{"--subject", "kim", "--owner", "acme", "--expires", "2001-01-01"},
		{"--subject", "kim", "--owner", "acme", "--file", t.TempDir() + "/no/such/folder"},
	} {
		outcome(t.Context(), t, p, append([]string{"keys", "new"}, args...)...).fails(codeUsage)
	}
	open := t.TempDir() + "/keys"
	require.NoError(t, os.WriteFile(open, []byte("{}"), 0o600))
	outcome(t.Context(), t, p, "keys", "new", "--subject", "kim", "--owner", "acme", "--file", open).fails(codeUsage, "nothing was added")
	raw, err := os.ReadFile(open)
	require.NoError(t, err)
	require.Equal(t, "{}", string(raw))
}

func TestKeysNewWithoutAFileShowsTheLineToAdd(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "keys", "new", "--subject", "kim", "--owner", "acme").ok()
	require.Contains(t, out.String(), access.Prefix)
	require.Contains(t, out.String(), `"subject":"kim"`)
}

func TestExitCodesOfProblems(t *testing.T) {
	t.Parallel()
	d := &desk{}
	for want, p := range map[int]*client.Problem{
		codeRefused:     {Type: client.ErrNotFound, Status: 404},
		codeNotOver:     {Type: client.ErrNotOver, Status: 409},
		codeUnavailable: {Type: client.ErrRedisUnavailable, Status: 503},
		codeFailed:      {Type: "urn:gavel:problem:internal", Status: 500},
	} {
		require.Equal(t, want, d.failureOf(p).Code, string(p.Type))
	}
	require.Equal(t, codeUnavailable, d.failureOf(&client.Problem{Status: 502}).Code, "a proxy in between")
}
