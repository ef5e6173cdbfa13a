package job

import "fmt"

// MicroUSD is an amount of money in millionths of a US dollar. Money is never
// a float, in Go or in Lua.
type MicroUSD int64

// USD is one dollar.
const USD MicroUSD = 1_000_000

// String is the amount for people: "$0.4132", "-$1.50", "$286.00". Four
// decimals below a dollar, two from there.
func (m MicroUSD) String() string {
	sign, n := "", uint64(m) //nolint:gosec // negated below where it is negative
	if m < 0 {
		sign, n = "-", -n
	}
	if tenths := (n + 50) / 100; tenths < 10_000 {
		return fmt.Sprintf("%s$0.%04d", sign, tenths)
	}
	cents := (n + 5_000) / 10_000
	return fmt.Sprintf("%s$%d.%02d", sign, cents/100, cents%100)
}
