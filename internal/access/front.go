package access

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Front asks the one authenticator that a credential belongs to. The file's keys
// come before those of the store, so that they work, break-glass keys among them,
// when neither the store nor the identity provider answers.
type Front struct {
	File Authenticator
	// Store has the keys that were made through the API; nil has none.
	Store Authenticator
	// Tokens believes the identity provider; nil believes none.
	Tokens Authenticator
}

// Authenticate is as the [Authenticator] it asks.
func (f Front) Authenticate(ctx context.Context, presented string, now time.Time) (Actor, error) {
	if IsToken(presented) {
		if f.Tokens == nil {
			return Actor{}, ErrRefused
		}
		return f.Tokens.Authenticate(ctx, presented, now)
	}
	a, err := f.File.Authenticate(ctx, presented, now)
	if f.Store != nil && errors.Is(err, ErrRefused) {
		return f.Store.Authenticate(ctx, presented, now)
	}
	return a, err
}

// IsToken reports whether a credential has the form of a signed token, which no
// API key has.
func IsToken(presented string) bool {
	return strings.Count(presented, ".") == 2 && strings.HasPrefix(presented, "ey")
}
