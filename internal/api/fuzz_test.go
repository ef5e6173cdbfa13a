package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// What passes the strict reader is one object that every reader of JSON
// understands alike: no key twice, nothing behind it, and not too deep.
func FuzzWhatPassesIsOneObjectThatAllReadAlike(f *testing.F) {
	for _, seed := range []string{
		`{}`, goodSubmit, goodKill, goodAll, `{"a":1,"a":2}`, `{"a":{"b":[1,{"c":null}]}}`, `{} {}`, `{"a":"\ud800"}`, `{"a":"\ud83d\ude00"}`,
		"\xef\xbb\xbf{}", "{\"a\":\"\xff\"}", `null`, `[]`, `{"a":1e400}`, `{"a":9223372036854775808}`, ` {"a":"\u0000"} `,
		strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if checkJSON(raw) != nil {
			return
		}
		require.True(t, utf8.Valid(raw))
		require.True(t, json.Valid(raw))
		var first map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &first), "it is an object")
		again, err := json.Marshal(first)
		require.NoError(t, err)
		require.NoError(t, checkJSON(again), "what was read and written passes again")
		require.LessOrEqual(t, nesting(raw), maxDepth)
	})
}

// nesting counts brackets outside of strings.
func nesting(raw []byte) (deepest int) {
	depth, text := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case !text && bytes.IndexByte([]byte("{["), c) >= 0:
			depth++
			deepest = max(deepest, depth)
		case !text && bytes.IndexByte([]byte("}]"), c) >= 0:
			depth--
		}
	}
	return deepest
}

// A cursor opens for whom and what it was given, unchanged, and for nothing else.
func FuzzACursorOpensForNothingElse(f *testing.F) {
	f.Add("0.17", "jobs", "acme", "")
	f.Add("1764000000000-0,", "audit", "", "AAAA")
	f.Add("18446744073709551615-18446744073709551615", "a", "b", "!!!")
	f.Fuzz(func(t *testing.T, cursor, list, owner, forged string) {
		d := open(t, newWorld())
		sealed := d.seal(cursor, list, owner)
		if len(cursor) > 0 && len(cursor) < 900 {
			got, err := d.unseal(sealed, list, owner)
			require.NoError(t, err)
			require.Equal(t, cursor, got)
			_, err = d.unseal(sealed, list, owner, "more")
			require.Error(t, err)
			_, err = d.unseal(sealed, list+"x", owner)
			require.Error(t, err)
		}
		if got, err := d.unseal(forged, list, owner); forged != "" && forged != sealed {
			require.Error(t, err, "%q opened as %q", forged, got)
		}
	})
}
