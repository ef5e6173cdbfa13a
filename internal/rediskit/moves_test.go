package rediskit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// house loads every script of every room.
func house(t *testing.T) []*Script {
	t.Helper()
	files, err := filepath.Glob("../*/lua/*.lua")
	require.NoError(t, err)
	var all []*Script
	for _, f := range files {
		room := filepath.Dir(filepath.Dir(f))
		if filepath.Base(room) == "rediskit" {
			continue // fragments
		}
		s, err := Load(os.DirFS(room), strings.TrimSuffix(filepath.Base(f), ".lua"))
		require.NoError(t, err)
		all = append(all, s)
	}
	require.Greater(t, len(all), 20)
	return all
}

func TestTheScriptsMakeTheMovesOfTheTableAndNoOthers(t *testing.T) {
	var have []job.Move
	for _, s := range house(t) {
		have = append(have, s.Moves...)
	}
	require.ElementsMatch(t, job.Moves(), have)
}

func TestNoTwoScriptsHaveOneName(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range house(t) {
		require.False(t, seen[s.Name], s.Name)
		seen[s.Name] = true
	}
}

// What stops or ends jobs runs while memory is full; what admits, starts or
// spends does not, so that it cannot fill it further.
func TestFullMemoryStopsWhatStartsAndNothingThatStops(t *testing.T) {
	starts := []string{"submit", "grant", "reserve", "checkpoint", "event", "transcribe", "promote", "resume"}
	stops := []string{
		"finish", "retry", "release", "park", "leave", "reclaim", "renew", "settle", "sample", "gate",
		"order", "horizon", "sweep", "fence", "bury", "deny", "forget",
	}
	for _, s := range house(t) {
		if allowed := slices.Contains(s.Header.Flags, "allow-oom"); allowed {
			require.NotContains(t, starts, s.Name)
		} else {
			require.NotContains(t, stops, s.Name)
		}
	}
}

func TestTheMovesOfAHeader(t *testing.T) {
	for line, want := range map[string][]job.Move{
		"-> queued":                        {{Script: "s", To: job.Queued}},
		"running -> running":               nil,
		"(no job moves)":                   nil,
		"queued | held -> killed (an end)": {{Script: "s", From: job.Queued, To: job.Killed}, {Script: "s", From: job.Held, To: job.Killed}},
		"running -> queued (a) | failed (b, c)": {
			{Script: "s", From: job.Running, To: job.Queued}, {Script: "s", From: job.Running, To: job.Failed},
		},
	} {
		have, err := moves("s", line)
		require.NoError(t, err, line)
		require.Equal(t, want, have, line)
	}
	for _, line := range []string{"running", "running -> ", "running -> done", "over -> killed", "running -> killing"} {
		_, err := moves("s", line)
		require.Error(t, err, line)
	}
}
