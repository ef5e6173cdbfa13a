package rediskit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/rtfm-si/gavel/internal/job"
)

// ErrReply is wrapped when a script answered something its header does not
// promise: another server's script, a proxy, a newer schema. Treat the call's
// outcome as unknown.
var ErrReply = errors.New("unexpected script reply")

// Reply is what a script answered: a word, and what follows it.
type Reply struct {
	Word string
	Rest []any
}

// parseReply reads a raw reply. A script answers a word or an array that
// begins with one.
func parseReply(raw any) (Reply, error) {
	switch v := raw.(type) {
	case string:
		return Reply{Word: v}, nil
	case []any:
		if len(v) == 0 {
			return Reply{}, fmt.Errorf("%w: empty array", ErrReply)
		}
		word, ok := v[0].(string)
		if !ok {
			return Reply{}, fmt.Errorf("%w: array begins with %T", ErrReply, v[0])
		}
		return Reply{Word: word, Rest: v[1:]}, nil
	default:
		return Reply{}, fmt.Errorf("%w: %T", ErrReply, raw)
	}
}

// Str returns the i-th value after the word as text; a missing or nil value is
// the empty string.
func (r Reply) Str(i int) string {
	if i >= len(r.Rest) {
		return ""
	}
	return Text(r.Rest[i])
}

// Int returns the i-th value after the word as a number, 0 when it is missing.
func (r Reply) Int(i int) int64 {
	n, _ := strconv.ParseInt(r.Str(i), 10, 64)
	return n
}

// List returns the i-th value after the word as an array, nil when it is none.
func (r Reply) List(i int) []any {
	if i >= len(r.Rest) {
		return nil
	}
	l, _ := r.Rest[i].([]any)
	return l
}

// Behind is where a range begins that goes on behind an entry of a stream, from
// its start for an empty id. Behind the last that there can be is nothing, and
// Redis will not be asked for it.
func Behind(id string) (from string, ok bool) {
	if id == "" {
		return "-", true
	}
	ms, seq, _ := strings.Cut(id, "-")
	m, _ := strconv.ParseUint(ms, 10, 64)
	n, _ := strconv.ParseUint(seq, 10, 64)
	return "(" + id, m != math.MaxUint64 || n != math.MaxUint64
}

// Text reads a value of a reply as text.
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		return ""
	}
}

// Texts reads an array of a reply as texts.
func Texts(vs []any) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = Text(v)
	}
	return out
}

// Fields reads a flat array of names and values, as HGETALL gives it in Lua.
func Fields(vs []any) map[string]string {
	m := make(map[string]string, len(vs)/2)
	for i := 0; i+1 < len(vs); i += 2 {
		m[Text(vs[i])] = Text(vs[i+1])
	}
	return m
}

// Micros writes a time as the microseconds that records hold.
func Micros(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// Time reads microseconds from a record; empty or unreadable is the zero time.
func Time(s string) time.Time {
	us, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	at, _ := job.Moment(us)
	return at
}

// Number reads a whole number of a record; anything else is 0.
func Number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Breaker reads the breaker from the money of a fleet's first partition.
func Breaker(money map[string]string) job.Breaker {
	b := job.Breaker{Mode: cmp.Or(money["mode"], "off"), Burn: job.MicroUSD(Number(money["burn"]))}
	if money["limit"] != "" {
		b.Limit = new(job.MicroUSD(Number(money["limit"])))
	}
	if money["breaker"] != "" {
		b.Tripped, b.TrippedAt, b.Reason = true, Time(money["tripped_at"]), money["trip_reason"]
	}
	return b
}
