package access

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A key file that is read holds keys that can be told apart, or it is refused
// whole: a half-read one would lock somebody out, or let somebody in.
func FuzzAKeyFileIsReadWholeOrNotAtAll(f *testing.F) {
	for _, seed := range []string{
		"", "[]", "{}", `{"id":"a"}`, `[{"id":"k1","hash":"x","subject":"kim","roles":["admin"]}] {}`,
		`{"id":"k1","hash":"0000000000000000000000000000000000000000000000000000000000000000","subject":"kim","owner":"acme","roles":["owner"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := parseKeys(raw)
		if err != nil {
			require.Nil(t, keys)
			return
		}
		require.GreaterOrEqual(t, keys.Len(), 0)
	})
}
