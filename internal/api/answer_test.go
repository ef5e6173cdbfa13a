package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
)

func TestBadAnswersAreRefusedAndNothingIsLost(t *testing.T) {
	path := "/v1/jobs/" + string(askJob) + "/answer"
	for body, says := range map[string]string{
		`{}`:                          "answers",
		`{"answers":null}`:            "answers",
		`{"answers":""}`:              "empty",
		`{"answers":[]}`:              "empty",
		`{"answers":["one"]}`:         "2 questions",
		`{"answers":["one"," "]}`:     "answer 2 is empty",
		`{"answers":{"a":"b"}}`:       "give a list of 2",
		`{"answers":["a","b"],"x":1}`: "no field",
	} {
		w := newWorld()
		rec := post(path, body).on(open(t, w))
		require.Equal(t, 422, rec.Code, "%s: %s", body, rec.Body)
		require.Equal(t, typeInvalid, kind(t, rec))
		require.Contains(t, rec.Body.String(), says, body)
		require.Empty(t, w.answers)
		require.Empty(t, w.denials)
	}
}

func TestAnAnswerCarriesWhoGaveItAndAMarkThatARetryRepeats(t *testing.T) {
	path := "/v1/jobs/" + string(askJob) + "/answer"
	w := newWorld()
	d := open(t, w)
	for _, c := range []call{
		post(path, goodAnswer), post(path, goodAnswer), with(post(path, goodAnswer), "Idempotency-Key", "key-2"), as(post(path, goodAnswer), "admin"),
		with(post(path, goodAnswer), "Idempotency-Key", ""), with(post(path, `{"answers":["a","b"]}`), "Idempotency-Key", ""),
	} {
		rec := c.on(d)
		require.Equal(t, 200, rec.Code, rec.Body)
		require.Equal(t, "queued", fieldsOf(t, rec)["state"])
	}
	got := w.answers
	require.JSONEq(t, `["because","so"]`, string(got[0].Answers))
	require.Contains(t, string(got[0].Who), `"subject":"alice"`)
	require.Equal(t, got[0].Mark, got[1].Mark)
	marks := map[string]bool{}
	for _, a := range got {
		marks[a.Mark] = true
	}
	require.Len(t, marks, 5, "another key, another person, other words: other answers")

	require.Equal(t, []any{"why?", "how?"}, fieldsOf(t, call{method: "GET", path: "/v1/jobs/" + string(askJob), as: "owner"}.on(d))["questions"])
	require.ErrorIs(t, client.ErrNotWaiting, client.ProblemType("urn:gavel:problem:"+typeNotWaiting))
}
