package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A configuration names whom keys are sent to: it is understood whole, or the
// command ends before it asks anybody.
func FuzzAConfigurationIsReadWholeOrRefused(f *testing.F) {
	for _, s := range []string{
		"", "current: a\nfleets:\n  a:\n    url: https://a.example\n    key_file: a.key\n", "fleets: []\n", "fleets:\n  a: {url: ':', key: k}\n",
		"fleets:\n  a: {url: http://a, key: k, key_file: f}\n", "fleet: {}\n", "fleets:\n  a: &x {url: http://a}\n  b: *x\n", "a: &a [*a]\n", "--- \n...\n", "\t",
		"fleets:\n  a: {url: http://a}\n  a: {url: http://b}\n",
	} {
		f.Add([]byte(s), "a")
	}
	f.Fuzz(func(t *testing.T, raw []byte, target string) {
		path := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		c, err := readConfig(path, true)
		if err != nil {
			require.ErrorContains(t, err, "configuration")
			return
		}
		for name, e := range c.Fleets {
			require.NoError(t, e.check(0o600), name)
		}
		e, err := c.choose(target, "")
		if err != nil {
			require.ErrorContains(t, err, path)
			return
		}
		require.NotEmpty(t, e.URL, "nobody is asked at an address that was not said")
	})
}
