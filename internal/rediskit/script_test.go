package rediskit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every script of every room loads: its header agrees with its body.
func TestEveryScriptOfTheHouseLoads(t *testing.T) {
	rooms, err := filepath.Glob("../*/lua")
	require.NoError(t, err)
	seen := 0
	for _, dir := range rooms {
		if strings.Contains(dir, "rediskit") {
			continue
		}
		files, err := filepath.Glob(dir + "/*.lua")
		require.NoError(t, err)
		for _, f := range files {
			name := strings.TrimSuffix(filepath.Base(f), ".lua")
			_, err := Load(os.DirFS(filepath.Dir(dir)), name)
			require.NoError(t, err)
			seen++
		}
	}
	require.Greater(t, seen, 15)
}
