package cli

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProblemIsAskedBothWays(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	got := outcome(t.Context(), t, Process{Out: &out, Err: &out}, "compare", "../../../examples/build-or-buy.json").ok()
	for _, want := range []string{"build-or-buy", "one plain call", "votes with a confidence", "simulated"} {
		require.Contains(t, got, want)
	}
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "compare", "no-such-file").fails(codeUsage, "no-such-file")
	outcome(t.Context(), t, Process{Out: &out, Err: &out}, "compare", "--model", "unheard-of", "../../../examples/build-or-buy.json").fails(codeFailed, "unheard-of")
}
