package control

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

// What a worker hears ends work, so an entry that says anything but an order over
// something must be a gap: then the renewals are asked, who know.
func FuzzAControlEntryIsAnOrderOrAGap(f *testing.F) {
	const id = "0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e00"
	for _, s := range [][6]string{
		{id, "job", id, "", "", ""},
		{id, "owner", "", "ann", "7", ""},
		{id, "fleet", "", "", "18446744073709551615", ""},
		{id, "fleet", "", "", "-1", ""},
		{id, "owner", "", "", "7", ""},
		{"", "fleet", "", "", "7", ""},
		{id, "job", "", "", "", "selector"},
		{id, "selector", "", "", "7", ""},
		{id, "block", "", "ann", "7", ""},
		{id, "Fleet", "", "", "7", "fleet"},
		{id, "job", id, "ann", "x", "owner"},
	} {
		f.Add(s[0], s[1], s[2], s[3], s[4], s[5])
	}
	f.Fuzz(func(t *testing.T, order, scope, of, owner, h, wide string) {
		hint := hintFrom(3, map[string]any{"order": order, "scope": scope, "job": of, "owner": owner, "h": h, "wide": wide, "actor": 7})
		require.Equal(t, 3, hint.Partition)
		if hint.Gap {
			require.Equal(t, job.Hint{Partition: 3, Gap: true}, hint, "a gap names nothing that could be obeyed")
			return
		}
		o := hint.Order
		require.Equal(t, job.ID(order), o.ID)
		require.NotEmpty(t, o.ID)
		require.NoError(t, o.Scope.Check())
		require.NotEmpty(t, hint.Wide)
		require.False(t, o.Covers(4, "another", owner, 1) && o.Scope.Kind != job.ScopeJob, "it has a horizon in its own partition only")
		switch o.Scope.Kind {
		case job.ScopeJob:
			require.True(t, o.Covers(3, job.ID(of), "any", math.MaxUint64))
			require.False(t, o.Covers(3, job.ID(of+"x"), owner, 0))
		case job.ScopeOwner:
			require.False(t, o.Covers(3, job.ID(of), owner+"x", 0))
			require.True(t, o.Covers(3, "any", owner, o.Horizon[3]))
		default:
			require.Equal(t, o.Scope.Kind == job.ScopeFleet, o.Covers(3, "any", "any", o.Horizon[3]), "a selector names its jobs by itself")
		}
		if o.Scope.Kind != job.ScopeJob && o.Horizon[3] < math.MaxUint64 {
			require.False(t, o.Covers(3, job.ID(of), owner, o.Horizon[3]+1), "nothing behind the horizon")
		}
	})
}

// A selector that could not be read must not become one that selects more.
func FuzzAStoredSelectorIsReadBackOrSelectsNothing(f *testing.F) {
	f.Add("ann", "deliberation", "gpt-5", "batch", "nightly", int64(time.Hour), int64(5), `{"owner":"ann"}`)
	f.Add("", "", "", "a", "", int64(0), int64(0), `{"spend":"x","min_age":-1}`)
	f.Add("", "", "m", "", "", int64(-1), int64(-1), `[`)
	f.Add("ann", "", "", "", "", int64(1), int64(1), `null`)
	f.Fuzz(func(t *testing.T, owner, kind, model, label, value string, age, spend int64, stored string) {
		s := job.Selector{Owner: owner, Kind: kind, Submitter: owner, Model: model, MinAge: time.Duration(age), MinSpend: job.MicroUSD(spend)}
		if label != "" {
			s.Labels = map[string]string{label: value}
		}
		if s.Check() == nil {
			text, err := criteriaOf(&s, time.Unix(1_800_000_000, 0))
			require.NoError(t, err)
			require.Equal(t, &s, selectorFrom(text))
		}
		if stored == "" {
			return
		}
		read := selectorFrom(stored)
		require.NotNil(t, read, "no selector means an order that has none")
		if !json.Valid([]byte(stored)) {
			require.Error(t, read.Check(), "what cannot be read selects by nothing, and that is refused")
		}
	})
}

func FuzzTheRulesOfAGateAreReadWholeOrNotAtAll(f *testing.F) {
	for _, s := range []string{
		``, `[]`, `null`, `{}`, `[{"rule":"block","order":"o","on":"owner","value":"ann","at":"1764000000000000"},{"rule":"horizon","seq":"9"}]`,
		`[{"rule":"block","at":5}]`, `[{"rule":"block"}`, `[null]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := standingIn(text)
		if err != nil {
			require.Empty(t, rules)
			return
		}
		for _, r := range rules {
			require.Equal(t, scopeBlock, r.Rule)
			b := r.block()
			require.Equal(t, r.Order, b.ID)
			require.False(t, b.Lifted)
		}
	})
}
