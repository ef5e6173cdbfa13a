package worker

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the command line, it is read or refused; and timings that pass their
// check keep the rules that the bounds of a kill are reckoned from.
func FuzzSettingsThatAreAcceptedKeepTheRules(f *testing.F) {
	for _, seed := range []string{
		"--lease-trust=10s\x00--lease-renew=3s", "--lease-take=1ns", "--slots=-1", "--slots=1000000", "--redis=redis://", "--redis=",
		"--lease-renew=9223372036s", "--drain-grace=-1s", "--partitions=300", "--nothing", "--fleet={x}", "extra",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, args string) {
		for _, arg := range strings.Split(args, "\x00") {
			if strings.HasPrefix(arg, "-h") || strings.HasPrefix(arg, "--h") || strings.HasPrefix(arg, "@") {
				return // help is no setting
			}
		}
		cfg, err := Parse(strings.Split(args, "\x00"), nil, io.Discard)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		timing := cfg.Lease()
		if timing.Check() != nil {
			return // the start refuses them
		}
		require.Positive(t, timing.Renew)
		require.Less(t, 2*timing.Renew, timing.Trust)
		require.Less(t, timing.Trust, timing.Take)
	})
}
