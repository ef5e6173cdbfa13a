package price

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// A model that has a price in the file has one that is counted, and no file makes
// a call cheaper than free.
func FuzzAPriceTableIsReadWholeOrNotAtAll(f *testing.F) {
	f.Add(embedded)
	for _, s := range []string{
		`{"as_of":"2026-02-01","models":{"m":{"input":1,"output":2}}}`, `{"as_of":"2026-02-01"}`, `{"as_of":"2026-02-30","models":{}}`,
		`{"as_of":"2026-02-01","models":{"m":{"input":1}}}`, `{"as_of":"2026-02-01","models":{"m":{"input":-1,"output":2}}}`,
		`{"as_of":"2026-02-01","models":{"m":{"input":1e3,"output":2}}}`, `{"as_of":"2026-02-01","models":{"m":null}} {}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := parse(data)
		if err != nil {
			require.Nil(t, table)
			return
		}
		require.NotEmpty(t, table.Date())
		for _, m := range table.Models() {
			r, err := table.Of(m)
			require.NoError(t, err)
			require.False(t, r.Input < 0 || r.Output < 0, "nobody is paid for a call")
			most := r.Cost(math.MaxInt, math.MaxInt)
			require.GreaterOrEqual(t, most, r.Cost(1, 1))
			require.GreaterOrEqual(t, int64(r.Cost(1, 1)), int64(0))
			require.GreaterOrEqual(t, r.Worst(math.MaxInt, math.MaxInt), r.Worst(3, 1))
		}
	})
}
