package text

import "strings"

// Column of a Table.
type Column struct {
	// Title is the heading.
	Title string
	// Weight is the column's share of what the narrow columns leave.
	Weight int
}

// Cell is the content of one place in a table: paragraphs, each wrapped by itself.
type Cell []string

const (
	columnGap     = 2
	minimumColumn = 12
)

// Table prints rows in wrapped columns. It returns false, having printed nothing, where the width is not enough for
// all columns; the caller then prints the rows in another form.
func (w *Writer) Table(indent string, columns []Column, rows [][]Cell) bool {
	widths, ok := widthsOf(w.width-Width(indent), columns, rows)
	if !ok {
		return false
	}
	header := make([]Cell, len(columns))
	rules := make([]Cell, len(columns))
	for i, c := range columns {
		header[i], rules[i] = Cell{c.Title}, Cell{strings.Repeat("-", widths[i])}
	}
	w.row(indent, widths, header)
	w.row(indent, widths, rules)
	for i, row := range rows {
		if i > 0 {
			w.Blank()
		}
		w.row(indent, widths, row)
	}
	return true
}

// widthsOf gives each column its widest cell if that is narrow, and shares the rest by weight.
func widthsOf(total int, columns []Column, rows [][]Cell) ([]int, bool) {
	widest := make([]int, len(columns))
	for i, c := range columns {
		widest[i] = Width(c.Title)
		for _, row := range rows {
			for _, paragraph := range row[i] {
				widest[i] = max(widest[i], Width(paragraph))
			}
		}
	}
	left := total - columnGap*(len(columns)-1)
	widths := make([]int, len(columns))
	for settled := false; !settled; {
		settled = true
		weight := 0
		for i, c := range columns {
			if widths[i] == 0 {
				weight += c.Weight
			}
		}
		for i, c := range columns {
			if widths[i] == 0 && widest[i] <= left*c.Weight/weight {
				widths[i], settled = widest[i], false
				left -= widest[i]
				weight -= c.Weight
			}
		}
		if settled {
			return shareOut(left, weight, widths, columns)
		}
	}
	return widths, true
}

// shareOut gives the columns that have no width yet their share of what is left.
func shareOut(left, weight int, widths []int, columns []Column) ([]int, bool) {
	for i, c := range columns {
		if widths[i] != 0 {
			continue
		}
		widths[i] = left * c.Weight / weight
		if widths[i] < minimumColumn {
			return nil, false
		}
	}
	return widths, true
}

// row prints one row, as high as its highest cell.
func (w *Writer) row(indent string, widths []int, cells []Cell) {
	lines := make([][]string, len(cells))
	height := 0
	for i, cell := range cells {
		for _, paragraph := range cell {
			lines[i] = append(lines[i], hanging(paragraph, widths[i])...)
		}
		height = max(height, len(lines[i]))
	}
	for y := range height {
		var b strings.Builder
		for i := range cells {
			content := ""
			if y < len(lines[i]) {
				content = lines[i][y]
			}
			b.WriteString(content)
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-Width(content)+columnGap))
			}
		}
		w.Line("%s%s", indent, strings.TrimRight(b.String(), " "))
	}
}

// hanging wraps a paragraph so that every line after the first is indented by one column: where paragraphs follow
// each other, the reader sees where each begins.
func hanging(paragraph string, columns int) []string {
	if Width(paragraph) <= columns {
		return []string{paragraph}
	}
	lines := Wrap(paragraph, columns-1)
	for i := range lines[1:] {
		lines[i+1] = " " + lines[i+1]
	}
	return lines
}
