package spec

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// pattern is what a reply, or a part of one, is compared with. It answers what
// is wrong with a value, or nil.
type pattern func(v any, vars map[string]string) error

// patterns reads the whole of ws.
func patterns(ws []word) ([]pattern, error) {
	out, rest, err := until(ws, "")
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%q closes nothing", rest[0].text)
	}
	return out, err
}

// until reads patterns up to a closing bracket.
func until(ws []word, closing string) (out []pattern, rest []word, err error) {
	for len(ws) > 0 {
		w := ws[0]
		if !w.quoted && (w.text == "]" || w.text == "}") {
			if w.text == closing {
				return out, ws[1:], nil
			}
			return out, ws, nil
		}
		var p pattern
		if p, ws, err = one(ws); err != nil {
			return nil, nil, err
		}
		out = append(out, p)
	}
	if closing != "" {
		return nil, nil, fmt.Errorf("no %q closes the bracket", closing)
	}
	return out, nil, nil
}

func one(ws []word) (pattern, []word, error) {
	w, rest := ws[0], ws[1:]
	switch {
	case w.quoted:
		return exactly(w), rest, nil
	case w.text == "[":
		items, rest, err := until(rest, "]")
		return list(items), rest, err
	case w.text == "{":
		items, rest, err := until(rest, "}")
		if err == nil && len(items)%2 != 0 {
			err = errors.New("a name in {} has no value")
		}
		return fields(items), rest, err
	case w.text == "*":
		return func(any, map[string]string) error { return nil }, rest, nil
	case w.text == "(nil)":
		return null, rest, nil
	case w.text == "...":
		return nil, rest, nil
	case len(w.text) > 2 && w.text[0] == '/' && strings.HasSuffix(w.text, "/"):
		p, err := matching(w.text[1 : len(w.text)-1])
		return p, rest, err
	default:
		return exactly(w), rest, nil
	}
}

func exactly(w word) pattern {
	return func(v any, vars map[string]string) error {
		want, err := expand(w, vars)
		if err != nil {
			return err
		}
		if have, ok := text(v); !ok || have != want {
			return fmt.Errorf("want %q, have %s", want, show(v))
		}
		return nil
	}
}

func matching(expr string) (pattern, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	return func(v any, _ map[string]string) error {
		if have, ok := text(v); !ok || !re.MatchString(have) {
			return fmt.Errorf("want what matches %s, have %s", expr, show(v))
		}
		return nil
	}, nil
}

func null(v any, _ map[string]string) error {
	if v != nil {
		return fmt.Errorf("want nil, have %s", show(v))
	}
	return nil
}

// list compares with an array; a nil item, written ..., takes what is left.
func list(items []pattern) pattern {
	return func(v any, vars map[string]string) error {
		have, ok := v.([]any)
		if !ok {
			return fmt.Errorf("want an array, have %s", show(v))
		}
		for i, p := range items {
			if p == nil {
				return nil
			}
			if i >= len(have) {
				return fmt.Errorf("want at least %d values, have %s", i+1, show(v))
			}
			if err := p(have[i], vars); err != nil {
				return fmt.Errorf("value %d: %w", i+1, err)
			}
		}
		if len(have) > len(items) {
			return fmt.Errorf("want %d values, have %s", len(items), show(v))
		}
		return nil
	}
}

// fields compares with an array of names and values, in any order.
func fields(items []pattern) pattern {
	return func(v any, vars map[string]string) error {
		have, ok := v.([]any)
		if !ok || len(have)%2 != 0 {
			return fmt.Errorf("want names and values, have %s", show(v))
		}
		for i := 0; i < len(items); i += 2 {
			at := 0
			for at < len(have) && items[i](have[at], vars) != nil {
				at += 2
			}
			if at == len(have) {
				return fmt.Errorf("name %d of {} is missing in %s", i/2+1, show(v))
			}
			if err := items[i+1](have[at+1], vars); err != nil {
				return fmt.Errorf("%s: %w", show(have[at]), err)
			}
		}
		return nil
	}
}

// text is how a plain value is written.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	default:
		return "", false
	}
}

// show writes a value as a specification would.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "(nil)"
	case string:
		if v == "" || strings.ContainsAny(v, " \t\r\n[]{}'\"") {
			return strconv.Quote(v)
		}
		return v
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = show(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

var variable = regexp.MustCompile(`\$[a-z_][a-z0-9_]*`)

// expand puts values in the place of variables.
func expand(w word, vars map[string]string) (string, error) {
	if w.quoted {
		return w.text, nil
	}
	var missing error
	s := variable.ReplaceAllStringFunc(w.text, func(name string) string {
		v, ok := vars[name[1:]]
		if !ok {
			missing = fmt.Errorf("%s was never let", name)
		}
		return v
	})
	return s, missing
}
