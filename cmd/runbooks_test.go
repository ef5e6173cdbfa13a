package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every command of the runbooks that stands in a block marked sh is executed, in
// order, against a fleet that has the trouble which the comments marked story
// make.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	books, err := filepath.Glob("../docs/runbooks/*.md")
	require.NoError(t, err)
	dir := t.TempDir()
	for _, book := range books {
		text, err := os.ReadFile(book)
		require.NoError(t, err)
		name := strings.TrimSuffix(filepath.Base(book), ".md")
		story, blocks := storyOf(string(text))
		if name == "README" {
			require.Zero(t, blocks, "the index has no commands")
			continue
		}
		require.Positive(t, blocks, "%s says what to type", book)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".txtar"), []byte(story), 0o600))
	}
	tell(t, 1, filepath.Join(dir, "*.txtar"))
}

// storyOf makes a story of a runbook.
func storyOf(text string) (story string, blocks int) {
	var script, files, block strings.Builder
	in := ""
	for line := range strings.Lines(text) {
		switch trimmed := strings.TrimSpace(line); {
		case in == "" && trimmed == "<!-- story":
			in = "story"
		case in == "" && trimmed == "```sh":
			in = "sh"
		case in == "story" && trimmed == "-->":
			in = ""
		case in == "story":
			script.WriteString(line)
		case in == "sh" && trimmed == "```":
			in = ""
			blocks++
			fmt.Fprintf(&script, "exec bash -euo pipefail block%d.sh\n", blocks)
			fmt.Fprintf(&files, "-- block%d.sh --\nset -x\n%s", blocks, block.String())
			block.Reset()
		case in == "sh":
			block.WriteString(line)
		}
	}
	return script.String() + files.String(), blocks
}
