package dispatcher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatIsToBeForgottenIsForgottenInOneTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, left := time.Now(), 5*forgetChunk+1
		n, err := inChunks(t.Context(), func() (int, error) {
			<-time.After(time.Millisecond)
			some := min(left, forgetChunk)
			left -= some
			return some, nil
		})
		require.NoError(t, err)
		require.Equal(t, 5*forgetChunk+1, n)
		require.Zero(t, left)
		require.Equal(t, 11*time.Millisecond, time.Since(began), "it rests as long as it works")
	})
}

func TestForgettingStopsAtAnErrorAndAtTheEnd(t *testing.T) {
	away := errors.New("redis is away")
	n, err := inChunks(t.Context(), func() (int, error) { return 3, away })
	require.ErrorIs(t, err, away)
	require.Equal(t, 3, n)

	ctx, leave := context.WithCancel(t.Context())
	n, err = inChunks(ctx, func() (int, error) { leave(); return forgetChunk, nil })
	require.NoError(t, err)
	require.Equal(t, forgetChunk, n)
}
