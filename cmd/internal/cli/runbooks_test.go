package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// The commands of a runbook are executed by a test of cmd, but for the examples:
// these are commands that there are, with flags that there are.
func TestEveryExampleOfTheRunbooksIsACommand(t *testing.T) {
	books, err := filepath.Glob("../../../docs/runbooks/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, books)
	for _, book := range books {
		text, err := os.ReadFile(book)
		require.NoError(t, err)
		for _, line := range commandsIn(string(text)) {
			parser, err := kong.New(&commands{})
			require.NoError(t, err)
			_, err = parser.Parse(shellWords(line)[1:])
			require.NoError(t, err, "%s: %s", book, line)
		}
	}
}

// commandsIn are the lines of a text's code blocks, but for those marked sh,
// that call gavel.
func commandsIn(text string) (out []string) {
	for i, block := range strings.Split(text, "```") {
		for line := range strings.Lines(block) {
			if i%2 == 1 && !strings.HasPrefix(block, "sh\n") && strings.HasPrefix(line, "gavel ") {
				out = append(out, strings.TrimSpace(line))
			}
		}
	}
	return out
}

// shellWords splits a line as a shell does, up to a pipe or a redirection: quotes
// keep words together.
func shellWords(line string) []string {
	var out []string
	var quote rune
	word, began := strings.Builder{}, false
	for _, r := range line + " " {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, began = r, true
		case quote == 0 && (r == '|' || r == '>'):
			return out
		case quote == 0 && r == ' ':
			if began {
				out = append(out, word.String())
			}
			word.Reset()
			began = false
		default:
			began = true
			word.WriteRune(r)
		}
	}
	return out
}

func TestTheCommandsOfARunbookAreFound(t *testing.T) {
	got := commandsIn("text gavel no\n```sh\ngavel fleet\n```\n```console\nexport X=1\ngavel kill-all --reason 'a \"b' -n \"3 4\" | cat\n```\ngavel nor this\n")
	require.Equal(t, []string{"gavel kill-all --reason 'a \"b' -n \"3 4\" | cat"}, got)
	require.Equal(t, []string{"gavel", "kill-all", "--reason", "a \"b", "-n", "3 4"}, shellWords(got[0]))
}
