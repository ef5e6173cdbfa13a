package spec

import (
	"errors"
	"strconv"
	"strings"
)

// word is a word of a line. A quoted one is never a bracket, a sign or a variable.
type word struct {
	text   string
	quoted bool
}

// words splits a line at spaces. Quotes may stand in the middle of a word, as
// in a='b c'; single quotes keep everything, double quotes know \n and the like.
// With brackets, [ ] { } are words of their own.
func words(line string, brackets bool) ([]word, error) {
	var out []word
	for rest := strings.TrimLeft(line, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		if rest[0] == '#' {
			break
		}
		if brackets && strings.IndexByte("[]{}", rest[0]) >= 0 {
			out, rest = append(out, word{text: rest[:1]}), rest[1:]
			continue
		}
		w, n, err := oneWord(rest, brackets)
		if err != nil {
			return nil, err
		}
		out, rest = append(out, w), rest[n:]
	}
	return out, nil
}

// oneWord reads the word a text begins with, and says how long it is there.
func oneWord(s string, brackets bool) (word, int, error) {
	var b strings.Builder
	w, stop := word{}, " \t"
	if brackets {
		stop += "[]{}"
	}
	i := 0
	for i < len(s) && strings.IndexByte(stop, s[i]) < 0 {
		switch c := s[i]; {
		case c == '\'' || c == '"':
			text, n, err := quoted(s[i:])
			if err != nil {
				return w, 0, err
			}
			b.WriteString(text)
			w.quoted = true
			i += n
		case c == '/' && i == 0:
			n := regexpLen(s[i:])
			b.WriteString(s[i : i+n])
			i += n
		default:
			b.WriteByte(c)
			i++
		}
	}
	w.text = b.String()
	return w, i, nil
}

// regexpLen is how long /…/ is at the start of s; 1 when the slash is only a
// slash. A regular expression may hold brackets, but no space.
func regexpLen(s string) int {
	line, _, _ := strings.Cut(s, " ")
	if end := strings.LastIndexByte(line, '/'); end > 0 {
		return end + 1
	}
	return 1
}

func quoted(s string) (string, int, error) {
	if s[0] == '\'' {
		end := strings.IndexByte(s[1:], '\'')
		if end < 0 {
			return "", 0, errors.New("a single quote is not closed")
		}
		return s[1 : end+1], end + 2, nil
	}
	prefix, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", 0, errors.New("a double quote is not closed")
	}
	text, err := strconv.Unquote(prefix)
	return text, len(prefix), err
}
