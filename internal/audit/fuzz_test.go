package audit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A cursor that is read names one entry of each partition, fit for a command,
// and is written as it was read.
func FuzzACursorIsWrittenAsItWasRead(f *testing.F) {
	for _, seed := range []string{"", "1-0,", ",2-3", "1-1,2-2", "0-0,18446744073709551615-18446744073709551615", "(1-0,", "1-0", "1-0,2-0,3-0", "1-0\n,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseCursor(text, 2)
		if err != nil {
			require.ErrorIs(t, err, ErrBadCursor)
			return
		}
		require.Len(t, at, 2)
		for _, id := range at {
			require.Regexp(t, `^([0-9]+-[0-9]+)?$`, id)
			require.NotContains(t, id, "\n")
		}
		if text != "" {
			require.Equal(t, text, at.String())
		}
	})
}
