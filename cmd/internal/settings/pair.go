package settings

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Pair is a certificate with its key, in files that are read again when they
// change: certificates of a few weeks are renewed under a running process.
type Pair struct {
	certFile, keyFile string

	mu      sync.Mutex
	pair    *tls.Certificate
	changed [2]time.Time
}

// NewPair reads the two files. Both are needed.
func NewPair(certFile, keyFile string) (*Pair, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("a certificate and its key are needed, each in a file; give both or none")
	}
	p := &Pair{certFile: certFile, keyFile: keyFile}
	if _, err := p.Now(); err != nil {
		return nil, err
	}
	return p, nil
}

// Now is the pair as the files have it. While they cannot be read or do not fit
// each other, as in the middle of a renewal, it is the last good one.
func (p *Pair) Now() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, err := p.times()
	if err == nil && (p.pair == nil || at != p.changed) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(p.certFile, p.keyFile); err == nil {
			p.pair, p.changed = &pair, at
		}
	}
	if p.pair == nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	return p.pair, nil
}

func (p *Pair) times() (at [2]time.Time, err error) {
	for i, file := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return at, err
		}
		at[i] = info.ModTime()
	}
	return at, nil
}

// ReadSecret is the text of a file without the space around it; empty for no
// file.
func ReadSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(raw))
	if secret == "" {
		return "", fmt.Errorf("%s is empty; it must hold the secret alone", file)
	}
	return secret, nil
}
