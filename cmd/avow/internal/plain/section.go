package plain

import (
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// Section is a part of what a statement says. All its texts went through text.Safe.
type Section struct {
	// Title is empty for the first section, which says what the statement is and is about.
	Title string
	// Note is a sentence instead of entries and rows.
	Note string
	// Entries are labels with what stands beside them.
	Entries []Entry
	// Columns and Rows are a table: the data flows, one a row.
	Columns []text.Column
	Rows    [][]text.Cell
}

// Entry is a label and the paragraphs beside it.
type Entry struct {
	Label      string
	Paragraphs []string
	// NotMade is set for a claim of the registry that the vendor does not make.
	NotMade bool
}

// description collects sections.
type description struct {
	sections []Section
}

// section begins one.
func (d *description) section(title string) *Section {
	d.sections = append(d.sections, Section{Title: title})
	return d.last()
}

func (d *description) last() *Section { return &d.sections[len(d.sections)-1] }

// item adds a paragraph: beside a label of its own, or under the last one if the label is empty. One that is empty adds
// nothing.
func (d *description) item(label, paragraph string) {
	s := d.last()
	switch {
	case paragraph == "":
	case label == "" && len(s.Entries) > 0:
		e := &s.Entries[len(s.Entries)-1]
		e.Paragraphs = append(e.Paragraphs, paragraph)
	default:
		s.Entries = append(s.Entries, Entry{Label: label, Paragraphs: []string{paragraph}})
	}
}

// notMade marks the last entry.
func (d *description) notMade() {
	s := d.last()
	s.Entries[len(s.Entries)-1].NotMade = true
}

// labelColumns is the width of the labels beside which a statement's members stand.
const labelColumns = 16

// Statement prints what a statement says. The caller prints the heading that says whether and by whom it was verified.
func Statement(w *text.Writer, st *predicate.Statement) {
	for _, s := range Describe(st) {
		if s.Title != "" {
			w.Heading("  " + s.Title)
		}
		if s.Note != "" {
			w.Line("  %s", s.Note)
		}
		for _, e := range s.Entries {
			label := e.Label
			for _, p := range e.Paragraphs {
				w.Item("  ", labelColumns, label, p)
				label = ""
			}
		}
		if len(s.Rows) > 0 && !w.Table("  ", s.Columns, s.Rows) {
			records(w, s.Columns, s.Rows)
		}
	}
}

// records prints the rows one below the other, for terminals too narrow for the table.
func records(w *text.Writer, columns []text.Column, rows [][]text.Cell) {
	for i, row := range rows {
		if i > 0 {
			w.Blank()
		}
		for j, cell := range row {
			label := columns[j].Title
			for _, paragraph := range cell {
				w.Item("  ", len(columns[len(columns)-1].Title)+1, label, paragraph)
				label = ""
			}
		}
	}
}
