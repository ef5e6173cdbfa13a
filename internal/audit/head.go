package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// sign completes a head: it says when, and by whom.
func sign(h job.AuditHead, key ed25519.PrivateKey, at time.Time) job.AuditHead {
	h.At = at.UTC().Format(time.RFC3339)
	h.Key = encodeKey(publicOf(key))
	digest := digestOf(h)
	h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, digest[:]))
	return h
}

// signed reports whether a head carries a good signature of the key it names.
// Whether that key is anybody's is another question.
func signed(h job.AuditHead) bool {
	key, err := base64.StdEncoding.Strict().DecodeString(h.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return false
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(h.Signature)
	if err != nil {
		return false
	}
	digest := digestOf(h)
	return ed25519.Verify(key, digest[:], signature)
}

// digestOf is what is signed of a head: all of it but the signature.
func digestOf(h job.AuditHead) Hash {
	c := canonical{sha256.New()}
	c.text("gavel audit head 1")
	c.text(h.Fleet)
	c.number(uint64(h.Partition)) //nolint:gosec // a partition is 0–255
	c.number(h.N)
	for _, s := range []string{h.ID, h.Hash, h.At, h.Key} {
		c.text(s)
	}
	return c.sum()
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	return ed25519.PublicKey(key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
}

func encodeKey(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// Fingerprint is a public key in short, for people: as heads carry it, or the
// key itself in base64.
func Fingerprint(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8])
}
