package problem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrBadInput is wrapped by every refusal of [Parse]. The door answers it as the
// submitter's mistake; the text says which field and what to do.
var ErrBadInput = errors.New("input refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrBadInput, fmt.Errorf(format, args...))
}

// fields maps the exact name of a key to the reader of its value.
type fields map[string]func(json.RawMessage) error

// read takes one JSON object apart. Unlike encoding/json it minds the case of
// keys, refuses a key that is given twice, and wants nothing after the object.
func (f fields) read(what string, data []byte) error {
	if !utf8.Valid(data) {
		return refuse("%s is not valid UTF-8", what)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return refuse("%s is not a JSON object", what)
	}
	seen := make(map[string]bool, len(f))
	for dec.More() {
		if err := f.readOne(what, dec, seen); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return refuse("%s is not valid JSON: %w", what, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return refuse("%s has more after its JSON object; remove it", what)
	}
	return nil
}

func (f fields) readOne(what string, dec *json.Decoder, seen map[string]bool) error {
	tok, err := dec.Token()
	if err != nil {
		return refuse("%s is not valid JSON: %w", what, err)
	}
	key, _ := tok.(string)
	reader, ok := f[key]
	switch {
	case !ok:
		return refuse("%s has an unknown field %q; known are: %s",
			what, clip(key), strings.Join(slices.Sorted(maps.Keys(f)), ", "))
	case seen[key]:
		return refuse("%s has the field %q twice", what, key)
	}
	seen[key] = true
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return refuse("%s is not valid JSON at %q: %w", what, key, err)
	}
	return reader(raw)
}

// text reads a string of min to max characters, or bytes if so said. Control
// characters other than newline and tab are refused: they do not belong in a
// prompt or on a terminal.
func text(what string, low, high int, dst *string) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var s *string
		if err := json.Unmarshal(raw, &s); err != nil || s == nil {
			return refuse("%s: want a string, got %s", what, kind(raw))
		}
		t := strings.TrimSpace(*s)
		switch n := utf8.RuneCountInString(t); {
		case n < low:
			return refuse("%s has %d characters; at least %d are needed", what, n, low)
		case n > high:
			return refuse("%s has %d characters; at most %d are allowed", what, n, high)
		}
		for i, r := range t {
			if r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f {
				return refuse("%s has a control character (U+%04X) at byte %d; remove it", what, r, i)
			}
		}
		*dst = t
		return nil
	}
}

// number reads a whole number from low to high.
func number(what string, low, high int64, dst *int64) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var n *int64
		if err := json.Unmarshal(raw, &n); err != nil || n == nil {
			return refuse("%s: want a whole number from %d to %d, got %s", what, low, high, kind(raw))
		}
		if *n < low || *n > high {
			return refuse("%s is %d; want %d to %d", what, *n, low, high)
		}
		*dst = *n
		return nil
	}
}

func flag(what string, dst *bool) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var b *bool
		if err := json.Unmarshal(raw, &b); err != nil || b == nil {
			return refuse("%s: want true or false, got %s", what, kind(raw))
		}
		*dst = *b
		return nil
	}
}

// list reads an array of at most high values, each with the reader that item makes for it.
func list(what string, high int, item func(i int) func(json.RawMessage) error) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var values []json.RawMessage
		if err := json.Unmarshal(raw, &values); err != nil || values == nil {
			return refuse("%s: want a list, got %s", what, kind(raw))
		}
		if len(values) > high {
			return refuse("%s has %d entries; at most %d are allowed", what, len(values), high)
		}
		for i, v := range values {
			if err := item(i)(v); err != nil {
				return err
			}
		}
		return nil
	}
}

// kind names what a JSON value is, for an error.
func kind(raw json.RawMessage) string {
	switch c := bytes.TrimSpace(raw); {
	case len(c) == 0:
		return "nothing"
	case c[0] == '{':
		return "an object"
	case c[0] == '[':
		return "a list"
	case c[0] == '"':
		return "a string"
	case c[0] == 'n':
		return "null"
	case c[0] == 't' || c[0] == 'f':
		return "a boolean"
	default:
		return "the number " + clip(string(c))
	}
}

func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
