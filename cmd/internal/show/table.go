package show

import "strings"

// Table is rows under headings. Columns may be cut to fit a terminal, but not
// those that a person copies from.
type Table struct {
	heads []string
	whole []bool
	rows  [][]cell
}

type cell struct {
	text  string
	style Style
}

// NewTable makes a table. A head that ends in "!" is of a column that is never
// cut, such as an id.
func NewTable(heads ...string) *Table {
	t := &Table{}
	for _, h := range heads {
		name, whole := strings.CutSuffix(h, "!")
		t.heads, t.whole = append(t.heads, name), append(t.whole, whole)
	}
	return t
}

// Row adds a row; what is missing stays empty.
func (t *Table) Row(texts ...string) {
	row := make([]cell, len(t.heads))
	for i := range row {
		if i < len(texts) {
			row[i].text = Clean(texts[i])
		}
	}
	t.rows = append(t.rows, row)
}

// Style gives a look to a column of the last row.
func (t *Table) Style(column int, style Style) {
	t.rows[len(t.rows)-1][column].style = style
}

// Len is how many rows there are.
func (t *Table) Len() int { return len(t.rows) }

const (
	gap      = 2
	leastCut = 6
)

// Write puts the table on the screen. Columns in which every row is empty are
// left out.
func (t *Table) Write(s *Screen) {
	widths := t.widths(s.width)
	line := make([]string, 0, len(t.heads))
	for i, h := range t.heads {
		if widths[i] > 0 {
			line = append(line, s.Paint(Dim, pad(strings.ToUpper(h), widths[i])))
		}
	}
	s.Line("%s", strings.TrimRight(strings.Join(line, "  "), " "))
	for _, row := range t.rows {
		line = line[:0]
		for i, c := range row {
			if widths[i] > 0 {
				line = append(line, s.Paint(c.style, pad(cut(c.text, widths[i]), widths[i])))
			}
		}
		s.Line("%s", strings.TrimRight(strings.Join(line, "  "), " "))
	}
}

// widths are those of the columns, cut down from the widest until they fit.
func (t *Table) widths(most int) []int {
	out := make([]int, len(t.heads))
	for i := range t.heads {
		for _, row := range t.rows {
			out[i] = max(out[i], length(row[i].text))
		}
		if out[i] > 0 || len(t.rows) == 0 {
			out[i] = max(out[i], length(t.heads[i]))
		}
	}
	for most > 0 && total(out) > most {
		widest := -1
		for i, w := range out {
			if !t.whole[i] && w > leastCut && (widest < 0 || w > out[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		out[widest]--
	}
	return out
}

func total(widths []int) int {
	sum := -gap
	for _, w := range widths {
		if w > 0 {
			sum += w + gap
		}
	}
	return sum
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-length(text), 0))
}
