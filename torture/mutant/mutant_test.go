package mutant

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every patch fits the product as it is, and changes it: a mutant that cannot be
// built proves nothing, and nobody notices until the torture is run.
func TestEveryPatchFits(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		assert.False(t, seen[m.Name], "%s is there twice", m.Name)
		seen[m.Name] = true
		_, _, err := m.patched("../..")
		assert.NoError(t, err)
		assert.NotEmpty(t, m.Caught, "%s: some checker has to catch it", m.Name)
		assert.NotEmpty(t, m.Faults, "%s: some fault has to bring it to light", m.Name)
		for i := 0; i+1 < len(m.Patch); i += 2 {
			assert.NotEqual(t, m.Patch[i], m.Patch[i+1], m.Name)
		}
	}
	assert.GreaterOrEqual(t, len(seen), 12)
}
