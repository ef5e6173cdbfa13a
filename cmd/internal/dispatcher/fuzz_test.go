package dispatcher

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzSettingsAreUnderstoodOrRefused(f *testing.F) {
	for _, seed := range []string{
		"--keys-file=k", "--keys-file=k\x00--fleet={x}", "--keys-file=k\x00--partitions=300", "--keys-file=k\x00--submit-rate=-5\x00--read-rate=0",
		"--keys-file=k\x00--breaker=maybe", "--keys-file=k\x00--owner-cap=-1", "--keys-file=k\x00--lease-trust=1ns", "--keys-file=k\x00--in-flight=9223372036854775808",
		"--keys-file=k\x00--hosts=a,,b", "--keys-file=k\x00--retention=-1h", "--redis=", "--nothing", "extra", "--keys-file=k\x00--durability=none",
	} {
		f.Add(seed, "")
	}
	f.Add("--keys-file=k", "GAVEL_SLOTS=1\nGAVEL_SLOT=1")
	f.Add("--keys-file=k", "gavel_slot=1\nPATH=x\n=\nGAVEL_")
	f.Fuzz(func(t *testing.T, args, env string) {
		for _, arg := range strings.Split(args, "\x00") {
			if strings.HasPrefix(arg, "-h") || strings.HasPrefix(arg, "--h") || strings.HasPrefix(arg, "@") {
				return // help is no setting
			}
		}
		cfg, err := Parse(strings.Split(args, "\x00"), strings.Split(env, "\n"), io.Discard)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NotEmpty(t, cfg.KeysFile, "nobody starts without knowing whom to let in")
		for _, r := range []int{cfg.SubmitRate, cfg.ReadRate, cfg.ControlRate} {
			require.GreaterOrEqual(t, Shares{SubmitRate: r}.limits().Submits.PerSecond, 0.0)
		}
		if timing := cfg.Lease(); timing.Check() == nil {
			require.Positive(t, timing.Renew)
			require.Less(t, timing.Trust, timing.Take)
		}
	})
}
