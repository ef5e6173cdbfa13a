package rediskit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAReplyIsAWordAndWhatFollows(t *testing.T) {
	r, err := parseReply([]any{"granted", int64(7), "7", nil, []any{"a", int64(1)}})
	require.NoError(t, err)
	require.Equal(t, "granted", r.Word)
	require.Equal(t, "7", r.Str(0))
	require.Equal(t, int64(7), r.Int(0))
	require.Equal(t, int64(7), r.Int(1))
	require.Empty(t, r.Str(2))
	require.Zero(t, r.Int(2))
	require.Equal(t, []string{"a", "1"}, Texts(r.List(3)))
	require.Nil(t, r.List(0), "a number is no list")

	r, err = parseReply("left")
	require.NoError(t, err)
	require.Equal(t, Reply{Word: "left"}, r)
}

func TestAShortReplyIsEmptyAndDoesNotPanic(t *testing.T) {
	r := Reply{Word: "x"}
	require.Empty(t, r.Str(9))
	require.Zero(t, r.Int(9))
	require.Nil(t, r.List(9))
	require.Equal(t, map[string]string{"a": "1"}, Fields([]any{"a", "1", "odd"}))
	require.Empty(t, Texts(nil))
}

func TestAReplyNoScriptGivesIsRefused(t *testing.T) {
	for name, raw := range map[string]any{
		"nil": nil, "number": int64(1), "empty": []any{}, "array of numbers": []any{int64(1)},
		"array of nil": []any{nil}, "map": map[any]any{"a": 1}, "float": 1.5, "bool": true,
	} {
		_, err := parseReply(raw)
		require.ErrorIs(t, err, ErrReply, name)
	}
}

func TestNumbersAndTimesOfRecords(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	require.Equal(t, at, Time(Micros(at)))
	require.Empty(t, Micros(time.Time{}))
	for _, s := range []string{"", "x", "-1", "0", "1e3", "253402300800000000", "9223372036854775807"} {
		require.True(t, Time(s).IsZero(), s)
	}
	require.Equal(t, int64(9007199254740993), Number("9007199254740993"), "no float in between")
	require.Zero(t, Number("1.5"))
	require.Zero(t, Number(""))
}

func TestBehindTheLastEntryIsNothing(t *testing.T) {
	for after, want := range map[string]string{"": "-", "0-0": "(0-0", "5-1": "(5-1", "18446744073709551615-0": "(18446744073709551615-0"} {
		from, ok := Behind(after)
		require.True(t, ok, after)
		require.Equal(t, want, from)
	}
	for _, last := range []string{"18446744073709551615-18446744073709551615", "018446744073709551615-018446744073709551615"} {
		_, ok := Behind(last)
		require.False(t, ok)
	}
}
