package job

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// ErrBadText is wrapped by every refusal of [CheckText] and [CheckName].
var ErrBadText = errors.New("text refused")

// CheckText says whether s may be written into a record that people read: valid
// UTF-8, no control or bidirectional-override characters, 1 to limit bytes. The
// error names what is wrong in words fit for the person who typed it.
func CheckText(what, s string, limit int) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: %s is empty; give one", ErrBadText, what)
	case len(s) > limit:
		return fmt.Errorf("%w: %s has %d bytes; at most %d are allowed", ErrBadText, what, len(s), limit)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %s is not valid UTF-8", ErrBadText, what)
	}
	for i, r := range s {
		if unicode.IsControl(r) || bidi(r) || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("%w: %s has a control character (U+%04X) at byte %d; remove it", ErrBadText, what, r, i)
		}
	}
	return nil
}

// CheckName is [CheckText] for what becomes part of a key or a metric: letters,
// digits and . _ - @ / + only, so that an owner called "{x}:*" is refused here
// and not discovered in Redis.
func CheckName(what, s string, limit int) error {
	if err := CheckText(what, s, limit); err != nil {
		return err
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return fmt.Errorf("%w: %s may have letters, digits and . _ - @ / + only; byte %d is %q", ErrBadText, what, i, s[i])
		}
	}
	return nil
}

func nameByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	switch c {
	case '.', '_', '-', '@', '/', '+':
		return true
	}
	return false
}

func bidi(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\u200e' || r == '\u200f'
}

// CheckLabels says whether labels may be stored: at most [MaxLabels], each key
// a name of at most [MaxLabelKey] bytes, each value a text of at most
// [MaxLabelValue].
func CheckLabels(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return fmt.Errorf("%w: %d labels; at most %d are allowed", ErrBadText, len(labels), MaxLabels)
	}
	for k, v := range labels {
		if err := CheckName("label key", k, MaxLabelKey); err != nil {
			return err
		}
		if err := CheckText("label "+k, v, MaxLabelValue); err != nil {
			return err
		}
	}
	return nil
}
