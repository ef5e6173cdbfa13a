package cmd_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	quoted = regexp.MustCompile("`([^`]+)`")
	ofRoom = regexp.MustCompile(`^(.+)\.(Test\w+)$`)
)

// The table in ARCHITECTURE.md says where each inherited behaviour is proved.
func TestInheritedBehavioursAreProvedWhereTheMapSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../ARCHITECTURE.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "## Inherited behaviours\n")
	require.True(t, found, "ARCHITECTURE.md has no section Inherited behaviours")
	section, _, _ = strings.Cut(section, "\n## ")
	numbered := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.Contains(cells[1], "-") || strings.TrimSpace(cells[1]) == "#" {
			continue
		}
		if strings.TrimSpace(cells[1]) != "" {
			numbered++
		}
		names := quoted.FindAllStringSubmatch(cells[3], -1)
		require.NotEmpty(t, names, "no proof named for: %s", line)
		for _, n := range names {
			proved(t, n[1])
		}
	}
	require.Equal(t, 19, numbered, "the session manager had nineteen behaviours")
}

// proved fails when there is no such story and no such test.
func proved(t *testing.T, name string) {
	t.Helper()
	m := ofRoom.FindStringSubmatch(name)
	if m == nil {
		_, err := os.Stat(filepath.Join("testdata", name+".txtar"))
		require.NoError(t, err, "there is no story %s", name)
		return
	}
	files, err := filepath.Glob(filepath.Join("..", m[1], "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(text), "func "+m[2]+"(t *testing.T)") {
			return
		}
	}
	require.Fail(t, "no such test", "%s has no %s", m[1], m[2])
}

// docs/bad-inputs.md says which test tries what.
func TestEveryBadInputIsTriedWhereTheListSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/bad-inputs.md")
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.Contains(cells[3], "tried by") {
			require.False(t, strings.HasPrefix(line, "|") && len(cells) != 5, "not three columns: %s", line)
			continue
		}
		rows++
		names := quoted.FindAllStringSubmatch(cells[3], -1)
		require.NotEmpty(t, names, "no test named for: %s", line)
		for _, n := range names {
			proved(t, n[1])
		}
	}
	require.Greater(t, rows, 50)
}
