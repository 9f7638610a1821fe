package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// A drawing is a column of panels, one for each place that data goes to: the product as a bar on the left, the recipients
// as boxes on the right, and one straight line for each flow between them. Nothing crosses, so it stays legible, and a
// panel is low enough that a printed page holds it. Lengths are in pixels of the SVG's own coordinate system.
const (
	panelWidth  = 900
	panelHeight = 860 // a panel ends before it is higher than that
	barX        = 2
	barWidth    = 160
	lineStart   = barX + barWidth
	frameX      = 548
	boxX        = frameX + 14
	boxWidth    = panelWidth - 14 - boxX
	rowX        = lineStart + 18
	rowWidth    = frameX - 10 - rowX
	headHeight  = 30
	gap         = 12
	pad         = 10
	fontLine    = 17 // height of a line of text
	smallLine   = 15
	lineZone    = 22 // height of what is drawn between the texts above and below a line
	blockRows   = 9  // rows beside a recipient before its box is repeated
)

// panel is one SVG. Shapes are drawn in their order.
type panel struct {
	Height      int
	Title, Desc string
	Shapes      []shape
}

// shape is a path, or one line of text in a box that it cannot leave.
type shape struct {
	Class string
	Path  string // d of the path; "" for a text
	Text  string
	X, Y  int
	Width int
}

// Width is the same for all panels.
func (panel) Width() int { return panelWidth }

// block is a recipient with the lines beside it.
type block struct {
	texts  []shape
	rows   []row
	height int
}

// row is the layout of a line.
type row struct {
	line         *line
	above, below []string
	height       int
}

// draw lays out the lines for a product.
func draw(product string, lines []line) []panel {
	byPlace := slices.Clone(lines)
	slices.SortStableFunc(byPlace, func(a, b line) int {
		return cmp.Or(cmp.Compare(last(a.place), last(b.place)), cmp.Compare(a.place, b.place))
	})
	var panels []panel
	for len(byPlace) > 0 {
		end := slices.IndexFunc(byPlace, func(l line) bool { return l.place != byPlace[0].place })
		if end < 0 {
			end = len(byPlace)
		}
		panels = append(panels, place(product, byPlace[:end])...)
		byPlace = byPlace[end:]
	}
	return panels
}

// last puts what is no country after the countries.
func last(place string) int {
	if place == plain.OwnSystems {
		return 1
	}
	return 0
}

// headingOf names the recipients in a place.
func headingOf(place string) string {
	switch place {
	case plain.OwnSystems:
		return "Systems of the customer"
	case plain.Unstated:
		return "Recipients, " + place
	case predicate.Anywhere:
		return "Recipients anywhere"
	}
	return "Recipients in " + place
}

// place makes the panels for the lines to one place.
func place(product string, lines []line) []panel {
	name := lines[0].place
	var panels []panel
	var pending []block
	height := headHeight + pad
	flush := func() {
		heading := headingOf(name)
		if len(panels) > 0 {
			heading += " (continued)"
		}
		panels = append(panels, newPanel(product, heading, pending, height))
		pending, height = nil, headHeight+pad
	}
	for _, b := range blocks(lines) {
		if len(pending) > 0 && height+b.height+gap > panelHeight {
			flush()
		}
		pending = append(pending, b)
		height += b.height + gap
	}
	flush()
	return panels
}

// blocks gathers the lines of one place by recipient, in the order in which recipients first occur.
func blocks(lines []line) []block {
	index := map[string]int{}
	var all [][]line
	for _, l := range lines {
		key := l.recipient + "\x00" + strings.Join(l.about, "\x00")
		i, ok := index[key]
		if !ok {
			i = len(all)
			index[key] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], l)
	}
	var list []block
	for _, group := range all {
		for i, chunk := range slices.Collect(slices.Chunk(group, blockRows)) {
			list = append(list, newBlock(chunk, i > 0))
		}
	}
	return list
}

// newBlock lays out a recipient and the lines to it. again says that it continues the block before it.
func newBlock(lines []line, again bool) block {
	var b block
	textEnd := pad
	name := lines[0].recipient
	if again {
		name += " (continued)"
	}
	const width = boxWidth - 2*pad
	write := func(class string, height int, lines []string) {
		for _, l := range lines {
			b.texts = append(b.texts, shape{Class: class, Text: l, X: boxX + pad, Y: textEnd, Width: width})
			textEnd += height
		}
	}
	write("name", fontLine, wrapped(name, width, 3))
	if !again {
		for _, a := range lines[0].about {
			write("small", smallLine, wrapped(a, smallWidth(width), 3))
		}
	}
	rows := 0
	for i := range lines {
		r := row{line: &lines[i], above: wrapped(lines[i].label, rowWidth, 2),
			below: wrapped(lines[i].state+"; "+lines[i].sends(), smallWidth(rowWidth), 3)}
		r.height = len(r.above)*fontLine + lineZone + len(r.below)*smallLine + gap
		b.rows = append(b.rows, r)
		rows += r.height
	}
	b.height = max(textEnd+pad, rows)
	return b
}

