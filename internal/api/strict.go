package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep a body may nest.
const maxDepth = 64

// checkJSON refuses what the standard decoder would let pass or mend: anything
// but one object, duplicate keys, a second value, invalid UTF-8, lone
// surrogates, deep nesting. Its errors are fit for the caller.
func checkJSON(raw []byte) error {
	switch {
	case len(bytes.TrimSpace(raw)) == 0:
		return errors.New("the body is empty; send a JSON object")
	case !utf8.Valid(raw):
		return errors.New("the body is not valid UTF-8")
	case bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")):
		return errors.New("the body begins with a byte order mark; send plain UTF-8")
	}
	if first := bytes.TrimLeft(raw, " \t\r\n")[0]; first != '{' {
		return errors.New("the body is not a JSON object")
	}
	if err := surrogates(raw); err != nil {
		return err
	}
	return walk(raw)
}

// walk reads the tokens without recursion, so that depth costs nothing.
func walk(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var open []*level
	for {
		tok, err := dec.Token()
		if err != nil {
			return fmt.Errorf("the body is not valid JSON near byte %d", dec.InputOffset())
		}
		switch t := tok.(type) {
		case json.Delim:
			if open, err = step(open, t); err != nil {
				return err
			}
			if len(open) == 0 {
				return atEnd(dec)
			}
		default:
			if err := open[len(open)-1].take(tok); err != nil {
				return err
			}
		}
	}
}

func atEnd(dec *json.Decoder) error {
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// level is one open object or array.
type level struct {
	keys  map[string]bool // nil in an array
	value bool            // the next token of an object is a value
}

func step(open []*level, d json.Delim) ([]*level, error) {
	if d == '}' || d == ']' {
		return open[:len(open)-1], nil
	}
	if len(open) > 0 {
		open[len(open)-1].value = false
	}
	if len(open) == maxDepth {
		return nil, fmt.Errorf("the body nests deeper than %d levels", maxDepth)
	}
	l := &level{}
	if d == '{' {
		l.keys = map[string]bool{}
	}
	return append(open, l), nil
}

func (l *level) take(tok json.Token) error {
	key, isText := tok.(string)
	if l.keys == nil || l.value || !isText {
		l.value = false
		return nil
	}
	if l.keys[key] {
		return fmt.Errorf("the key %q is there twice in one object", short(key))
	}
	l.keys[key], l.value = true, true
	return nil
}

// surrogates refuses \u escapes that are half a character: decoders replace
// them silently, so what is stored would not be what was sent.
func surrogates(raw []byte) error {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			continue
		}
		i++
		unit, ok := escape(raw, i)
		if !ok || unit < 0xd800 || unit > 0xdfff {
			continue
		}
		low, ok := uint16(0), i+5 < len(raw) && raw[i+5] == '\\'
		if ok {
			low, ok = escape(raw, i+6)
		}
		if unit > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
			return fmt.Errorf("the escape at byte %d is half a character", i-1)
		}
		i += 6
	}
	return nil
}

// escape reads the u and its four hexadecimal digits at i.
func escape(raw []byte, i int) (uint16, bool) {
	if i+5 > len(raw) || raw[i] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[i+1:i+5]), 16, 16)
	return uint16(n), err == nil
}

// decode reads a body that passed [checkJSON] into a T, a struct of tagged
// fields. A key that is no field, or one in another case, is refused.
func decode[T any](raw []byte) (T, error) {
	var v T
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return v, malformed("the body is not a JSON object")
	}
	names := fields(reflect.TypeFor[T]())
	for key, value := range keys {
		if !names[key] {
			return v, invalid(fmt.Sprintf("there is no field %q here; see /openapi.json for those there are", short(key)))
		}
		if string(value) == "null" {
			return v, invalid(fmt.Sprintf("the field %q is null; leave it out or give it a value", key))
		}
	}
	err := json.Unmarshal(raw, &v)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return v, invalid(fmt.Sprintf("the field %q is a %s; want %s", wrong.Field, short(wrong.Value), wanted(wrong.Type)))
	case err != nil:
		return v, malformed("the body does not have the form this route wants; see /openapi.json")
	}
	return v, nil
}

func fields(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number of at most 64 bits"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list of strings"
	default:
		return "an object"
	}
}

func short(s string) string {
	const most = 64
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
