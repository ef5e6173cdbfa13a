package job_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

const anID = "0199f1c2-6c1e-7d3a-9b1e-5f2c8a6b0e07"

func TestOnlyWhatCouldHaveBeenMadeHereIsAnID(t *testing.T) {
	id, err := job.ParseID(anID)
	require.NoError(t, err)
	require.Equal(t, job.ID(anID), id)
	require.Equal(t, anID, id.String())
	require.Equal(t, 7, id.Partition())

	at := func(i int, c string) string { return anID[:i] + c + anID[i+1:] }
	for name, s := range map[string]string{
		"empty": "", "short": anID[:35], "long": anID + "0", "upper case": strings.ToUpper(anID),
		"no dashes": strings.ReplaceAll(anID, "-", ""), "dash elsewhere": at(9, "-"), "dash missing": at(8, "0"),
		"version 4": at(14, "4"), "variant 1": at(19, "1"), "variant c": at(19, "c"), "no digit": at(0, "g"),
		"a brace": at(3, "{"), "a closing brace": at(3, "}"), "a colon": at(3, ":"), "a star": at(3, "*"),
		"a space": at(35, " "), "a new line": at(35, "\n"), "a zero byte": at(35, "\x00"), "a percent": at(3, "%"),
		"not ASCII": anID[:34] + "é", "a slash": at(3, "/"), "braces around": "{" + anID[2:] + "}",
	} {
		_, err := job.ParseID(s)
		require.ErrorIs(t, err, job.ErrBadID, name)
	}
	for _, v := range "89ab" {
		_, err := job.ParseID(at(19, string(v)))
		require.NoError(t, err)
	}
}

func TestAnIDCarriesItsPartition(t *testing.T) {
	for _, p := range []int{0, 1, 9, 10, 15, 16, 255} {
		id, err := job.WithPartition(anID, p)
		require.NoError(t, err)
		require.Equal(t, p, id.Partition())
		require.Equal(t, anID[:34], string(id)[:34], "the rest stays")
		_, err = job.ParseID(string(id))
		require.NoError(t, err)
	}
	for _, p := range []int{-1, 256} {
		_, err := job.WithPartition(anID, p)
		require.ErrorContains(t, err, "outside")
	}
	_, err := job.WithPartition("nonsense", 1)
	require.ErrorIs(t, err, job.ErrBadID)
	for _, id := range []job.ID{"", "x", job.ID(anID[:34] + "zz")} {
		require.Equal(t, -1, id.Partition(), string(id))
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(anID)
	f.Add("{}")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := job.ParseID(s)
		if err != nil {
			return
		}
		require.Len(t, s, 36)
		require.GreaterOrEqual(t, id.Partition(), 0)
		require.NotContains(t, s, "{")
		require.NoError(t, job.CheckName("id", s, 36))
	})
}
