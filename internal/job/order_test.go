package job_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestAScopeNamesNeitherTooLittleNorTooMuch(t *testing.T) {
	for _, ok := range []job.Scope{
		{Kind: job.ScopeJob, Job: anID}, {Kind: job.ScopeOwner, Owner: "ann"}, {Kind: job.ScopeFleet},
	} {
		require.NoError(t, ok.Check(), "%+v", ok)
	}
	for _, bad := range []job.Scope{
		{},
		{Kind: "everything"},
		{Job: anID},
		{Kind: job.ScopeJob},
		{Kind: job.ScopeJob, Owner: "ann"},
		{Kind: job.ScopeJob, Job: anID, Owner: "ann"},
		{Kind: job.ScopeOwner},
		{Kind: job.ScopeOwner, Job: anID},
		{Kind: job.ScopeOwner, Owner: "ann", Job: anID},
		{Kind: job.ScopeFleet, Owner: "ann"},
		{Kind: job.ScopeFleet, Job: anID},
	} {
		require.ErrorIs(t, bad.Check(), job.ErrBadScope, "%+v", bad)
	}
}

func TestWhatAnOrderCovers(t *testing.T) {
	const other = job.ID("0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0f07")
	one := job.Order{Scope: job.Scope{Kind: job.ScopeJob, Job: anID}}
	ann := job.Order{Scope: job.Scope{Kind: job.ScopeOwner, Owner: "ann"}, Horizon: map[int]uint64{7: 10}}
	all := job.Order{Scope: job.Scope{Kind: job.ScopeFleet}, Horizon: map[int]uint64{0: 3, 7: 10}}
	for name, c := range map[string]struct {
		order job.Order
		p     int
		id    job.ID
		owner string
		seq   uint64
		want  bool
	}{
		"its job":                   {one, 7, anID, "ann", 99, true},
		"another job":               {one, 7, other, "ann", 1, false},
		"its owner":                 {ann, 7, anID, "ann", 9, true},
		"at the horizon":            {ann, 7, anID, "ann", 10, true},
		"above the horizon":         {ann, 7, anID, "ann", 11, false},
		"another owner":             {ann, 7, anID, "bob", 1, false},
		"a partition it is not in":  {ann, 0, anID, "ann", 1, false},
		"the fleet":                 {all, 7, anID, "bob", 10, true},
		"above the fleet's horizon": {all, 7, anID, "bob", 11, false},
		"each partition its own":    {all, 0, anID, "bob", 4, false},
		"recorded elsewhere only":   {all, 1, anID, "bob", 1, false},
		"no order":                  {job.Order{}, 7, "", "", 0, false},
	} {
		require.Equal(t, c.want, c.order.Covers(c.p, c.id, c.owner, c.seq), name)
	}
}

func TestATallySumsUp(t *testing.T) {
	a := job.Tally{Targeted: 15, Stopped: 1, NotRunning: 2, AlreadyOver: 3, Fenced: 4, Waiting: 5, Deaf: 1, CoveredBefore: 7, Unbooked: 2, SpentAfter: 40}
	require.True(t, a.Sums(), "deaf ones are waiting, covered before and unbooked are outside")
	require.True(t, job.Tally{}.Sums())
	sum := a.Add(a)
	require.True(t, sum.Sums())
	require.Equal(t, job.Tally{Targeted: 30, Stopped: 2, NotRunning: 4, AlreadyOver: 6, Fenced: 8, Waiting: 10, Deaf: 2, CoveredBefore: 14, Unbooked: 4, SpentAfter: 80}, sum)
	require.Equal(t, a, a.Add(job.Tally{}))
	for _, wrong := range []job.Tally{{Targeted: 1}, {Stopped: 1}, {Waiting: 1}, {Fenced: 1}, {NotRunning: 1}, {AlreadyOver: 1}, {Targeted: 1, Waiting: -1}} {
		require.False(t, wrong.Sums(), "%+v", wrong)
	}
}
