package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// A runbook is read when there is no time to find out that it is wrong: every
// command in one is a command that there is, with flags that there are.
func TestEveryCommandOfTheRunbooksIsOne(t *testing.T) {
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

// commandsIn are the lines of a text's code blocks that call gavel.
func commandsIn(text string) (out []string) {
	for i, block := range strings.Split(text, "```") {
		for line := range strings.Lines(block) {
			if i%2 == 1 && strings.HasPrefix(line, "gavel ") {
				out = append(out, strings.TrimSpace(line))
			}
		}
	}
	return out
}

// shellWords splits a line as a shell does: single quotes keep words together.
func shellWords(line string) []string {
	var out []string
	quoted := false
	word := strings.Builder{}
	for _, r := range line + " " {
		switch {
		case r == '\'':
			quoted = !quoted
		case r == ' ' && !quoted:
			if word.Len() > 0 {
				out = append(out, word.String())
			}
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	return out
}

func TestTheCommandsOfARunbookAreFound(t *testing.T) {
	got := commandsIn("text gavel no\n```\nexport X=1\ngavel kill-all --reason 'a b' -n 3\n```\ngavel nor this\n")
	require.Equal(t, []string{"gavel kill-all --reason 'a b' -n 3"}, got)
	require.Equal(t, []string{"gavel", "kill-all", "--reason", "a b", "-n", "3"}, shellWords(got[0]))
}
