package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// offered are the words that could stand where the last one is.
func offered(t *testing.T, words ...string) []string {
	t.Helper()
	var out bytes.Buffer
	text := outcome(t.Context(), t, Process{Out: &out, Err: &out}, append([]string{"__complete"}, words...)...).ok()
	var names []string
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, "\t")
		names = append(names, name)
	}
	return names
}

func TestCompletionOffersEveryCommandAndEveryFlag(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{})
	require.NoError(t, err)
	commands, flags := 0, 0
	var visit func(n *kong.Node, path []string)
	visit = func(n *kong.Node, path []string) {
		got := offered(t, append(path, "")...)
		for _, c := range n.Children {
			if c.Hidden {
				assert.NotContains(t, got, c.Name)
				continue
			}
			assert.Contains(t, got, c.Name, path)
			commands++
			visit(c, append(append([]string{}, path...), c.Name))
		}
		got = offered(t, append(path, "-")...)
		for _, group := range n.AllFlags(true) {
			for _, f := range group {
				assert.Contains(t, got, "--"+f.Name, path)
				flags++
			}
		}
	}
	visit(parser.Model.Node, nil)
	require.Greater(t, commands, 30)
	require.Greater(t, flags, 100)
}

func TestCompletionKnowsWhereItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"ki", "kill kill-all"},
		{"--url http://x --json ki", "kill kill-all"}, // a flag's value is no command
		{"--url kill ki", "kill kill-all"},
		{"dev --pace ", "real fast"},
		{"dev --pace=f", "--pace=fast"},
		{"dev --pace = f", "--pace=fast"}, // as bash splits it
		{"dev --pace =", "--pace=real --pace=fast"},
		{"completion ", "bash zsh fish"},
		{"completion bash ", ""},
		{"keys cr", "create"},
		{"fleet ", "show adopt"},
		{"fleet adopt --rea", "--reason"},
		{"kill --reason --js", ""}, // the reason, whatever it looks like
		{"kill -r x --js", "--json"},
		{"kill -- --js", ""},
		{"nothing --there=", ""},
	} {
		assert.Equal(t, c.want, strings.Join(offered(t, strings.Split(c.line, " ")...), " "), "gavel %s", c.line)
	}
	require.Contains(t, offered(t), "kill-all")
}

// inShell runs a script with gavel in its path.
func inShell(t *testing.T, shell, script string) string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Skip(shell + " is not installed")
	}
	name := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(name, []byte(script), 0o600))
	args := map[string][]string{"bash": {"--norc", name}, "zsh": {"-f", name}, "fish": {"--no-config", name}}[shell]
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"PATH=" + binary(t) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TERM=dumb"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func TestBashCompletes(t *testing.T) {
	t.Parallel()
	got := inShell(t, "bash", `
set -u
source <(gavel completion bash)
complete -p gavel
try() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _gavel
    echo "$*: ${COMPREPLY[*]-} (${#COMPREPLY[@]})"
}
try gavel kil
try gavel kill-all --own
try gavel dev --pace ''
try gavel dev --pace =
try gavel dev --pace = f
try gavel submit ./
`)
	require.Equal(t, `complete -o default -F _gavel gavel
gavel kil: kill kill-all (2)
gavel kill-all --own: --owner (1)
gavel dev --pace : real fast (2)
gavel dev --pace =: real fast (2)
gavel dev --pace = f: fast (1)
gavel submit ./:  (0)
`, got)
}

func TestZshCompletes(t *testing.T) {
	t.Parallel()
	got := inShell(t, "zsh", `
compdef() { echo "compdef $*" }
_describe() { echo "$words: ${(P)2}" }
_files() { echo "$words: files" }
source <(gavel completion zsh)
try() { words=("$@"); CURRENT=$#; _gavel }
try gavel kil
try gavel dev --pace=
try gavel submit ./
`)
	require.Equal(t, `compdef _gavel gavel
gavel kil: kill:Stop one job, with a receipt. kill-all:Stop every job of the fleet, of one owner, or that a selector asks for; under a preview.
gavel dev --pace=: --pace=real: --pace=fast:
gavel submit ./: files
`, got)
}

func TestFishCompletes(t *testing.T) {
	t.Parallel()
	got := inShell(t, "fish", `
gavel completion fish | source
complete -C 'gavel kil'
complete -C 'gavel dev --pace='
complete -C 'gavel completion '
`)
	require.Contains(t, got, "kill\tStop one job, with a receipt.\n")
	require.Contains(t, got, "--pace=fast\n")
	require.Contains(t, got, "zsh\n")
}

func TestCompletionWantsAShellItKnows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "completion", "tcsh").fails(codeUsage, "bash")
}
