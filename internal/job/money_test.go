package job_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestMoneyForPeople(t *testing.T) {
	for m, want := range map[job.MicroUSD]string{
		0: "$0.0000", 1: "$0.0000", 50: "$0.0001", 413_200: "$0.4132", 413_249: "$0.4132", 413_250: "$0.4133",
		999_949: "$0.9999", 999_950: "$1.00", 999_999: "$1.00", job.USD: "$1.00", 1_004_999: "$1.00", 1_005_000: "$1.01",
		286 * job.USD: "$286.00", -1_500_000: "-$1.50", -100: "-$0.0001", -999_999: "-$1.00",
		math.MaxInt64: "$9223372036854.78", math.MinInt64: "-$9223372036854.78",
	} {
		require.Equal(t, want, m.String(), int64(m))
	}
}
