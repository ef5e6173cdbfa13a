package worker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/internal/execution/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "programs.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestProgramsAreReadByKind(t *testing.T) {
	got, err := readPrograms(file(t, `{"panel": {"argv": ["python3", "panel.py"], "env": ["LANG"], "dir": "/srv"}}`))
	require.NoError(t, err)
	require.Equal(t, map[string]process.Program{"panel": {Argv: []string{"python3", "panel.py"}, Env: []string{"LANG"}, Dir: "/srv"}}, got)

	none, err := readPrograms("")
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestFilesOfProgramsThatAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":          `{`,
		"a list":            `[]`,
		"an unknown field":  `{"panel": {"argv": ["x"], "shell": true}}`,
		"trailing text":     `{} {}`,
		"a kind of no name": `{"a b": {"argv": ["x"]}}`,
	} {
		_, err := readPrograms(file(t, text))
		require.ErrorContains(t, err, "read the programs", name)
	}
	_, err := readPrograms(filepath.Join(t.TempDir(), "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
