package show

import "strings"

// Markdown writes a report: on a terminal folded to its width, with headings
// and emphasis in bold; elsewhere as it is, a document.
func (s *Screen) Markdown(text string) {
	if !s.IsTerminal() {
		s.Block(text)
		return
	}
	for block := range strings.Lines(CleanBlock(text)) {
		s.Line("%s", s.markdownLine(strings.TrimRight(block, " \n")))
	}
}

// markdownLine is one line of a report as a terminal shows it.
func (s *Screen) markdownLine(text string) string {
	trimmed := strings.TrimLeft(text, " ")
	indent := text[:len(text)-len(trimmed)]
	switch {
	case trimmed == "":
		return ""
	case strings.HasPrefix(trimmed, "#"):
		return s.Paint(Bold, strings.TrimSpace(strings.TrimLeft(trimmed, "#")))
	case strings.HasPrefix(trimmed, "|"), trimmed == "---":
		return s.emphasis(s.Fit(text, 0))
	}
	mark := marker(trimmed)
	first := indent + mark
	rest := first
	if mark != "> " {
		rest = strings.Repeat(" ", length(first))
	}
	lines := strings.Split(s.Fold(trimmed[len(mark):], rest), "\n")
	lines[0] = first + strings.TrimPrefix(lines[0], rest)
	return s.emphasis(strings.Join(lines, "\n"))
}

// marker is what a list item or a quotation begins with.
func marker(text string) string {
	for _, m := range []string{"> ", "- "} {
		if strings.HasPrefix(text, m) {
			return m
		}
	}
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	if digits > 0 && strings.HasPrefix(text[digits:], ". ") {
		return text[:digits+2]
	}
	return ""
}

// emphasis shows **bold** as such.
func (s *Screen) emphasis(text string) string {
	parts := strings.Split(text, "**")
	if len(parts)%2 == 0 {
		return text
	}
	for i := 1; i < len(parts); i += 2 {
		parts[i] = s.Paint(Bold, parts[i])
	}
	return strings.Join(parts, "")
}
