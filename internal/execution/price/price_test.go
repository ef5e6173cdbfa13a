package price

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCostIsRoundedUpNeverDown(t *testing.T) {
	r := Rate{Input: 3_000_000, Output: 15_000_000}
	require.Equal(t, job.MicroUSD(3), r.Cost(1, 0))
	require.Equal(t, job.MicroUSD(1_000*3+200*15), r.Cost(1_000, 200))
	require.Equal(t, job.MicroUSD(1), Rate{Input: 50_000}.Cost(1, 0), "a twentieth of a micro-dollar is booked as one")
	require.Equal(t, job.MicroUSD(0), r.Cost(0, 0))
}

func TestCostOfAbsurdCountsNeitherOverflowsNorPaysBack(t *testing.T) {
	r := Rate{Input: maxRate, Output: maxRate}
	require.Positive(t, int64(r.Cost(math.MaxInt, math.MaxInt)))
	require.Zero(t, r.Cost(-5, -1))
}

func TestWorstCaseCountsAThirdOfTheBytesAndAllOfTheAnswer(t *testing.T) {
	r := Rate{Input: 1_000_000, Output: 10_000_000}
	require.Equal(t, job.MicroUSD(100+50*10), r.Worst(300, 50))
	require.Equal(t, job.MicroUSD(101), r.Worst(301, 0), "a begun token counts")
	require.Zero(t, InputTokens(0))
}

func TestUnknownModelIsRefusedAndTheErrorSaysWhatToDo(t *testing.T) {
	table, err := Embedded()
	require.NoError(t, err)
	_, err = table.Of("gpt-4o-2024-05-13")
	require.ErrorIs(t, err, ErrUnknownModel, "a dated release is another model")
	require.ErrorContains(t, err, "price file")
	require.ErrorContains(t, err, "simulated")
}

func TestEmbeddedTableIsDatedAndWhole(t *testing.T) {
	table, err := Embedded()
	require.NoError(t, err)
	require.NotEmpty(t, table.Date())
	r, err := table.Of("claude-sonnet-4-5")
	require.NoError(t, err)
	require.Equal(t, Rate{Input: 3 * job.USD, Output: 15 * job.USD}, r)
	for _, m := range table.Models() {
		r, err := table.Of(m)
		require.NoError(t, err)
		require.Positive(t, int64(r.Input), m)
		require.GreaterOrEqual(t, r.Output, r.Input, m)
	}
}

func TestFileIsLaidOverTheEmbeddedTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(path, []byte(
		`{"as_of":"2026-02-01","models":{"llama-local":{"input":0,"output":0},"gpt-4o":{"input":1,"output":2}}}`), 0o600))
	table, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, "2026-02-01", table.Date())
	r, err := table.Of("gpt-4o")
	require.NoError(t, err)
	require.Equal(t, Rate{Input: 1, Output: 2}, r)
	r, err = table.Of("llama-local")
	require.NoError(t, err)
	require.Zero(t, r.Cost(1_000_000, 1_000_000), "free when the operator says so")
	_, err = table.Of("o3")
	require.NoError(t, err, "the rest of the table stands")
}

func TestBadFilesAreRefusedWhole(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"not JSON":       {`prices`, "micro-USD per million"},
		"unknown field":  {`{"as_of":"2026-02-01","models":{"m":{"input":1,"output":2,"cached":3}}}`, "cached"},
		"a float":        {`{"as_of":"2026-02-01","models":{"m":{"input":0.5,"output":2}}}`, "micro-USD per million"},
		"no output":      {`{"as_of":"2026-02-01","models":{"m":{"input":1}}}`, "both input and output"},
		"negative":       {`{"as_of":"2026-02-01","models":{"m":{"input":-1,"output":2}}}`, "outside"},
		"absurd":         {`{"as_of":"2026-02-01","models":{"m":{"input":1,"output":99999999999999}}}`, "outside"},
		"no date":        {`{"models":{}}`, "YYYY-MM-DD"},
		"trailing bytes": {`{"as_of":"2026-02-01","models":{}} {}`, "more after"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "prices.json")
			require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
			_, err := Load(path)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := Load(filepath.Join(t.TempDir(), "absent.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
