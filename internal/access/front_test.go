package access

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answers is an authenticator that has one answer and counts who asks.
type answers struct {
	err   error
	asked *int
}

func (a answers) Authenticate(context.Context, string, time.Time) (Actor, error) {
	*a.asked++
	return Actor{Subject: "from the store"}, a.err
}

// The keys of the file work whatever else is down.
func TestAKeyOfTheFileAsksNobodyElse(t *testing.T) {
	key, secret := newKey(t, Key{Subject: "root", Roles: []Role{Admin}, BreakGlass: true})
	file, err := NewKeys([]Key{key})
	require.NoError(t, err)
	asked := 0
	front := Front{File: file, Store: answers{ErrUnasked, &asked}, Tokens: answers{ErrUnasked, &asked}}
	got, err := front.Authenticate(t.Context(), secret, noon)
	require.NoError(t, err)
	require.True(t, got.ByBreakGlass())
	require.Zero(t, asked)
	_, err = front.Authenticate(t.Context(), "gvl_other", noon)
	require.ErrorIs(t, err, ErrUnasked, "what the file does not know the store may")
	require.Equal(t, 1, asked)
	_, err = front.Authenticate(t.Context(), "", noon)
	require.ErrorIs(t, err, ErrNone)
	require.Equal(t, 1, asked)
}

func TestATokenIsNeverAKey(t *testing.T) {
	file, err := NewKeys(nil)
	require.NoError(t, err)
	asked := 0
	_, err = Front{File: file, Tokens: answers{ErrExpired, &asked}}.Authenticate(t.Context(), "eyJ.eyJ.x", noon)
	require.ErrorIs(t, err, ErrExpired)
	require.Equal(t, 1, asked)
	_, err = Front{File: file, Store: answers{nil, &asked}}.Authenticate(t.Context(), "eyJ.eyJ.x", noon)
	require.ErrorIs(t, err, ErrRefused)
	require.Equal(t, 1, asked)
}
