package job_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/internal/job"
)

func TestWhatAPersonMayWrite(t *testing.T) {
	for _, ok := range []string{"x", "zu teuer: 300 $/min", "過負荷", "a'b\"c<d>;--", "{x}:*", "=1+1", "\u00a0", "👩‍🚀", strings.Repeat("é", 512)} {
		require.NoError(t, job.CheckText("reason", ok, job.MaxReason), ok)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "reason is empty; give one"},
		"too long":            {strings.Repeat("x", 1025), "has 1025 bytes; at most 1024"},
		"too long, not ASCII": {strings.Repeat("é", 513), "has 1026 bytes"},
		"not UTF-8":           {"a\xff", "not valid UTF-8"},
		"a surrogate":         {"a\xed\xa0\x80", "not valid UTF-8"},
		"new line":            {"a\nb", "control character (U+000A) at byte 1"},
		"carriage return":     {"a\r", "U+000D"},
		"zero":                {"\x00", "U+0000"},
		"escape":              {"\x1b[31m", "U+001B"},
		"delete":              {"a\x7f", "U+007F"},
		"C1":                  {"a\u0085", "U+0085"},
		"right to left":       {"a\u202eb", "U+202E"},
		"isolate":             {"a\u2066b", "U+2066"},
		"mark":                {"a\u200fb", "U+200F"},
		"line separator":      {"a\u2028b", "U+2028"},
		"paragraph separator": {"a\u2029b", "U+2029"},
	} {
		err := job.CheckText("reason", c.text, job.MaxReason)
		require.ErrorIs(t, err, job.ErrBadText, name)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "\x1b", name)
	}
}

func TestANameIsSafeInAKey(t *testing.T) {
	for _, ok := range []string{"ann", "a.b_c-d@e/f+g", "team/42", strings.Repeat("x", job.MaxName)} {
		require.NoError(t, job.CheckName("owner", ok, job.MaxName), ok)
	}
	for _, bad := range []string{"", "{x}:*", "a b", "a:b", "a*", "a?", "[a]", "é", "a\\b", "a\n", "a%b", "a=b", "a,b", strings.Repeat("x", job.MaxName+1)} {
		require.ErrorIs(t, job.CheckName("owner", bad, job.MaxName), job.ErrBadText, bad)
	}
	require.ErrorContains(t, job.CheckName("owner", "a:b", 9), `byte 1 is ':'`)
}

func TestLabels(t *testing.T) {
	require.NoError(t, job.CheckLabels(nil))
	require.NoError(t, job.CheckLabels(map[string]string{"batch": "nightly run, any text"}))
	many := map[string]string{}
	for i := range job.MaxLabels + 1 {
		many["k"+strconv.Itoa(i)] = "v"
	}
	require.ErrorContains(t, job.CheckLabels(many), "17 labels; at most 16")
	for k, v := range map[string]string{
		"a b": "v", "": "v", "k": "", "k2": "a\nb", strings.Repeat("k", job.MaxLabelKey+1): "v", "k3": strings.Repeat("v", job.MaxLabelValue+1),
	} {
		require.ErrorIs(t, job.CheckLabels(map[string]string{k: v}), job.ErrBadText, "%q: %q", k, v)
	}
}

func FuzzCheckName(f *testing.F) {
	f.Add("a.b_c-d@e/f+g")
	f.Add("{x}:*")
	f.Fuzz(func(t *testing.T, s string) {
		if job.CheckName("owner", s, job.MaxName) == nil {
			require.NoError(t, job.CheckText("owner", s, job.MaxName))
			require.False(t, strings.ContainsAny(s, "{}:*?[]\\ \r\n\t\x00"), s)
		}
	})
}