// newPanel draws the product, the frame of the place and its blocks.
func newPanel(product, heading string, list []block, height int) panel {
	p := panel{Height: height + 2, Title: "Data flows between " + product + " and " + lowerFirst(heading)}
	p.rect("bar", barX, 2, barWidth, height-2)
	p.text("small", "Product", barX+pad, pad, barWidth-2*pad)
	for i, l := range wrapped(product, barWidth-2*pad, max(1, min(8, (height-2*pad-smallLine)/fontLine))) {
		p.text("name", l, barX+pad, pad+smallLine+2+i*fontLine, barWidth-2*pad)
	}
	p.rect("frame", frameX, 2, panelWidth-2-frameX, height-2)
	p.text("place", wrapped(heading, boxWidth, 1)[0], boxX, pad-1, boxWidth)
	y := headHeight + pad
	var said []string
	for _, b := range list {
		p.rect("box", boxX, y, boxWidth, b.height)
		for _, t := range b.texts {
			t.Y += y
			p.Shapes = append(p.Shapes, t)
		}
		rowY := y
		for _, r := range b.rows {
			p.row(r, rowY)
			rowY += r.height
			said = append(said, r.line.String())
		}
		y += b.height + gap
	}
	p.Desc = strings.Join(said, ". ") + "."
	return p
}

// row draws one line with its texts, beginning at y.
func (p *panel) row(r row, y int) {
	for _, s := range r.above {
		p.text("label", s, rowX, y, rowWidth)
		y += fontLine
	}
	y += lineZone / 2
	class := "line"
	if !r.line.on {
		class = "line off"
	}
	p.path(class, fmt.Sprintf("M%d %dH%d", lineStart, y, boxX))
	if r.line.out {
		p.path("head", fmt.Sprintf("M%d %dl-11 -6v12z", boxX, y))
	}
	if r.line.in {
		p.path("head", fmt.Sprintf("M%d %dl11 -6v12z", lineStart, y))
	}
	p.symbol(r.line.personal, rowX+18, y)
	y += lineZone / 2
	for _, s := range r.below {
		p.text("small", s, rowX, y, rowWidth)
		y += smallLine
	}
}

// symbol marks the kind of data by shape: diamonds are about people, the fuller the more; a circle is not.
func (p *panel) symbol(kind plain.Personal, x, y int) {
	p.Shapes = append(p.Shapes, symbol(kind, x, y)...)
}

func symbol(kind plain.Personal, x, y int) []shape {
	diamond := func(r int) string { return fmt.Sprintf("M%d %dl%d -%dl%d %dl-%d %dz", x-r, y, r, r, r, r, r, r) }
	hollow := shape{Class: "hollow", Path: diamond(9)}
	switch kind {
	case plain.PersonalSpecial:
		return []shape{{Class: "hollow", Path: diamond(12)}, {Class: "full", Path: diamond(8)}}
	case plain.PersonalYes:
		return []shape{{Class: "full", Path: diamond(9)}}
	case plain.PersonalPseudonymous:
		return []shape{hollow, {Class: "full", Path: fmt.Sprintf("M%d %dl9 -9v18z", x-9, y)}}
	case plain.PersonalMay:
		return []shape{hollow}
	case plain.PersonalNo:
		return []shape{{Class: "plain", Path: fmt.Sprintf("M%d %da7 7 0 1 0 14 0a7 7 0 1 0 -14 0z", x-7, y)}}
	case plain.PersonalNothing:
		return []shape{{Class: "plain", Path: fmt.Sprintf("M%d %dv14", x, y-7)}}
	default:
		return []shape{{Class: "hollow", Path: diamond(11)}, {Class: "query", Text: "?", X: x - 4, Y: y - 9, Width: 12}}
	}
}

func (p *panel) path(class, d string) { p.Shapes = append(p.Shapes, shape{Class: class, Path: d}) }

func (p *panel) rect(class string, x, y, w, h int) {
	p.path(class, fmt.Sprintf("M%d %dh%dv%dh-%dz", x, y, w, h, w))
}

func (p *panel) text(class, s string, x, y, width int) {
	p.Shapes = append(p.Shapes, shape{Class: class, Text: s, X: x, Y: y, Width: width})
}

// wrapped breaks a text into at most most lines of a width. What does not fit ends in an ellipsis; the table beside the
// drawing has it in full.
func wrapped(s string, width, most int) []string {
	lines := text.WrapBy(s, width, pixels)
	if len(lines) <= most {
		return lines
	}
	lines = lines[:most]
	end := []rune(lines[most-1])
	for len(end) > 0 && pixels(string(end)+"…") > width {
		end = end[:len(end)-1]
	}
	lines[most-1] = strings.TrimRight(string(end), " ") + "…"
	return lines
}

// pixels is how wide a text is in 13 pixels of a wide bold type (DejaVu Sans Bold), rather too much than too little: which
// type a reader has is not known.
func pixels(s string) int {
	tenths := 0
	for _, r := range s {
		switch {
		case text.Width(string(r)) == 0:
		case text.Width(string(r)) == 2:
			tenths += 150
		case strings.ContainsRune("ijlI.,:;'|! ", r):
			tenths += 50
		case strings.ContainsRune("ftr-()[]/\\\"", r):
			tenths += 65
		case strings.ContainsRune("mwMW%@", r):
			tenths += 145
		case r >= 'A' && r <= 'Z':
			tenths += 105
		case r > 0x7e:
			tenths += 120
		default:
			tenths += 91
		}
	}
	return (tenths + 9) / 10
}

// smallWidth is the width for wrapped of a place for small type, which is narrower than what pixels measures.
func smallWidth(width int) int { return width * 23 / 20 }

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// number joins the places of something among others into a part of an id.
func number(parts ...int) string {
	ids := make([]string, len(parts))
	for i, p := range parts {
		ids[i] = strconv.Itoa(p)
	}
	return strings.Join(ids, "-")
}
