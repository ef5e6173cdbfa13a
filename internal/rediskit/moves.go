package rediskit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rtfm-si/gavel/internal/job"
)

var aside = regexp.MustCompile(`\([^)]*\)`)

// moves reads the first line of a header, "queued | parked -> running (why)":
// every state on the left to every one on the right. What is in parentheses is
// for people. A script that leaves jobs where they are says so there, or names
// the same state twice.
func moves(script, line string) ([]job.Move, error) {
	line = strings.TrimSpace(aside.ReplaceAllString(line, ""))
	if line == "" {
		return nil, nil
	}
	left, right, ok := strings.Cut(line, "->")
	if !ok {
		return nil, fmt.Errorf("its moves %q have no ->", line)
	}
	var out []job.Move
	for from := range strings.SplitSeq(left, "|") {
		for to := range strings.SplitSeq(right, "|") {
			m := job.Move{Script: script, From: job.State(strings.TrimSpace(from)), To: job.State(strings.TrimSpace(to))}
			if m.From != "" && !slices.Contains(job.States(), m.From) || !slices.Contains(job.States(), m.To) {
				return nil, fmt.Errorf("its moves name %q -> %q, which are no states", m.From, m.To)
			}
			if m.From != m.To {
				out = append(out, m)
			}
		}
	}
	return out, nil
}
