package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// ErrKey is wrapped when a file is no key that the audit can be signed, or
// checked, with.
var ErrKey = errors.New("audit key refused")

// NewKey draws a signing key and writes it to a file that must not be there
// yet, for its owner alone.
func NewKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw the audit key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write the audit key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the audit key: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("write the audit key: %w", err)
	}
	return key, nil
}

// ReadKey reads a signing key: an Ed25519 private key in PEM form (PKCS #8), in
// a file that nobody but its owner and group can read.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; make one with: gavel audit key %s", ErrKey, err, path)
	}
	if open := info.Mode().Perm() & 0o027; open != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o, others than its owner could sign with it; set it to 0600", ErrKey, path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%w: %s holds nothing in PEM form; make a key with: gavel audit key FILE", ErrKey, path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKey, path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: %s holds another kind of key; want Ed25519", ErrKey, path)
	}
	return key, nil
}

// Public is the public half of a signing key, in PEM form: what a verifier is
// given.
func Public(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(publicOf(key))
	if err != nil {
		return nil, fmt.Errorf("write the public audit key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// Trust are the public keys whose signatures count. Without any, a verifier
// takes the key that the heads name, and says which one that was.
type Trust []string

// ReadTrust reads public keys in PEM form, one or several in a file: after a
// change of keys, the old one and the new one.
func ReadTrust(paths ...string) (Trust, error) {
	var t Trust
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		before := len(t)
		for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
			parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
			key, ok := parsed.(ed25519.PublicKey)
			if err != nil || !ok {
				return nil, fmt.Errorf("%w: %s holds a %s that is no public Ed25519 key", ErrKey, path, block.Type)
			}
			t = append(t, encodeKey(key))
		}
		if len(t) == before {
			return nil, fmt.Errorf("%w: %s holds no public key in PEM form; gavel audit key --public prints one", ErrKey, path)
		}
	}
	return t, nil
}
