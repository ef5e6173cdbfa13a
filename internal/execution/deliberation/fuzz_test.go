package deliberation

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
	"github.com/rtfm-si/gavel/internal/problem"
)

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add(`{"sub_problems":[{"id":"s1","title":"t","goal":"g","complexity":3,"depends_on":["s1"]}]}`)
	f.Add("}{")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := decode(entry{Text: text}, func(p *plan) error { return p.check(5) })
		if err == nil {
			require.NotEmpty(t, got.SubProblems)
		}
		if _, err := decode(entry{Text: text}, (*measure).check); err == nil {
			require.Contains(t, text, "convergence")
		}
	})
}

// A reply that is taken names only who sits at the table and what was asked about.
func FuzzEveryReplyThatIsTakenIsSound(f *testing.F) {
	for _, s := range []string{
		`{"questions":["why?",""," "]}`, `{"personas":["risk","growth","user"]}`, `{"options":[{"id":"a","title":"A"},{"id":"b","title":"B"}]}`,
		`{"option":"a","confidence":70,"reasoning":"r"}`, `{"synthesis":"s","action":"a","confidence":1,"dissent":[{"persona":"risk","view":"no"}]}`,
		`{"synthesis":"s","recommendations":[{"title":"t","confidence":1,"sub_problems":["s1"]}]}`, "Sure!\n```json\n{\"focus\":\"f\"}\n```", `{"convergence":101}`, `}{`, `{"options":null}`,
	} {
		f.Add(s)
	}
	library, err := problem.Personas()
	require.NoError(f, err)
	seats, options := library.All()[:3], []problem.Option{{ID: "a"}, {ID: "b"}}
	subs := []*sub{{part: part{ID: "s1"}}}
	f.Fuzz(func(t *testing.T, text string) {
		e := entry{Text: text}
		if q, err := decode(e, (*inquiry).check); err == nil {
			require.LessOrEqual(t, len(q.Questions), 5)
			require.NotContains(t, q.Questions, "")
		}
		if c, err := decode(e, func(c *casting) error { return c.check(library) }); err == nil {
			for _, one := range c.Personas {
				_, known := library.Of(one.ID)
				require.True(t, known, one.ID)
			}
		}
		if b, err := decode(e, func(b *ballot) error { return b.check(options) }); err == nil {
			require.Contains(t, []string{"a", "b"}, b.Option)
		}
		if fi, err := decode(e, func(fi *finding) error { return fi.check(seats) }); err == nil {
			require.NotEmpty(t, fi.Synthesis)
			for _, d := range fi.Dissent {
				require.Contains(t, []string{seats[0].ID, seats[1].ID, seats[2].ID}, d.Persona)
			}
		}
		if c, err := decode(e, func(c *conclusion) error { return c.check(subs) }); err == nil {
			for _, r := range c.Recommendations {
				require.Subset(t, []string{"s1"}, r.SubProblems)
			}
		}
		if m, err := decode(e, (*menu).check); err == nil {
			require.NotEmpty(t, m.Options)
		}
		_, _ = decode(e, (*lead).check)
	})
}

// Replies that were paid for are gone on from, or the checkpoint is refused: never
// those of another question.
func FuzzAJournalIsReadWholeOrNotAtAll(f *testing.F) {
	const asked = `{"problem":"shall we?"}`
	j := &journal{entries: map[string]entry{"s1.r1": {Text: "yes", Cost: 5}}}
	var err error
	j.input, err = inputDigest([]byte(asked))
	require.NoError(f, err)
	whole, err := j.encode()
	require.NoError(f, err)
	f.Add(whole, []byte(asked))
	f.Add(whole, []byte(` {"problem" : "shall we?"}`))
	f.Add(whole, []byte(`{"problem":"shall they?"}`))
	f.Add(whole[:len(whole)/2], []byte(asked))
	f.Add([]byte(`{"version":1,"sha256":"","body":{}}`), []byte(`{}`))
	f.Add([]byte(`null`), []byte(`{`))
	f.Fuzz(func(t *testing.T, data, input []byte) {
		got, err := openJournal(input, &job.Checkpoint{Seq: 9, Data: data})
		if err != nil {
			require.Nil(t, got)
			if json.Valid(input) {
				require.ErrorIs(t, err, ErrCheckpoint)
			}
			return
		}
		require.Equal(t, uint64(9), got.seq)
		again, err := got.encode()
		require.NoError(t, err)
		same, err := openJournal(input, &job.Checkpoint{Seq: 9, Data: again})
		require.NoError(t, err)
		require.Equal(t, got.size(), same.size())
		_, err = openJournal([]byte(`{"problem":"another"}`), &job.Checkpoint{Seq: 9, Data: data})
		require.Error(t, err)
	})
}
