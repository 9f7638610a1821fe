package text

import (
	"fmt"
	"io"
	"strings"
)

// DefaultWidth is the number of columns where there is no terminal to ask.
const DefaultWidth = 120

// Colour is a style of text.
type Colour string

// The styles. The zero value changes nothing.
const (
	Plain  Colour = ""
	Bold   Colour = "\x1b[1m"
	Faint  Colour = "\x1b[2m"
	Red    Colour = "\x1b[31m"
	Green  Colour = "\x1b[32m"
	Yellow Colour = "\x1b[33m"

	reset = "\x1b[0m"
)

// Writer prints lines. The first error is kept and returned by Err, so that callers need not look at each line. The
// zero Writer has no destination; use NewWriter.
type Writer struct {
	w       io.Writer
	colours bool
	width   int
	err     error
}

// NewWriter returns a Writer to w. colours says whether styles are written at all; width is in columns, and
// DefaultWidth is used for 0 or less.
func NewWriter(w io.Writer, colours bool, width int) *Writer {
	if width <= 0 {
		width = DefaultWidth
	}
	return &Writer{w: w, colours: colours, width: width}
}

// Width returns the number of columns.
func (w *Writer) Width() int { return w.width }

// Err returns the first error of the destination.
func (w *Writer) Err() error { return w.err }

// Style returns s in the colour, or s. It is for text without line breaks.
func (w *Writer) Style(c Colour, s string) string {
	if !w.colours || c == Plain || s == "" {
		return s
	}
	return string(c) + s + reset
}

// Line prints one line. Arguments that are strings and foreign must have gone through Safe.
func (w *Writer) Line(format string, args ...any) {
	if w.err != nil {
		return
	}
	_, w.err = fmt.Fprintf(w.w, format+"\n", args...)
}

// Blank prints an empty line.
func (w *Writer) Blank() { w.Line("") }

// Heading prints a bold line with an empty one before it.
func (w *Writer) Heading(s string) {
	w.Blank()
	w.Line("%s", w.Style(Bold, s))
}

// Paragraph prints s wrapped to the width, each line after the indent.
func (w *Writer) Paragraph(indent, s string) {
	for _, line := range Wrap(s, w.width-Width(indent)) {
		w.Line("%s%s", indent, line)
	}
}

// Item prints a label of a fixed number of columns and s wrapped beside it. An s that is empty prints nothing.
func (w *Writer) Item(indent string, columns int, label, s string) {
	if s == "" {
		return
	}
	pad := strings.Repeat(" ", max(columns-Width(label), 1))
	for i, line := range Wrap(s, w.width-Width(indent)-max(columns, Width(label)+1)) {
		if i > 0 {
			label, pad = "", strings.Repeat(" ", columns)
		}
		w.Line("%s%s%s%s", indent, label, pad, line)
	}
}
