package show

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// Style is a look of text, where colours are shown.
type Style string

// The styles.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// Screen is where a command writes for a person.
type Screen struct {
	out    io.Writer
	width  int // 0: as wide as the text
	colour bool
	err    error
}

// NewScreen writes to out. On a terminal it knows the width and shows colours
// unless noColour says otherwise.
func NewScreen(out io.Writer, noColour bool) *Screen {
	s := &Screen{out: out}
	if f, ok := out.(*os.File); ok {
		s.width = columns(f)
		s.colour = s.width > 0 && !noColour
	}
	return s
}

// Sized is a screen of a given width and colour, for tests.
func Sized(out io.Writer, width int, colour bool) *Screen {
	return &Screen{out: out, width: width, colour: colour}
}

// IsTerminal reports whether a person sees it as it is written.
func (s *Screen) IsTerminal() bool { return s.width > 0 }

// Colour reports whether colours are shown.
func (s *Screen) Colour() bool { return s.colour }

// Err is the first write that failed.
func (s *Screen) Err() error { return s.err }

// Line writes one line. Whatever the caller forgot to clean steers no terminal: of
// the characters that could, only the colours of [Screen.Paint] are let through.
func (s *Screen) Line(format string, args ...any) {
	if s.err != nil {
		return
	}
	if _, err := io.WriteString(s.out, s.harmless(fmt.Sprintf(format, args...))+"\n"); err != nil {
		s.err = fmt.Errorf("write: %w", err)
	}
}

func (s *Screen) harmless(text string) string {
	parts := strings.Split(text, "\x1b[")
	var out strings.Builder
	out.WriteString(CleanBlock(parts[0]))
	for _, part := range parts[1:] {
		style, rest, ok := strings.Cut(part, "m")
		if ok && s.colour && slices.Contains([]Style{"0", Bold, Dim, Red, Green, Yellow, Cyan}, Style(style)) {
			out.WriteString("\x1b[" + style + "m" + CleanBlock(rest))
		} else {
			out.WriteString(CleanBlock(part))
		}
	}
	return out.String()
}

// Over writes a line over the one that the cursor is on; an empty one clears it.
// It is for terminals.
func (s *Screen) Over(text string) {
	if s.err != nil {
		return
	}
	if _, err := fmt.Fprint(s.out, "\r\x1b[K"+text); err != nil {
		s.err = fmt.Errorf("write: %w", err)
	}
}

// Block writes a text of several lines as it is, cleaned.
func (s *Screen) Block(text string) { s.Line("%s", strings.TrimRight(CleanBlock(text), "\n")) }

// Heading writes a heading with an empty line before it.
func (s *Screen) Heading(format string, args ...any) {
	s.Line("\n%s", s.Paint(Bold, fmt.Sprintf(format, args...)))
}

// Paint gives text a style, where colours are shown.
func (s *Screen) Paint(style Style, text string) string {
	if !s.colour || style == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// Fit cuts text to what is left of a line after so many columns. Where nobody
// looks it is left whole.
func (s *Screen) Fit(text string, used int) string {
	if s.width == 0 {
		return text
	}
	return cut(text, max(s.width-used, 8))
}

// Fold breaks a text into lines that fit, each behind the same indent.
func (s *Screen) Fold(text, indent string) string {
	most := 88
	if s.width > 0 {
		most = min(most, s.width)
	}
	most = max(most-len(indent), 20)
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(Clean(text)) {
		if line != "" && length(line)+1+length(word) > most {
			lines, line = append(lines, indent+line), ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	return strings.Join(append(lines, indent+line), "\n")
}

// Clean is a text on one line, without what could steer a terminal.
func Clean(text string) string {
	return strings.Join(strings.Fields(CleanBlock(text)), " ")
}

// CleanBlock is a text without what could steer a terminal; its lines stay.
func CleanBlock(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ', r >= 0x7f && r <= 0x9f, r == utf8.RuneError:
			return -1
		case r >= '\u2028' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u200e', r == '\u200f', r == '\u061c':
			return -1
		default:
			return r
		}
	}, text)
}

func length(text string) int { return utf8.RuneCountInString(text) }

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	if length(text) <= most {
		return text
	}
	runes := []rune(text)
	return strings.TrimRight(string(runes[:max(most-1, 0)]), " ") + "…"
}
