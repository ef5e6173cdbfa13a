package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// venom is what a text of somebody else's may hold: colours, a title, a line of its
// own, CSI and OSC as one character, marks that turn a line around.
const venom = "\x1b[31mred\x1b]0;owned\x07\r\nFAKE line\u009b2J\u202eevil\u2066\u200f\x7f\x00\u2028\u061c"

// kept are strings that a client reads as something other than text.
var kept = regexp.MustCompile(`^([0-9a-f-]{36}|\d{4}-\d\d-\d\dT.*|\d+-\d+|urn:.*|[a-z_]{1,16}|)$`)

// poisoned puts the venom into every text of a JSON value, and into its labels.
func poisoned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = poisoned(v[k])
		}
		if labels, ok := v["labels"].(map[string]any); ok {
			labels["k"+venom] = venom
		}
		return v
	case []any:
		for i := range v {
			v[i] = poisoned(v[i])
		}
		return v
	case string:
		if kept.MatchString(v) {
			return v
		}
		return v + venom
	default:
		return v
	}
}

// event is the data of one event in a stream.
var event = regexp.MustCompile(`(?m)^data: .*$`)

// bitten is a JSON document with the venom in it.
func bitten(raw []byte) []byte {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	out, err := json.Marshal(poisoned(v))
	if err != nil {
		return raw
	}
	return out
}

// A dispatcher whose words are not its own, because somebody else wrote them into
// Redis, colours no terminal, moves no cursor and adds no line to a table.
func TestWhatOthersWroteSteersNoTerminal(t *testing.T) {
	w := newTown(t, quick())
	id := w.submit("dev-alice", "build-or-buy")
	w.gavel("dev-alice", "watch", id).ok()
	killed := w.submit("dev-alice", "build-or-buy")
	w.gavel("dev-alice", "kill", killed, "--reason", "enough of it", "--wait", "10s").ok()
	w.gavel("dev-admin", "block", "--kind", "imports", "--reason", "for a while").ok()
	var orders []struct{ Order string }
	w.gavel("dev-admin", "orders", "--json").into(&orders)

	to, err := url.Parse(w.fleet.URL())
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		kind := r.Header.Get("Content-Type")
		if !strings.Contains(kind, "json") && kind != "text/event-stream" || strings.HasSuffix(r.Request.URL.Path, "/fleet/events") {
			return nil
		}
		raw, err := io.ReadAll(r.Body)
		if strings.Contains(kind, "json") {
			raw = bitten(raw)
		} else {
			raw = event.ReplaceAllFunc(raw, func(line []byte) []byte { return append([]byte("data: "), bitten(line[len("data: "):])...) })
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		r.Header.Set("Content-Length", strconv.Itoa(len(raw)))
		r.ContentLength = int64(len(raw))
		return err
	}
	evil := httptest.NewServer(proxy)
	t.Cleanup(evil.Close)

	for _, words := range [][]string{
		{"ps", "--all"},
		{"get", id},
		{"get", killed},
		{"report", id},
		{"answer", id},
		{"checkpoints", id},
		{"transcript", id},
		{"watch", id},
		{"orders"},
		{"receipt", orders[0].Order},
		{"blocks"},
		{"fleet"},
		{"audit"},
		{"spend"},
		{"budget"},
		{"keys", "list"},
		{"preview", "--owner", "alice"},
		{"kill", killed, "--reason", "again"},
		{"get", "nonsense"},
		{"resume", id},
		{"thaw", "--reason", "because"},
		{"top", "--once"},
	} {
		var out bytes.Buffer
		s := outcome(t.Context(), t, Process{In: strings.NewReader(""), Out: &out, Err: &out}, append([]string{"--url", evil.URL, "--key", "dev-admin"}, words...)...)
		text := out.String()
		if s.err != nil {
			text += s.err.Error()
		}
		for i, r := range text {
			require.False(t, r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028,
				"%v: U+%04X at %d of %q", words, r, i, text)
		}
		if words[0] == "report" || words[0] == "transcript" {
			continue // documents have the lines that their writers gave them
		}
		for line := range strings.SplitSeq(text, "\n") {
			require.False(t, strings.HasPrefix(strings.TrimSpace(line), "FAKE"), "%v: a line of its own: %q", words, text)
		}
	}
}
