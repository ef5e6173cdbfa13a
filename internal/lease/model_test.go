package lease_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

var modelMove = regexp.MustCompile(`MOVE ([a-z_]+): ([a-z]+) -> ([a-z]+)`)

// A move that the product has and the checked model lacks is a move that nobody
// has checked; one that only the model has proves things about another product.
func TestTheModelHasEveryMove(t *testing.T) {
	text, err := os.ReadFile("model/lease.pml")
	require.NoError(t, err)
	var modelled []job.Move
	for _, m := range modelMove.FindAllStringSubmatch(string(text), -1) {
		from := job.State(m[2])
		if from == "new" {
			from = ""
		}
		move := job.Move{Script: m[1], From: from, To: job.State(m[3])}
		require.Contains(t, job.Moves(), move, "lease.pml has a move that no script makes")
		modelled = append(modelled, move)
	}
	for _, move := range job.Moves() {
		require.True(t, slices.Contains(modelled, move), "lease.pml lacks a move: %+v", move)
	}
}
