package judge

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
)

// head is a signed head over an entry.
func head(over sealed) sealed {
	h := sealed{Type: "head", Fleet: over.Fleet, N: over.N, ID: over.ID, Hash: over.Hash, At: "now"}
	public, private, _ := ed25519.GenerateKey(nil)
	h.Key = base64.StdEncoding.EncodeToString(public)
	h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(stated(h))))
	return h
}

func TestAHeadOfAnotherIsNoHead(t *testing.T) {
	h := head(sealed{Fleet: "f", N: 1, ID: "1-0", Hash: "aa"})
	require.True(t, signed(h))
	h.N = 2
	require.False(t, signed(h))
}
