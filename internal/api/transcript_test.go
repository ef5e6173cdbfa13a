package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATranscriptIsReadInPagesAndSaysWhenItIsNotWhole(t *testing.T) {
	w := newWorld()
	d := open(t, w)
	path := "/v1/jobs/" + string(overJob) + "/transcript?limit=2"
	first := fieldsOf(t, call{method: "GET", path: path, as: "owner"}.on(d))
	require.Len(t, first["calls"], 2)
	require.Equal(t, "2-0", first["next"])
	require.Nil(t, first["shortened"])
	j := w.jobs[overJob]
	j.TranscriptFull = true
	w.jobs[overJob] = j
	rest := fieldsOf(t, call{method: "GET", path: path + "&after=2-0", as: "owner"}.on(d))
	require.Len(t, rest["calls"], 1)
	require.Nil(t, rest["next"])
	require.Equal(t, true, rest["shortened"])
	require.Equal(t, typeMalformed, kind(t, call{method: "GET", path: path + "&after=(1-0", as: "owner"}.on(d)))
}
