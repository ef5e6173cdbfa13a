package job_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestTheCauseOfAContextIsFound(t *testing.T) {
	stop := &job.Stop{Kind: job.StopKilled, Order: anID, Actor: "root", Reason: "loud"}
	ctx, cancel := context.WithCancelCause(t.Context())
	require.Nil(t, job.StopOf(ctx), "alive")
	inner, end := context.WithCancel(ctx)
	defer end()
	cancel(fmt.Errorf("told by the watch: %w", stop))
	require.Same(t, stop, job.StopOf(ctx))
	require.Same(t, stop, job.StopOf(inner), "a child has its parent's cause")
	cancel(&job.Stop{Kind: job.StopDraining})
	require.Same(t, stop, job.StopOf(ctx), "the first cause stays")

	plain, end := context.WithCancel(t.Context())
	end()
	require.Nil(t, job.StopOf(plain))
	timed, end := context.WithTimeout(t.Context(), 0)
	defer end()
	<-timed.Done()
	require.Nil(t, job.StopOf(timed))
}

func TestStopsOfOneKindMatch(t *testing.T) {
	err := fmt.Errorf("the work: %w", &job.Stop{Kind: job.StopKilled, Actor: "root"})
	require.ErrorIs(t, err, &job.Stop{Kind: job.StopKilled})
	require.NotErrorIs(t, err, &job.Stop{Kind: job.StopDraining})
	require.NotErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, errors.New("killed"), &job.Stop{Kind: job.StopKilled})
}

func TestAStopSaysWhy(t *testing.T) {
	for want, s := range map[string]job.Stop{
		"killed by root: too loud":    {Kind: job.StopKilled, Actor: "root", Reason: "too loud"},
		"draining":                    {Kind: job.StopDraining},
		"lease lost: no renewal":      {Kind: job.StopLeaseLost, Detail: "no renewal"},
		"no progress: silent for 10m": {Kind: job.StopNoProgress, Detail: "silent for 10m"},
	} {
		require.EqualError(t, &s, want)
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	for want, err := range map[string]error{
		"use a new key for a new job": &job.Conflict{Existing: anID},
		"frozen by root: incident":    &job.Frozen{Actor: "root", Reason: "incident"},
		"refuses this job: unpaid":    &job.Blocked{Order: anID, Reason: "unpaid"},
		"look again, then thaw":       &job.StaleGate{Now: "7.x"},
		"parked: budget: $5 spent":    &job.Park{Reason: "budget", Detail: "$5 spent"},
	} {
		require.ErrorContains(t, err, want)
	}
}
