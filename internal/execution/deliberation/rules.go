package deliberation

import (
	"cmp"

	"github.com/rtfm-si/gavel/internal/problem"
)

// roundCap is how many rounds a sub-problem of that complexity may take.
func roundCap(complexity, lowered int) int {
	rounds := 6
	switch {
	case complexity <= 3:
		rounds = 3
	case complexity <= 5:
		rounds = 4
	case complexity <= 7:
		rounds = 5
	}
	if lowered > 0 {
		rounds = min(rounds, lowered)
	}
	return rounds
}

// Why a discussion stopped.
const (
	stopCap         = "round cap"
	stopConverged   = "converged"
	stopStalled     = "stalled"
	stopFacilitator = "facilitator"
)

const (
	nearPercent  = 85 // converged, if little is new
	closePercent = 90 // converged, whatever is new
	fewPercent   = 30 // little is new
	nonePercent  = 15 // nothing is new: twice in a row is a stall
)

// stopReason says why no further round is needed, or "" if one is.
func stopReason(measures []measure, rounds, most int) string {
	if n := len(measures); n > 0 {
		last := measures[n-1]
		switch {
		case *last.Convergence >= closePercent,
			*last.Convergence >= nearPercent && *last.Novelty < fewPercent:
			return stopConverged
		case n > 1 && *last.Novelty < nonePercent && *measures[n-2].Novelty < nonePercent:
			return stopStalled
		}
	}
	if rounds >= most {
		return stopCap
	}
	return ""
}

// count gives the options the weight of their votes and names the winner: the
// most weight, then the most votes, and "" if that is still a tie.
func count(options []problem.Option, votes []problem.Vote) (counted []problem.Option, winner string) {
	counted = append([]problem.Option(nil), options...)
	for _, v := range votes {
		for i := range counted {
			if counted[i].ID == v.Option {
				counted[i].Votes++
				counted[i].Weight += v.Confidence
			}
		}
	}
	best, tie := problem.Option{Weight: -1}, false
	for _, o := range counted {
		switch cmp.Or(cmp.Compare(o.Weight, best.Weight), cmp.Compare(o.Votes, best.Votes)) {
		case 1:
			best, tie = o, false
		case 0:
			tie = true
		}
	}
	if tie {
		return counted, ""
	}
	return counted, best.ID
}
