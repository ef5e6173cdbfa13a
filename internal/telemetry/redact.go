package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Nothing here logs a secret. But an error of a library may carry one, a URL
// with its password say, and so may what a server or a program answered.

// secrets match what is one by its looks, with what stays of it in front.
var secrets = []struct { //nolint:gochecknoglobals // never written
	mark string
	re   *regexp.Regexp
}{
	{"://", regexp.MustCompile(`(://)[^/\s"'@]*:[^/\s"'@]*(@)`)},
	{"gvl_", regexp.MustCompile(`(gvl_)[0-9A-Za-z]{9,}()`)},
	{"earer ", regexp.MustCompile(`([Bb]earer )[-0-9A-Za-z._~+/]{8,}=*()`)},
	{"sk-", regexp.MustCompile(`(\bsk-)[-_0-9A-Za-z]{12,}()`)},
}

const redacted = "${1}[redacted]${2}"

// Redact takes out of a text what looks like a secret: credentials in a URL, API
// keys of Gavel's and of model servers, bearer tokens.
func Redact(s string) string {
	for _, secret := range secrets {
		if strings.Contains(s, secret.mark) {
			s = secret.re.ReplaceAllString(s, redacted)
		}
	}
	return s
}

// discreet is where log lines go. It takes secrets out, and writes characters
// that a terminal or an editor would act on as escapes: an encoder leaves DEL,
// the C1 controls, bidirectional marks and line separators as they are.
type discreet struct{ to io.Writer }

// Write implements io.Writer; one call is one line.
func (d discreet) Write(line []byte) (int, error) {
	out := line
	for _, secret := range secrets {
		if bytes.Contains(out, []byte(secret.mark)) {
			out = secret.re.ReplaceAll(out, []byte(redacted))
		}
	}
	if bytes.IndexFunc(out, acts) >= 0 {
		out = escaped(out)
	}
	if _, err := d.to.Write(out); err != nil {
		return 0, err //nolint:wrapcheck // it stands for the writer it wraps
	}
	return len(line), nil
}

// acts says whether a character of an encoded line does something to who reads
// it instead of being read.
func acts(r rune) bool {
	switch {
	case r == 0x7f, r >= 0x80 && r <= 0x9f, r == 0x2028, r == 0x2029:
		return true
	default:
		return r == 0x200e || r == 0x200f || r == 0x061c || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}
}

func escaped(line []byte) []byte {
	out := make([]byte, 0, len(line)+16)
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		if acts(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = append(out, line[:n]...)
		}
		line = line[n:]
	}
	return out
}
